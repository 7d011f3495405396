"""Stretches of a network: which piece of one tensor gives what changed in another, in step with the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from unconv.network.trace.graph import Graph
from unconv.network.trace.joining import join_fields
from unconv.operators.geometry.receptive import AxisField, Interval


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
            chained = [field if link is None else field.then(link.field(), extent) for field, link in below]
            joined = chained[0]
            for field in chained[1:]:
                joined = join_fields(joined, field, extent, origin.extents[axis])
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
