"""The cones of units: which cells of every convolution before them they are computed from, in their windows."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from unconv.network.reach import Reached, cells_along, convolutions_before
from unconv.network.windows import Windows
from unconv.operators.geometry.receptive import Box, Interval
from unconv.visualize.cone.schedule import Needed

Place = tuple[int, ...]


class UnitCones:
    """Of a layer's units, what each needs of every convolution before; remembered by row and column.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> from unconv.network.windows import windows_of
    >>> graph = trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 5)), (3, 32, 32))
    >>> cones = UnitCones(windows_of(graph, "2"))
    >>> [needed.boxes for needed in cones.needed([((7, 9), [(7, 9)])])]
    [(((0, 7), (0, 7)),), (((0, 5), (0, 5)),), (((0, 1), (0, 1)),)]
    """

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        graph = windows.graph
        self._convolutions = () if graph is None else convolutions_before(graph, windows.value)
        self._along = functools.cache(self._cells)
        self._within = functools.cache(self._interval)

    def needed(self, shown: Sequence[tuple[Place, Sequence[Place]]]) -> list[Needed]:
        """By convolution, a box for each window, given where it starts and the positions of the units looked at."""
        return [
            Needed(
                found.channels,
                found.kernel_size,
                tuple(self._box(number, start, units) for start, units in shown) if self._placed(found) else (),
            )
            for number, found in enumerate(self._convolutions)
        ]

    def _cells(self, axis: int, unit: int) -> dict[int, Interval]:
        graph = self.windows.graph
        return {} if graph is None else cells_along(graph, self.windows.value, axis, unit)

    def _placed(self, found: Reached) -> bool:
        """Whether boxes mean something for this convolution and layer."""
        axes = len(self.windows.image_size)
        graph = self.windows.graph
        # Tokens that attention has mixed have places, but none that the trace follows.
        followed = graph is None or graph.values[self.windows.value].extents == tuple(self.windows.shape[1:])
        return len(found.strides) == axes and len(self.windows.shape) == axes + 1 and followed

    def _box(self, number: int, start: Place, units: Sequence[Place]) -> Box:
        return tuple(
            _spanning([self._within(number, axis, first, unit[axis]) for unit in units])
            for axis, first in enumerate(start)
        )

    def _interval(self, number: int, axis: int, first: int, unit: int) -> Interval:
        """Of a convolution, by its number, what a unit needs along an axis of a window that starts there."""
        # By number: to look up a value with fractions takes longer than what is looked up.
        found = self._convolutions[number]
        there = self._along(axis, unit).get(found.value)
        if there is None:
            return _NOTHING
        shift = int(first / found.strides[axis]) if first else 0
        return there[0] - shift, there[1] - shift


_NOTHING = (0, 0)


def _spanning(intervals: Sequence[Interval]) -> Interval:
    there = [interval for interval in intervals if interval != _NOTHING]
    return (min(low for low, _ in there), max(high for _, high in there)) if there else _NOTHING
