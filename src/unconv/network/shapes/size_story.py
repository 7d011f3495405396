"""Size stories: the arithmetic of every layer on the way that changed a size."""

from __future__ import annotations

from collections.abc import Sequence

from unconv.network.trace.graph import Graph, Layer

LONGEST = 8


def size_stories(graph: Graph, name: str, axes: Sequence[int]) -> tuple[str, ...]:
    """How a layer came to its size along some axes: what is the same for all of them once.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> size_stories(trace(nn.Sequential(nn.MaxPool2d(2)), (1, 45, 45)), "0", [0, 1])
    ('0, every axis:', '  the input: 45', '  0 (max_pool): o = ⌊(45 − 2)/2⌋ + 1 = 22')
    """
    stories = {axis: size_story(graph, name, axis) for axis in axes}
    if len(stories) > 1 and len({tuple(lines) for lines in stories.values()}) == 1:
        return (f"{name}, every axis:", *(f"  {line}" for line in stories[axes[0]]))
    return tuple(line for axis in axes for line in (f"{name}, axis {axis}:", *(f"  {line}" for line in stories[axis])))


def size_story(graph: Graph, name: str, axis: int) -> list[str]:
    """One line for each layer on the way to one, the input first, that changed the size along an axis.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> graph = trace(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2)), (1, 45, 44))
    >>> size_story(graph, "1", axis=0)
    ['the input: 45', '1 (max_pool): o = ⌊(45 − 2)/2⌋ + 1 = 22']
    """
    lines: list[str] = []
    layer = _found(graph, name)
    while layer is not None:
        source = _source(graph, layer, axis)
        line = _line(layer, source, axis)
        if line:
            lines.append(f"{layer.name} ({layer.operator}): {line}")
        layer = source
    if len(lines) > LONGEST:
        lines = [*lines[: LONGEST - 1], "..."]
    root = graph.root_of(name)
    sizes = graph.input_sizes[root][1:]
    if axis < len(sizes):
        lines.append(f"{graph.input_name(root)}: {sizes[axis]}")
    return lines[::-1]


def _source(graph: Graph, layer: Layer, axis: int) -> Layer | None:
    """The layer whose size it takes along an axis: of several, the first that is not broadcast to it."""
    inputs = [found for name in layer.inputs if (found := _found(graph, name)) is not None]
    size = layer.output_shape[1 + axis : 2 + axis]
    alike = [one for one in inputs if len(inputs) > 1 and one.output_shape[1 + axis : 2 + axis] == size]
    return next(iter(alike or inputs), None)


def _found(graph: Graph, name: str) -> Layer | None:
    # The empty name is the whole network's.
    if not name or name not in graph:
        return None
    return graph[name]


def _line(layer: Layer, source: Layer | None, axis: int) -> str:
    shape = source.output_shape if source is not None and len(layer.inputs) > 1 else layer.input_shape
    before, after = shape[1:], layer.output_shape[1:]
    if axis >= len(before) or axis >= len(after):
        return f"{'×'.join(map(str, shape))} to {'×'.join(map(str, layer.output_shape))}"
    if before[axis] == after[axis]:
        return ""
    geometry = layer.geometry
    return f"{before[axis]} to {after[axis]}" if geometry is None else geometry.working[axis]
