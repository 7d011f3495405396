"""Padding before a layer: cells at the ends of a tensor that hold nothing of their own, whoever put them there."""

from __future__ import annotations

from typing import NamedTuple

from unconv.network.trace import layout as lay
from unconv.network.trace.graph import Graph, Layer
from unconv.network.trace.links import Link, Listed, Window
from unconv.network.trace.values import Value
from unconv.operators.geometry.walk import Walk


class Ends(NamedTuple):
    """Cells of padding before and after the others, along one axis.

    Attributes:
        before, after: cells that are padding of any kind.
        constants_before, constants_after: of these, the outermost ones that hold a constant; where padding repeats
            cells of the input, by reflection say, it does carry something of it.
    """

    before: int = 0
    after: int = 0
    constants_before: int = 0
    constants_after: int = 0


def padding_ends(graph: Graph) -> list[tuple[Ends, ...]]:
    """For every tensor, by index, its padding along each axis of the input.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> graph = trace(nn.Sequential(nn.ReflectionPad1d((1, 0)), nn.ConstantPad1d(2, 0.5)), (3, 8))
    >>> padding_ends(graph)[-1]
    (Ends(before=3, after=2, constants_before=2, constants_after=2),)
    """
    ends: list[tuple[Ends, ...]] = []
    for value in graph.values:
        rows = []
        for axis, extent in enumerate(value.extents):
            branches = [
                _passed(ends[parent][axis], links[axis], graph.values[parent].extents[axis], extent)
                for parent, links in value.parents
            ]
            # Where branches meet, a cell is padding if it is in all of them.
            rows.append(Ends(*map(min, zip(*branches, strict=True))) if branches else Ends())
        ends.append(tuple(rows))
    return ends


def _passed(below: Ends, link: Link | None, size: int, extent: int) -> Ends:
    """The padding of a tensor of ``extent`` cells that reads one of ``size``."""
    if link is None:
        return below
    if isinstance(link, Listed):
        if any(link.repeated):
            before, after = link.repeated
            constants = (0 if before else below.constants_before, 0 if after else below.constants_after)
            return Ends(below.before + before, below.after + after, *constants)
        before = next((n for n, cells in enumerate(link.reads) if cells), 0)
        after = next((n for n, cells in enumerate(reversed(link.reads)) if cells), 0)
        return Ends(before, after, before, after)
    if not isinstance(link, Window) or (link.kernel_size, link.stride) != (1, 1):
        return Ends()
    front, back = link.pad_before, extent - size - link.pad_before
    return Ends(*(max(0, cells + more) for cells, more in zip(below, (front, back, front, back), strict=True)))


def padded_walks(graph: Graph, ends: list[tuple[Ends, ...]], layer: Layer, constant: bool = False) -> tuple[Walk, ...]:
    """Per axis, the window of a layer over what it reads without padding; of constants alone if so asked.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> graph = trace(nn.Sequential(nn.ZeroPad1d((1, 0)), nn.Conv1d(3, 8, 3, padding=1)), (3, 8))
    >>> padded_walks(graph, padding_ends(graph), graph["1"])
    (Walk(input_size=8, output_size=9, kernel_size=3, stride=1, pad_before=2, dilation=1),)
    """
    geometry = layer.geometry
    assert geometry is not None
    read = _read_by(graph, layer)
    if read is None or len(read.layout) < geometry.dimensions:
        return geometry.walks
    walks = []
    for walk, dim in zip(geometry.walks, read.layout[-geometry.dimensions :], strict=True):
        axes = lay.axes_in(dim)
        found = ends[read.index][min(axes)] if len(axes) == 1 and lay.dim_size(dim) == walk.input_size else Ends()
        before, after = found[2:] if constant else found[:2]
        own = walk.input_size - before - after
        sizes = (walk.output_size, walk.kernel_size, walk.stride, walk.pad_before + before, walk.dilation)
        walks.append(Walk(own, *sizes) if own > 0 else walk)
    return tuple(walks)


def _read_by(graph: Graph, layer: Layer) -> Value | None:
    """The tensor over which the window of a layer steps; None where that is not one."""
    value = graph.value_of(layer.name)
    while len(value.parents) == 1:
        parent, links = value.parents[0]
        if any(links):
            return graph.values[parent]
        value = graph.values[parent]
    return None
