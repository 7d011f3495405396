"""Size stories: the arithmetic of every layer on the way that changed a size."""

from __future__ import annotations

from unconv.network.trace.graph import Graph, Layer

LONGEST = 8


def size_story(graph: Graph, name: str, axis: int) -> list[str]:
    """One line for each layer on the way to one, the input first, that changed the size along an axis.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> graph = trace(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2)), (1, 45, 44))
    >>> size_story(graph, "1", axis=0)
    ['the input: 45', '1 (max_pool): o = ⌊(45 − 2)/2⌋ + 1 = 22']
    """
    sizes = graph.input_sizes[0][1:]
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
    if axis < len(sizes):
        lines.append(f"the input: {sizes[axis]}")
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
