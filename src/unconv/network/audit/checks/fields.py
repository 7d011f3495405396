"""Receptive-field rules: units that see less than the input, or many times as much."""

from __future__ import annotations

from collections.abc import Iterator

from unconv.network.audit.finding import Finding, Subject, argument, by_size
from unconv.network.trace.graph import Layer

MANY = 10
"""A field of more than so many inputs, along an axis, is reported."""


def check_fields(subject: Subject) -> Iterator[Finding]:
    """``small-field`` and ``large-field``, of the last layer with a window before positions are summed up."""
    size = subject.graph.image_size
    last = _last(subject)
    if last is None or not size:
        return
    layer, read = last
    # What mixes positions without a window, as attention does, comes after the last window.
    seen = read.receptive_field.size
    if read.receptive_field.covers_everything or len(seen) != len(size):
        return
    if seen != layer.receptive_field.size:
        layer = read
    if all(one < whole for one, whole in zip(seen, size, strict=True)):
        yield Finding(
            "small-field",
            layer.name,
            f"its units see {by_size(seen)} of {by_size(size)}, and then positions are summed up: nothing tells apart "
            "what is farther away from each other",
            "more layers, strides or dilation before the pooling, or a smaller input",
        )
    elif any(one > MANY * whole for one, whole in zip(seen, size, strict=True)):
        ratio = max(one / whole for one, whole in zip(seen, size, strict=True))
        yield Finding(
            "large-field",
            layer.name,
            f"its units see {by_size(seen)}, {ratio:.0f} times the input {by_size(size)}: most of it is padding",
            f"a smaller stride in the first layers, or an input of about {argument(tuple(one // 2 for one in seen))}",
        )


def _last(subject: Subject) -> tuple[Layer, Layer] | None:
    """The last convolution that a pooling over all positions reads from, and the layer that it reads."""
    graph = subject.graph
    for layer in graph:
        pooled = layer.operator in ("adaptive_avg_pool", "adaptive_max_pool", "mean", "amax")
        if not pooled or len(layer.input_shape) < 2 or any(one != 1 for one in layer.output_shape[1:]):
            continue
        names, seen = list(layer.inputs), set[str]()
        found: list[Layer] = []
        while names:
            name = names.pop()
            if name in seen:
                continue
            seen.add(name)
            one = graph[name]
            if one.geometry is not None:
                found.append(one)
            else:
                names.extend(one.inputs)
        # A squeeze over positions that is multiplied back in is no end of positions.
        rest = [one for one in graph.layers[graph.layers.index(layer) + 1 :] if one.geometry is not None]
        if found and not any(max(one.output_shape[1:], default=1) > 1 for one in rest):
            read = [graph[name] for name in layer.inputs]
            return max(found, key=graph.layers.index), max(read, key=graph.layers.index)
    return None
