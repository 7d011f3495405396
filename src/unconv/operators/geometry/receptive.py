"""Receptive fields: which stretch of the input a unit sees, exactly, through any chain or graph of layers.

Along one axis the fields of a layer's units repeat: after a whole period of units the field has moved on by a whole
number of input cells. A convolution has period 1 and moves by its stride; a transposed convolution has period s and
moves by 1, since its output phases see different inputs. Chaining (:meth:`AxisField.then`) and joining of branches
(:meth:`AxisField.union`) keep that form, so nothing is rounded and nothing is traced by gradients. Periods multiply
where resizings to uneven sizes follow each other: where one would be longer than the layer has units, these are listed
one by one instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import ceil, gcd, lcm

from unconv.describe import by_size, listed
from unconv.errors import GeometryError
from unconv.results import Shown

# [start, stop) of cells along one axis; a box has one along each.
Interval = tuple[int, int]
Box = tuple[Interval, ...]


@dataclass(frozen=True)
class AxisField:
    """Fields along one axis: unit q·P + r sees [starts[r] + q·advance, stops[r] + q·advance), P = len(starts).

    An interval that holds nothing (start = stop) belongs to a unit that sees no input at all, as between the kernels
    of a transposed convolution whose stride is larger than its kernel.

    >>> AxisField(starts=(-1,), stops=(2,), advance=2).of(3)      # 3 wide, stride 2, padding 1
    (5, 8)
    """

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    advance: int
    spacing: Fraction | None = field(default=None, repr=False)
    """The stride, where units are listed one by one and their fields repeat after no whole number of input cells."""

    @property
    def period(self) -> int:
        """Units after which the fields repeat."""
        return len(self.starts)

    @property
    def size(self) -> int:
        """Widest field of any unit, in input cells."""
        return max(stop - start for start, stop in zip(self.starts, self.stops, strict=True))

    @property
    def stride(self) -> Fraction:
        """Input cells from one unit to the next: below 1 after upsampling, 0 where every unit sees everything."""
        return Fraction(self.advance, self.period) if self.spacing is None else self.spacing

    def of(self, unit: int) -> Interval:
        """[start, stop) of one unit's field; cells below 0 or past the input's end are padding."""
        turns, phase = divmod(unit, self.period)
        return self.starts[phase] + turns * self.advance, self.stops[phase] + turns * self.advance

    def hull(self, first: int, last: int) -> Interval:
        """[start, stop) of all that the units first … last − 1 see together."""
        if self._ordered and first < last:
            return self.of(first)[0], self.of(last - 1)[1]
        near = range(first, min(last, first + self.period))
        far = range(max(first, last - self.period), last)
        starts = [start for start, stop in map(self.of, near) if start < stop]
        stops = [stop for start, stop in map(self.of, far) if start < stop]
        if not starts or not stops:
            start, _ = self.of(first)
            return start, start
        return min(starts), max(stops)

    @cached_property
    def _ordered(self) -> bool:
        """Whether every unit sees something, and none starts or stops before the one in front of it."""
        rows = [(row, row[0] + self.advance) for row in (self.starts, self.stops)]
        rising = all(one <= two for row, after in rows for one, two in pairwise((*row, after)))
        return rising and all(start < stop for start, stop in zip(self.starts, self.stops, strict=True))

    def then(self, layer: AxisField, extent: int | None = None) -> AxisField:
        """Fields, in this one's input, of a layer that reads this one's units, and has ``extent`` of its own.

        >>> three = AxisField((-1,), (2,), advance=1)
        >>> three.then(three).size
        5
        """
        turns = self.period // gcd(self.period, layer.advance)
        period = turns * layer.period
        whole = self.spacing is None and layer.spacing is None
        if whole and (extent is None or period <= extent):
            intervals = [self.hull(*layer.of(unit)) for unit in range(period)]
            return _shortest(intervals, turns * layer.advance * self.advance // self.period)
        intervals = [self.hull(*layer.of(unit)) for unit in range(period if extent is None else extent)]
        return listed_field(intervals, self.stride * layer.stride)

    def union(self, other: AxisField) -> AxisField:
        """Fields of units that join two branches, as adding or concatenating does: the hull of both.

        A branch in which every unit sees the whole input makes the sum see the whole input.
        """
        for one, two in ((self, other), (other, self)):
            if one.advance == 0 and two.advance != 0:
                return one
        period = lcm(self.period, other.period)
        advance, same = (field.advance * (period // field.period) for field in (self, other))
        if advance != same:
            raise GeometryError(
                f"receptive field: branches with strides {self.stride} and {other.stride} cannot be joined; "
                "bring both to one resolution"
            )
        return _shortest([_hull_of_two(self.of(unit), other.of(unit)) for unit in range(period)], advance)


def _hull_of_two(one: Interval, two: Interval) -> Interval:
    if one[0] == one[1]:
        return two
    if two[0] == two[1]:
        return one
    return min(one[0], two[0]), max(one[1], two[1])


def _shortest(intervals: Sequence[Interval], advance: int) -> AxisField:
    """The field with the shortest period that says the same."""
    count = len(intervals)
    for period in (p for p in range(1, count + 1) if count % p == 0 and (advance * p) % count == 0):
        step = advance * period // count
        pairs = zip(intervals, intervals[period:], strict=False)
        if all(start + step == later and stop + step == end for (start, stop), (later, end) in pairs):
            chosen = intervals[:period]
            return AxisField(tuple(s for s, _ in chosen), tuple(e for _, e in chosen), step)
    raise AssertionError("a field always repeats after its own period")


def listed_field(intervals: Sequence[Interval], stride: Fraction) -> AxisField:
    """The field of units whose intervals are listed one by one, in its shortest form.

    Where so many strides come to no whole number of input cells, the units listed are taken to be all there are.

    >>> listed_field([(0, 1), (0, 1), (1, 2), (1, 2)], Fraction(1, 2))     # nearest neighbour, twice the size
    AxisField(starts=(0, 0), stops=(1, 1), advance=1)
    """
    cells = stride * len(intervals)
    if cells.denominator == 1:
        return _shortest(intervals, int(cells))
    return AxisField(tuple(a for a, _ in intervals), tuple(b for _, b in intervals), ceil(cells), stride)


def window_field(kernel_span: int, stride: int, pad_before: int) -> AxisField:
    """Field of a convolution or pooling: k̂ cells from s·o − p."""
    return AxisField((-pad_before,), (kernel_span - pad_before,), stride)


def transpose_field(kernel_size: int, stride: int, pad_before: int, dilation: int) -> AxisField:
    """Field of a transposed convolution: unit o′ is fed by every x with s·x + d·t − p = o′ for a tap t < k."""
    intervals = []
    for phase in range(stride):
        reached = [phase + pad_before - dilation * tap for tap in range(kernel_size)]
        feeding = [position // stride for position in reached if position % stride == 0]
        nothing = (phase + pad_before) // stride
        intervals.append((min(feeding), max(feeding) + 1) if feeding else (nothing, nothing))
    return AxisField(tuple(s for s, _ in intervals), tuple(e for _, e in intervals), 1)


@dataclass(frozen=True, repr=False)
class ReceptiveField(Shown):
    """What the units of a layer see of the input, per spatial axis.

    ``size``, ``stride`` and ``start`` are the usual three numbers (Araujo, Norris & Sim 2019, *Computing receptive
    fields of convolutional neural networks*); :meth:`of` gives the exact box of one unit. Where upsampling makes units
    of different phase see different amounts, ``size`` is the largest.

    >>> field = ReceptiveField((AxisField((-1,), (2,), advance=2),) * 2)
    >>> field.size, field.of((0, 3))
    ((3, 3), ((-1, 2), (5, 8)))
    """

    axes: tuple[AxisField, ...]

    @classmethod
    def of_pixels(cls, dimensions: int) -> ReceptiveField:
        """The input itself: every unit is one cell."""
        return cls((AxisField((0,), (1,), 1),) * dimensions)

    @classmethod
    def everything(cls, input_size: Sequence[int]) -> ReceptiveField:
        """A layer in which every unit sees the whole input, as after global pooling."""
        return cls(tuple(AxisField((0,), (size,), 0) for size in input_size))

    @property
    def size(self) -> tuple[int, ...]:
        """Widest field per axis, in input cells."""
        return tuple(axis.size for axis in self.axes)

    @property
    def stride(self) -> tuple[Fraction, ...]:
        """Input cells between neighbouring units, per axis."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def start(self) -> tuple[int, ...]:
        """First cell that unit 0 sees, per axis; negative inside the padding."""
        return tuple(axis.starts[0] for axis in self.axes)

    @property
    def covers_everything(self) -> bool:
        """Whether every unit sees the same, whole input."""
        return all(axis.advance == 0 for axis in self.axes)

    def _heading(self) -> str:
        if self.covers_everything:
            return f"ReceptiveField: all of {by_size(self.size)}" if self.axes else "ReceptiveField: no axis"
        stride = by_size(dict.fromkeys(self.stride) if len(set(self.stride)) == 1 else self.stride)
        start = listed(dict.fromkeys(self.start) if len(set(self.start)) == 1 else self.start)
        return f"ReceptiveField: size {by_size(self.size)}, stride {stride}, start {start}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        for number, axis in enumerate(self.axes):
            if axis.period > 1:
                boxes = (f"[{start}, {stop})" for start, stop in zip(axis.starts, axis.stops, strict=True))
                yield f"axis {number}", f"{listed(boxes)}; then the same {axis.advance} further"

    def of(self, position: Sequence[int]) -> Box:
        """[start, stop) per axis of the unit at ``position``, padding included."""
        return tuple(axis.of(unit) for axis, unit in zip(self.axes, position, strict=True))

    def then(self, layer: ReceptiveField) -> ReceptiveField:
        """Fields of a layer on top, in this field's input."""
        pairs = zip(self.axes, layer.axes, strict=True)
        return ReceptiveField(tuple(below.then(above) for below, above in pairs))

    def union(self, other: ReceptiveField) -> ReceptiveField:
        """Fields where two branches meet."""
        return ReceptiveField(tuple(a.union(b) for a, b in zip(self.axes, other.axes, strict=True)))
