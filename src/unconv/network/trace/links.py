"""Links: which units of the layer below one unit reads, along one axis.

Every link says it twice. :meth:`Link.field` is the pattern as it repeats over an endless axis, from which receptive
fields are chained; :meth:`Link.cells` is the exact set of units that exist, from which the box of one unit is walked
back, borders included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from unconv.operators.geometry.receptive import AxisField, Interval, listed_field, transpose_field, window_field
from unconv.operators.geometry.sizes import effective_kernel_size


class Link(ABC):
    """How the units of one axis read the units below."""

    @property
    def exact(self) -> bool:
        """Whether a unit really reads all that the link says; False for an upper bound."""
        return True

    @property
    def steady(self) -> bool:
        """Whether units read, and weigh, what lies around them in the same way in every window of the input."""
        return False

    @abstractmethod
    def field(self) -> AxisField:
        """The cells that each unit reads, as a repeating pattern of intervals."""

    @abstractmethod
    def cells(self, units: Iterable[int], size: int) -> frozenset[int]:
        """The cells among 0 … size − 1 that the given units read."""


@dataclass(frozen=True)
class Window(Link):
    """A window that steps over the cells: unit o reads s·o + d·t − p for t < k (convolution, pooling, crop, padding).

    >>> sorted(Window(kernel_size=3, stride=2, pad_before=1).cells({0, 3}, size=9))
    [0, 1, 5, 6, 7]
    """

    kernel_size: int = 1
    stride: int = 1
    pad_before: int = 0
    dilation: int = 1

    @property
    def steady(self) -> bool:
        """A window is the same everywhere."""
        return True

    def field(self) -> AxisField:
        """k̂ cells from s·o − p."""
        return window_field(effective_kernel_size(self.kernel_size, self.dilation), self.stride, self.pad_before)

    def cells(self, units: Iterable[int], size: int) -> frozenset[int]:
        """The cells under the windows, padding left out."""
        firsts = [self.stride * unit - self.pad_before for unit in units]
        offsets = [self.dilation * tap for tap in range(self.kernel_size)]
        return frozenset(first + offset for first in firsts for offset in offsets if 0 <= first + offset < size)


@dataclass(frozen=True)
class Spread(Link):
    """A transposed convolution: unit o′ is fed by every cell x with s·x + d·t − p = o′.

    >>> sorted(Spread(kernel_size=3, stride=2, pad_before=1, dilation=1).cells({1}, size=4))
    [0, 1]
    """

    kernel_size: int
    stride: int
    pad_before: int
    dilation: int
    certain: bool = True

    @property
    def exact(self) -> bool:
        """False where a unit may read less."""
        return self.certain

    @property
    def steady(self) -> bool:
        """Each phase of the stride is the same everywhere."""
        return True

    def field(self) -> AxisField:
        """Each phase of the stride has its own interval."""
        return transpose_field(self.kernel_size, self.stride, self.pad_before, self.dilation)

    def cells(self, units: Iterable[int], size: int) -> frozenset[int]:
        """The cells whose windows land on the units."""
        found = set()
        for unit in units:
            for tap in range(self.kernel_size):
                cell, off_step = divmod(unit + self.pad_before - self.dilation * tap, self.stride)
                if not off_step and 0 <= cell < size:
                    found.add(cell)
        return frozenset(found)


@dataclass(frozen=True)
class Listed(Link):
    """Units whose cells are listed one by one (resize, adaptive pooling, mirrored padding, roll, windows of tokens)."""

    reads: tuple[tuple[int, ...], ...]
    pattern: AxisField
    moves_along: bool = False
    repeated: tuple[int, int] = (0, 0)
    """Units in front and at the end that are padding, and repeat others."""

    @property
    def steady(self) -> bool:
        """Where the list says so: padding that repeats the border, resizing by a factor."""
        return self.moves_along

    def field(self) -> AxisField:
        """The pattern that goes with the list."""
        return self.pattern

    def cells(self, units: Iterable[int], size: int) -> frozenset[int]:
        """The listed cells."""
        return frozenset(cell for unit in units for cell in self.reads[unit] if cell < size)


@dataclass(frozen=True)
class Before(Link):
    """Unit o reads cells 0 … o: recurrent layers, cumulative sums.

    >>> sorted(Before(4).cells({2}, size=4)), Before(4).field().of(2)
    ([0, 1, 2], (0, 3))
    """

    size: int

    def field(self) -> AxisField:
        """Intervals that grow from the first cell on."""
        return listed_field([(0, unit + 1) for unit in range(self.size)], Fraction(1))

    def cells(self, units: Iterable[int], size: int) -> frozenset[int]:
        """All cells up to the last of the units."""
        return frozenset(range(min(max(units, default=-1) + 1, size)))


@dataclass(frozen=True)
class Whole(Link):
    """Every unit reads every cell: global pooling, attention, normalisation over space; or nothing closer is known."""

    size: int
    certain: bool = True

    @property
    def exact(self) -> bool:
        """False where this only bounds what is not known."""
        return self.certain

    def field(self) -> AxisField:
        """One interval that does not move."""
        return AxisField((0,), (self.size,), 0)

    def cells(self, units: Iterable[int], size: int) -> frozenset[int]:
        """All cells."""
        return frozenset(range(size)) if any(True for _ in units) else frozenset()


def link_cells(reads: Sequence[Sequence[int]], size: int) -> Listed:
    """A link from the list of each unit's cells among ``size``; after the last unit the pattern starts over.

    >>> link_cells([[1], [2], [0]], size=3).field().of(2)
    (0, 1)
    """
    hulls = [(min(cells), max(cells) + 1) if cells else (0, 0) for cells in reads]
    return Listed(tuple(map(tuple, reads)), listed_field(hulls, Fraction(size, len(hulls))))


def link_padding(size: int, before: int, after: int, mode: str) -> Listed:
    """Padding that repeats the input: ``reflect`` (without the edge), ``replicate`` or ``circular``.

    To the repeating pattern its cells are padding like any other, a plain shift.

    >>> link_padding(4, 1, 1, "circular").reads
    ((3,), (0,), (1,), (2,), (3,), (0,))
    """
    units = range(-before, size + after)
    if mode == "circular":
        cells = [unit % size for unit in units]
    elif mode == "replicate":
        cells = [min(max(unit, 0), size - 1) for unit in units]
    else:
        period = max(2 * size - 2, 1)
        cells = [min(unit % period, period - unit % period) for unit in units]
    reads, moves_along = tuple((cell,) for cell in cells), mode != "circular"
    return Listed(reads, window_field(1, 1, before), moves_along, repeated=(before, after))


def link_adaptive_pool(size: int, output_size: int) -> Link | None:
    """Adaptive pooling: unit o reads ⌊o·i/n⌋ … ⌈(o + 1)·i/n⌉ − 1, as torch; None where it changes nothing.

    >>> link_adaptive_pool(7, 3).field().of(1)
    (2, 5)
    """
    if output_size == size:
        return None
    if output_size == 1:
        return Whole(size)
    intervals = [(unit * size // output_size, -(-(unit + 1) * size // output_size)) for unit in range(output_size)]
    return Listed(
        tuple(tuple(range(*interval)) for interval in intervals), listed_field(intervals, Fraction(size, output_size))
    )


_TAPS_BEFORE_AFTER = {"nearest": (0, 1), "linear": (0, 2), "cubic": (-1, 3)}
_REACH = {"linear_aa": 1, "cubic_aa": 2}


@dataclass(frozen=True)
class Resize(Link):
    """Interpolation: unit o reads the cells around ``ratio`` · o, those next to a border more than once.

    ``kind`` is ``nearest``, ``nearest_exact``, ``linear``, ``cubic``, or ``linear_aa``/``cubic_aa`` (antialiased). With
    ``corners`` the first and last cells lie on the first and last units, otherwise the ends of both axes do. ``told``
    is whether torch was given the ratio; from a size alone it makes another ratio of another input.

    >>> Resize(Fraction(1, 2), "linear").field().of(2)
    (0, 2)
    """

    ratio: Fraction
    kind: str
    corners: bool = False
    told: bool = False

    @property
    def steady(self) -> bool:
        """Resizing by a factor."""
        return self.told and not self.corners

    def field(self) -> AxisField:
        """The intervals of an endless axis."""
        return listed_field([self._interval(unit) for unit in range(self.ratio.denominator)], self.ratio)

    def cells(self, units: Iterable[int], size: int) -> frozenset[int]:
        """The interval of each unit, held inside the axis."""
        intervals = set(map(self._interval, units))
        held = [(min(max(a, 0), size - 1), min(max(b - 1, 0), size - 1)) for a, b in intervals]
        return frozenset(cell for first, last in held for cell in range(first, last + 1))

    def _interval(self, unit: int) -> Interval:
        """[start, stop) that a unit reads on an endless axis."""
        cells, units = self.ratio.numerator, self.ratio.denominator
        # The middle of the unit, in halves of a cell of an axis that is `units` times as fine.
        middle = (2 * unit + 1) * cells
        if self.kind in _REACH:
            reach = 2 * _REACH[self.kind] * max(cells, units)
            return (middle - reach + units) // (2 * units), -((-middle - reach - units) // (2 * units))
        if self.kind == "nearest_exact":
            return middle // (2 * units), middle // (2 * units) + 1
        below = unit * cells // units
        if self.kind != "nearest" and not self.corners:
            below = (middle - units) // (2 * units)
        before, after = _TAPS_BEFORE_AFTER[self.kind]
        return below + before, below + after


def link_resize(
    size: int, output_size: int, kind: str, align_corners: bool = False, scale: Fraction | None = None
) -> Link | None:
    """Interpolation to another size; None where nothing changes.

    ``scale`` is input cells per unit where torch was told a factor; otherwise i/n, or (i − 1)/(n − 1) with
    ``align_corners``. A cell counts as read where torch reads it, also with weight 0.

    >>> sorted(link_resize(4, 8, "linear").cells({0, 3}, size=4))
    [0, 1, 2]
    """
    if output_size == size and scale in (None, 1):
        return None
    if align_corners:
        ratio = Fraction(size - 1, output_size - 1) if output_size > 1 else Fraction(0)
    else:
        ratio = scale if scale is not None else Fraction(size, output_size)
    link = Resize(ratio, kind, align_corners, told=scale is not None)
    return link if ratio else link_cells([sorted(link.cells({0}, size))] * output_size, size)
