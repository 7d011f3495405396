"""Reach: which cells of the tensors before it a unit is computed from, and what a forward pass can leave out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from unconv.network.trace.graph import Graph
from unconv.operators.geometry.receptive import Interval


@dataclass(frozen=True)
class Reached:
    """A convolution on the way to a layer.

    Attributes:
        value: index of the tensor that it returns.
        channels: of that tensor.
        kernel_size: per axis.
        strides: pixels of the image per cell, per axis; empty where cells have no place in the image.
    """

    value: int
    channels: int
    kernel_size: tuple[int, ...]
    strides: tuple[Fraction, ...]


def convolutions_before(graph: Graph, last: int) -> tuple[Reached, ...]:
    """The convolutions that run until a tensor, by its index, is there, in the order in which they do.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> graph = trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.Conv2d(8, 4, 5)), (3, 32, 32))
    >>> [(found.kernel_size, found.strides) for found in convolutions_before(graph, graph.value_of("2").index)]
    [((3, 3), (Fraction(1, 1), Fraction(1, 1))), ((5, 5), (Fraction(2, 1), Fraction(2, 1)))]
    """
    found = []
    for one in graph.layers:
        value = graph.value_of(one.name)
        if one.operator != "conv" or value.index > last:
            continue
        assert one.geometry is not None
        placed = value.present == tuple(range(len(value.extents)))
        strides = tuple(axis.stride for axis in value.field.axes) if placed else ()
        found.append(Reached(value.index, one.output_shape[0], one.geometry.kernel_size, strides))
    return tuple(found)


def cells_along(graph: Graph, last: int, axis: int, unit: int) -> dict[int, Interval]:
    """For every tensor that a unit is computed from, by index, the interval of its cells along an axis.

    The unit is one along that axis of the tensor with the index ``last``. What lies outside the intervals has no
    influence on it.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> graph = trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.Conv2d(8, 4, 5)), (3, 32, 32))
    >>> list(cells_along(graph, graph.value_of("2").index, axis=0, unit=10).values())
    [(10, 11), (10, 15), (20, 30), (20, 32)]
    """
    needed: dict[int, set[int]] = {last: {unit}}
    intervals: dict[int, Interval] = {}
    for index in range(last, -1, -1):
        cells = needed.pop(index, None)
        if not cells:
            continue
        intervals[index] = min(cells), max(cells) + 1
        for parent, links in graph.values[index].parents:
            link = links[axis]
            found = cells if link is None else link.cells(cells, graph.values[parent].extents[axis])
            needed.setdefault(parent, set()).update(found)
    return intervals
