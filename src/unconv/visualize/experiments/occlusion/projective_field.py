"""Projective fields: which units of every tensor a patch of pixels can change, exactly.

What lies outside is as it is for the unchanged image. Worked out per axis, from the links of the traced network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from unconv.network.trace.graph import Graph
from unconv.network.trace.links import Link
from unconv.network.trace.values import Value
from unconv.operators.geometry.receptive import Interval


@dataclass(frozen=True, eq=False)
class ProjectiveField:
    """What some intervals of the image, per axis, can change in every tensor up to one of them.

    Attributes:
        graph: the traced network.
        intervals: ``[start, stop)`` of pixels, some for each axis.
        last: index of the last tensor that is asked for.
    """

    graph: Graph
    intervals: tuple[tuple[Interval, ...], ...]
    last: int

    @cached_property
    def changed(self) -> dict[int, tuple[tuple[Interval, ...], ...]]:
        """By tensor, per axis and interval: the units ``[first, last)`` that may have changed.

        >>> from torch import nn
        >>> from unconv.network.trace.trace import trace
        >>> graph = trace(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2)), (1, 16, 16))
        >>> field = ProjectiveField(graph, (((4, 8),), ((0, 3),)), graph.value_of("1").index)
        >>> field.changed[graph.value_of("0").index], field.changed[graph.value_of("1").index]
        ((((3, 9),), ((0, 4),)), (((1, 5),), ((0, 2),)))
        """
        found: dict[int, tuple[tuple[Interval, ...], ...]] = {}
        for value in self.graph.values[: self.last + 1]:
            if not value.parents:
                found[value.index] = self.intervals
                continue
            found[value.index] = tuple(self._along(value, axis, found) for axis in range(len(value.extents)))
        return found

    def _along(
        self, value: Value, axis: int, found: dict[int, tuple[tuple[Interval, ...], ...]]
    ) -> tuple[Interval, ...]:
        extent = value.extents[axis]
        hit = torch.zeros(extent, len(self.intervals[axis]), dtype=torch.bool)
        for parent, links in value.parents:
            below = torch.tensor(found[parent][axis])
            reads = torch.tensor(_reads(links[axis], extent, self.graph.values[parent].extents[axis]))
            touches = (reads[:, :1] < below[:, 1]) & (reads[:, 1:] > below[:, 0])
            hit |= touches & (below[:, 0] < below[:, 1])
        return tuple(_hull(column) for column in hit.T)


def _reads(link: Link | None, extent: int, size: int) -> list[Interval]:
    """For each unit the hull of the cells that it reads."""
    if link is None:
        return [(unit, unit + 1) for unit in range(extent)] if extent == size else [(0, size)] * extent
    hulls = []
    for unit in range(extent):
        cells = link.cells((unit,), size)
        hulls.append((min(cells), max(cells) + 1) if cells else (0, 0))
    return hulls


def _hull(units: Tensor) -> Interval:
    numbers = units.nonzero().flatten()
    return (int(numbers[0]), int(numbers[-1]) + 1) if len(numbers) else (0, 0)
