"""How far a change in the image reaches: which units of every tensor a patch of pixels can have changed, exactly.

What lies outside is as it is for the unchanged image. Worked out per axis, from the links of the traced network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm

import torch
from torch import Tensor

from unconv.network.trace.graph import Graph
from unconv.network.trace.joining import joined_field
from unconv.network.trace.links import Link
from unconv.network.trace.values import Value
from unconv.operators.geometry.receptive import AxisField

Interval = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Reach:
    """What some intervals of the image, per axis, reach in every tensor up to one of them.

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
        >>> reach = Reach(graph, (((4, 8),), ((0, 3),)), graph.value_of("1").index)
        >>> reach.changed[graph.value_of("0").index], reach.changed[graph.value_of("1").index]
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


@dataclass(frozen=True)
class Stretch:
    """The part of a network between two tensors, and how large a piece of the first gives what changed in the second.

    As for windows of the image (:mod:`unconv.network.windows`), pieces begin at multiples of the least common step of
    all tensors on the way, and leave the same rest modulo that step as the whole, so that paddings and roundings at
    genuine borders are the same.

    Attributes:
        size: of the pieces, per axis.
        starts: first cell of the piece for each interval, per axis.
        strides: cells of the first tensor from one unit of the second to the next, per axis.
        total: size of the first tensor.
    """

    size: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]
    strides: tuple[Fraction, ...]
    total: tuple[int, ...]

    @property
    def share(self) -> float:
        """Cells of a piece by cells of the whole."""
        share = 1.0
        for part, size in zip(self.size, self.total, strict=True):
            share *= part / size
        return share

    def shift(self, axis: int, start: int) -> int:
        """First unit of the second tensor in the piece that begins at a cell of the first."""
        return int(start / self.strides[axis])


def fields_from(graph: Graph, source: int, last: int) -> dict[int, tuple[AxisField, ...]]:
    """Receptive fields of the tensors behind one of them, in its own units."""
    origin = graph.values[source]
    fields = {source: tuple(AxisField((0,), (1,), 1) for _ in origin.extents)}
    for value in graph.values[source + 1 : last + 1]:
        axes = []
        for axis, extent in enumerate(value.extents):
            below = [(fields[parent][axis], links[axis]) for parent, links in value.parents if parent in fields]
            chained = [field if link is None else field.then(link.field()) for field, link in below]
            joined = chained[0]
            for field in chained[1:]:
                joined = joined_field(joined, field, extent, origin.extents[axis])
            axes.append(joined)
        fields[value.index] = tuple(axes)
    return fields


def stretch_between(
    graph: Graph,
    source: int,
    target: int,
    fields: dict[int, tuple[AxisField, ...]],
    changed: Sequence[Sequence[Interval]],
) -> Stretch:
    """The stretch between two tensors that gives the changed units ``[first, last)`` of the second, per axis."""
    total = graph.values[source].extents
    sizes, starts, strides = [], [], []
    for axis, whole in enumerate(total):
        field = fields[target][axis]
        step = lcm(*(fields[index][axis].stride.numerator for index in range(source, target + 1) if index in fields))
        hulls = [field.hull(first, last) if first < last else (0, 0) for first, last in changed[axis]]
        least = max(stop - start for start, stop in hulls) + step - 1
        size = min(whole, least + (whole - least) % step) if least < whole else whole
        sizes.append(size)
        starts.append(tuple(min(max(start, 0) // step * step, whole - size) for start, _ in hulls))
        strides.append(field.stride)
    return Stretch(tuple(sizes), tuple(starts), tuple(strides), total)
