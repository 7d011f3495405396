"""The search for working sizes: axis by axis, the shortest period of sizes that a model takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

import torch
from torch import nn

from unconv.describe import by_size
from unconv.errors import ModelError, UnconvError
from unconv.network.near_sizes import Sizes, sizes_near, strides_by_axis
from unconv.network.run.input_axes import InputAxes, usual_axes
from unconv.network.trace.build_graph import build_graph
from unconv.network.trace.explain_failure import explain_failure
from unconv.network.trace.layout import Layout, axes_in, shape_of
from unconv.network.trace.record import Recorder
from unconv.network.trace.trace import attempt
from unconv.network.working_sizes import AxisSizes, WorkingSizes

Places = tuple[tuple[int, int], ...]
Dtype = torch.dtype | Sequence[torch.dtype] | None

# Steps that are tried beside a model's own strides, which do not show what views and slices need.
OTHERS = (*range(1, 17), 24, 28, 32, 48, 56, 64, 128)
# So many sizes on each side are tried of an axis that is fixed.
LARGEST = 128
NAMES = {1: ("length",), 2: ("rows", "columns"), 3: ("depth", "rows", "columns")}


def working_sizes(
    model: nn.Module,
    sizes: Sizes,
    dtype: Dtype = None,
    *,
    axes: Sequence[InputAxes] = (),
    seconds: float = 10.0,
    every: bool = True,
) -> WorkingSizes:
    """The sizes that a model takes, axis by axis.

    Starting from sizes that work, those given or the nearest, each axis is changed with the others held: by the
    product of the strides along it, by parts of that, and down to the smallest that works. Then all sizes of a period
    are tried, until the time is up.

    Args:
        model: is run on shapes alone.
        sizes: of its inputs, without the batch.
        dtype: of these, as in :func:`~unconv.network.trace.trace.trace`.
        axes: what the axes of each are; (channels, places) unless given.
        seconds: after which the search ends.
        every: whether to try all sizes of a period, and to look for the smallest; if not, multiples are told as such.

    Raises :class:`~unconv.errors.ModelError` where no size is found that works.

    >>> model = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 4, 3))
    >>> working_sizes(model, ((1, 9, 9),)).told
    'rows 2n from 6 on, columns 2n from 6 on'
    """
    order = tuple(axes) or tuple(map(usual_axes, sizes))
    search = _Search(model, sizes, order, dtype, time.monotonic() + seconds)
    strides = search.start()
    along = []
    for places, stride in search.variables(strides):
        period, side = search.period(places, stride), search.side(places)
        starts: tuple[int, ...] = (side if side % max(period, 1) else period,)
        if not period:
            starts = search.only(places) if every else ()
        elif every:
            period, starts = search.all_starts(places, stride, period)
        output, dims = search.output(places, lcm(stride, period)) if period > 1 else _AS_IT_IS
        along.append(AxisSizes(_name(places, order), places, period, starts, output, dims))
    return WorkingSizes(search.base, order, tuple(along), len(search.known), every and not search.late)


@dataclass
class _Search:
    """Sizes that were tried, and what came out."""

    model: nn.Module
    base: Sizes
    order: tuple[InputAxes, ...]
    dtype: Dtype
    end: float
    known: dict[Sizes, Layout | None] = field(default_factory=dict)
    """The layout of the output of sizes that work, () where that is no tensor; None for those that do not."""
    late: bool = False
    """Whether the time was up before a size was tried."""

    def start(self) -> tuple[int, ...]:
        """Find sizes that work, and the strides along their axes."""
        recorder, sizes, error = attempt(self.model, self.base, dtype=self.dtype, axes=self.order)
        self._keep(recorder, sizes, error)
        strides = strides_by_axis(build_graph(recorder, sizes)) if recorder.records else ()
        if error is None:
            return strides
        left = self.end - time.monotonic()
        stride = max(strides, default=1)
        near = sizes_near(self.model, sizes, self.dtype, stride=stride, count=1, seconds=left, axes=self.order)
        if not near:
            why = str(error) if isinstance(error, UnconvError) else explain_failure(error, recorder.stack)
            near_them = " and ".join(map(by_size, sizes))
            raise ModelError(f"working sizes: none is found near {near_them}; {why.removeprefix('trace: ')}") from error
        self.base = near[0]
        return self.start()

    def works(self, places: Places, size: int) -> bool:
        """Whether a size works along some axes, the others as they are."""
        changed = self._with(places, size)
        if size < 1:
            return False
        if changed not in self.known:
            if time.monotonic() > self.end:
                self.late = True
                return False
            recorder, sizes, error = attempt(self.model, changed, dtype=self.dtype, until=self.end, axes=self.order)
            if error is not None and time.monotonic() > self.end:
                # The try that the time was up in says nothing of its size.
                self.late = True
                return False
            self._keep(recorder, sizes, error)
        return self.known[changed] is not None

    def _keep(self, recorder: Recorder, sizes: Sizes, error: Exception | None) -> None:
        returned = recorder.returned or ()
        layout = recorder.graph.values[returned[0]].layout if len(returned) == 1 else ()
        self.known[sizes] = layout if error is None else None

    def side(self, places: Places) -> int:
        """The size along some axes that is known to work."""
        given, place = places[0]
        return self.base[given][self.order[given].places[place]]

    def _with(self, places: Places, size: int) -> Sizes:
        rows = [list(one) for one in self.base]
        for given, place in places:
            rows[given][self.order[given].places[place]] = size
        return tuple(map(tuple, rows))

    def variables(self, strides: tuple[int, ...]) -> list[tuple[Places, int]]:
        """The axes that can change by themselves, with the strides along them; together what has to be alike."""
        groups: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for given, axes in enumerate(self.order):
            for place, (name, side) in enumerate(zip(_names(axes), axes.sizes(self.base[given]), strict=True)):
                groups.setdefault((name, side), []).append((given, place))
        found: list[tuple[Places, int]] = []
        for places in groups.values():
            place = places[0][1]
            stride = strides[place] if place < len(strides) else max(strides, default=1)
            alone: list[Places] = [(one,) for one in places]
            apart = len(alone) > 1 and any(self.period(one, stride) for one in alone)
            found.extend((one, stride) for one in (alone if apart else [tuple(places)]))
        alike = len({self.side(places) for places, _ in found}) == 1
        if len(found) > 1 and alike and not any(self.period(*one) for one in found):
            together = tuple(place for places, _ in found for place in places)
            largest = max(stride for _, stride in found)
            if self.period(together, largest):
                return [(together, largest)]
        return found

    def period(self, places: Places, stride: int) -> int:
        """The least step by which sizes may grow, as far as steps were tried; 0 where none was found."""
        side = self.side(places)
        steps = dict.fromkeys([stride, 2 * stride, 4 * stride, *OTHERS])
        # A step that fits by accident does not fit three times; between sizes that a stride cuts to one, not beyond it.
        rows = {one: (one, 3 * one, -(-stride // one) * one) for one in steps}
        step = next((one for one, row in rows.items() if all(self.works(places, side + more) for more in row)), 0)
        shorter = True
        while shorter:
            parts = [step // n for n in range(2, step + 1) if step % n == 0 and all(n % m for m in range(2, n))]
            shorter = False
            for part in parts:
                if self.works(places, side + part):
                    step, shorter = part, True
                    break
        return step

    def only(self, places: Places) -> tuple[int, ...]:
        """The sizes of an axis that is fixed, around the one that works."""
        first = last = self.side(places)
        if self.late:
            return ()
        while last - first < LARGEST and self.works(places, last + 1):
            last += 1
        while last - first < LARGEST and self.works(places, first - 1):
            first -= 1
        return tuple(range(first, last + 1))

    def all_starts(self, places: Places, stride: int, step: int) -> tuple[int, tuple[int, ...]]:
        """Multiple and smallest sizes of an axis, by all sizes of a period, as far as there is time."""
        side, span = self.side(places), lcm(stride, step)
        fits = {0: True}
        # Odd steps and halves first: they tell most.
        for offset in sorted(range(1, span), key=lambda one: (one & -one, one)):
            fits[offset] = self.works(places, side + offset)
        whole = not self.late
        if whole:
            divisors = [one for one in range(1, span + 1) if span % one == 0]
            step = next(one for one in divisors if all(fits[n] == fits[(n + one) % span] for n in fits))
        offsets = [n for n in range(step) if fits.get(n)] if whole else [0]
        first = self._smallest(places, side, step)
        starts = [first]
        for offset in offsets[1:]:
            start = first + (side + offset - first) % step
            starts.append(next(one for one in range(start, side + offset + 1, step) if self.works(places, one)))
        return step, tuple(sorted(starts))

    def _smallest(self, places: Places, side: int, step: int) -> int:
        """The smallest of the sizes that work, in steps down from one that does."""
        low, high = 0, (side - 1) // step
        while low < high:
            middle = (low + high + 1) // 2
            if self.works(places, side - middle * step):
                low = middle
            else:
                high = middle - 1
        return side - low * step

    def output(self, places: Places, step: int) -> tuple[tuple[Fraction, Fraction] | None, tuple[int, ...]]:
        """How the output's size follows from the input's along an axis, and in which dimensions of it."""
        larger = self.side(places) + step
        before = self.known[self.base]
        after = self.known[self._with(places, larger)] if self.works(places, larger) else None
        own = [place for given, place in places if given == 0]
        if places[0][0] or not before or not after or len(before) != len(after):
            return None, ()
        growth = {
            dim: now - old
            for dim, (old, now) in enumerate(zip(shape_of(before), shape_of(after), strict=True))
            if now != old
        }
        if not growth:
            return _AS_IT_IS
        dims = tuple(self._dim_of(before, place) for place in own)
        rows = {(growth.get(dim, 0), shape_of(before)[dim]) for dim in dims if dim >= 0}
        if {*dims} != {*growth} or len(rows) != 1:
            return None, ()
        more, size = rows.pop()
        factor = Fraction(more, step)
        return (factor, size - factor * self.side(places)), dims

    def _dim_of(self, layout: Layout, place: int) -> int:
        """The dimension of an output that is an axis of the first input; the same as there where that is not known."""
        along = [dim for dim, atoms in enumerate(layout) if place in axes_in(atoms)]
        if len(along) == 1 and len(layout[along[0]]) == 1:
            return along[0]
        alike = not along and len(layout) == len(self.base[0]) + 1
        return 1 + self.order[0].places[place] if alike else -1


# How an output follows from an input whose size is as it was.
_AS_IT_IS: tuple[tuple[Fraction, Fraction], tuple[int, ...]] = ((Fraction(0), Fraction(0)), ())


def _names(axes: InputAxes) -> tuple[str, ...]:
    """What its places are called: as they were told, or by custom."""
    names = tuple(axes.names[n] for n in axes.places)
    return names if axes.told else NAMES.get(len(names), names)


def _name(places: Places, order: Sequence[InputAxes]) -> str:
    axes = list(dict.fromkeys(_names(order[given])[place] for given, place in places))
    inputs = list(dict.fromkeys(given for given, _ in places))
    told = " and ".join(axes) + (" together" if len(axes) > 1 else "")
    if len(order) == 1:
        return told
    if len(inputs) == len(order):
        return f"{told} of all inputs"
    return f"{told} of input{'s' if len(inputs) > 1 else ''} {' and '.join(str(one + 1) for one in inputs)}"
