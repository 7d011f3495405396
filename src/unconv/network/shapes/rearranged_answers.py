"""Answers for rearrangements: views, shuffles, folds and expansions whose numbers do not come out even."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isqrt, prod

from torch.utils._pytree import tree_leaves

from unconv.network.audit.checks.meeting import maker_of
from unconv.network.audit.finding import argument, by_size
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.shapes.size_story import size_stories
from unconv.network.trace.failed import Failed
from unconv.network.trace.graph import Graph, Layer
from unconv.operators.geometry.sizes import per_axis

Shape = tuple[int, ...]


def answer_unflatten(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """An axis taken apart into sizes that do not multiply to it: ``Tensor.unflatten``."""
    given = failed.bind("input", "dim", "sizes")
    if not isinstance(given.get("dim"), int) or "sizes" not in given:
        return None
    (shape, *_), (index, *_) = failed.shapes, failed.values
    sizes, size = tuple(given["sizes"]), shape[given["dim"]]
    name = maker_of(graph, index)
    if -1 in sizes:
        return None
    what = f"{where} takes the {size} numbers of {name} apart into {by_size(sizes)}, which are {prod(sizes)}"
    fix = widened(graph, name, prod(sizes)) or f"sizes that multiply to {size}"
    return ShapeAnswer(what, (), (name, where), fix, by_input=False)


def answer_pixel_shuffle(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Channels that are no multiple of the square of the factor that they become places by."""
    factor = failed.bind("input", "upscale_factor")["upscale_factor"]
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    group = factor**2
    what = (
        f"{where} makes {factor}×{factor} places of every {group} channels, and {name} has {shape[-3]}, "
        f"{shape[-3] % group} too many"
    )
    return ShapeAnswer(what, (), (name, where), channels_out_of(graph, name, shape[-3], group), by_input=False)


def answer_pixel_unshuffle(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Sizes that are no multiple of the factor by which places become channels."""
    factor = failed.bind("input", "downscale_factor")["downscale_factor"]
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    sizes = shape[-2:]
    what = f"{where} makes channels of every {factor}×{factor} places, and {name} comes to {by_size(sizes)}"
    pads = tuple(number for size in reversed(sizes) for number in (0, -size % factor))
    story = size_stories(graph, name, [axis for axis, size in enumerate(sizes) if size % factor])
    return ShapeAnswer(what, story, (name, where), f"F.pad(x, {pads}) before it")


def answer_channel_shuffle(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Channels that are no multiple of the groups that they are mixed in."""
    groups = failed.bind("input", "groups")["groups"]
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    what = f"{where} mixes channels in {groups} groups, and {name} has {shape[1]}"
    return ShapeAnswer(what, (), (name, where), channels_out_of(graph, name, shape[1], groups), by_input=False)


def answer_fold(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Blocks, or numbers in each, that do not fit the picture that they are put together to: ``F.fold``."""
    given = {"dilation": 1, "padding": 0, "stride": 1}
    given |= failed.bind("input", "output_size", "kernel_size", "dilation", "padding", "stride")
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    names = ("output_size", "kernel_size", "dilation", "padding", "stride")
    output, kernel, dilation, padding, stride = (per_axis(where, one, given[one], 2, 0) for one in names)
    if len(shape) not in (2, 3):
        return None
    if shape[-2] % prod(kernel):
        what = (
            f"{where} takes blocks of {by_size(kernel)}, {prod(kernel)} numbers a channel, and {name} has {shape[-2]}"
        )
        return ShapeAnswer(what, (), (name, where), channels_out_of(graph, name, shape[-2], prod(kernel)), False)
    rows = tuple(zip(kernel, dilation, padding, stride, strict=True))
    counts = [(o + 2 * p - d * (k - 1) - 1) // s + 1 for o, (k, d, p, s) in zip(output, rows, strict=True)]
    what = (
        f"{where} puts blocks of {by_size(kernel)} into {by_size(output)} at {by_size(counts)} = {prod(counts)} "
        f"places, and {name} has {shape[-1]}"
    )
    side = isqrt(shape[-1])
    if side * side != shape[-1]:
        return ShapeAnswer(what, (), (name, where), f"an output_size that has {shape[-1]} places for blocks")
    size = tuple(s * (side - 1) + d * (k - 1) + 1 - 2 * p for k, d, p, s in rows)
    return ShapeAnswer(what, (), (name, where), f"output_size={size}, which has {side}×{side} places")


def answer_expand(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Axes of more than one cell that were to be repeated: ``expand``, ``expand_as``, ``broadcast_to``."""
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    size = failed.bind("self", "size").get("size", ())
    if len(size) < len(shape) or not all(isinstance(side, int) for side in size):
        return None
    ahead = len(size) - len(shape)
    wanted = tuple(old if new == -1 else new for old, new in zip((1,) * ahead + shape, size, strict=True))
    what = f"{where} expands {name}, {by_size(shape)}, to {by_size(wanted)}: only axes of 1 can be expanded"
    return ShapeAnswer(what, (), (name,), _expanded(shape, wanted), by_input=False)


def _expanded(shape: Shape, wanted: Shape) -> str:
    """What comes to a shape that no expansion comes to."""
    ahead = len(wanted) - len(shape)
    if ahead and all(a in (1, b) for a, b in zip(shape, wanted, strict=False)):
        return f"x[..., {', '.join(['None'] * ahead)}] before it: torch lines up the last axes"
    if ahead:
        return f"reshape it to {len(wanted)} axes that are 1 or equal to those of {by_size(wanted)}"
    differ = [axis for axis, (a, b) in enumerate(zip(shape, wanted, strict=True)) if a not in (1, b)]
    if differ == [0]:
        return "-1 for the batch, which stays as it is"
    if min(differ) >= 2:
        return f"F.interpolate(x, size={wanted[2:]}) in place of it"
    if all(wanted[axis] % shape[axis] == 0 for axis in differ):
        times = tuple(b // a for a, b in zip(shape, wanted, strict=True))
        return f"x.repeat{times} in place of it"
    return f"-1 for {'axis' if len(differ) == 1 else 'axes'} {', '.join(map(str, differ))}, which stays as it is"


def channels_out_of(graph: Graph, name: str, count: int, group: int) -> str:
    """The next number of channels that is a multiple, and the layer that makes it."""
    more = -(-count // group) * group
    maker = weighted_before(graph, name)
    if maker is None or maker.operator not in ("conv", "conv_transpose"):
        return f"{more} channels, or another multiple of {group}"
    return f"{more} channels out of layer {maker.name}, or another multiple of {group}"


def widened(graph: Graph, name: str, features: int) -> str:
    """The linear layer before a tensor, as it makes so many features; "" where none does."""
    layer = weighted_before(graph, name)
    if layer is None or layer.operator != "linear":
        return ""
    fix = f"nn.Linear({layer.input_shape[-1]}, {features}) in layer {layer.name}"
    norms = [one.name for one in _back(graph, name) if one.operator in ("batch_norm", "instance_norm", "layer_norm")]
    return fix + (f", and {features} in {' and '.join(norms)} behind it" if norms else "")


def weighted_before(graph: Graph, name: str) -> Layer | None:
    """The layer that made the channels of another's output, through units and norms."""
    return next((layer for layer in _back(graph, name) if layer.operator in ("conv", "conv_transpose", "linear")), None)


def _back(graph: Graph, name: str) -> Sequence[Layer]:
    """A layer and those before it, while each has one input."""
    layers: list[Layer] = []
    while name in graph and len(layers) < len(graph.layers):
        layers.append(graph[name])
        if len(layers[-1].inputs) != 1:
            break
        name = layers[-1].inputs[0]
    return layers


def answer_view(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """A view as maps of what a linear layer made, or with the batch of another call."""
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    sizes = failed.bind("self", "size").get("size", ())
    if len(sizes) < 2 or not all(isinstance(size, int) for size in sizes):
        return None
    features, rest = prod(shape[1:]), prod(sizes[1:])
    what = f"{where} reads {name}, {by_size(shape)} (batch first), as {argument(tuple(sizes))}"
    if rest == features and sizes[0] not in (-1, shape[0]):
        others = ", ".join(map(str, sizes[1:]))
        return ShapeAnswer(f"{what}: the batch is {shape[0]}", (), (name,), f"x.reshape(len(x), {others})", False)
    if -1 not in sizes[1:] and len(sizes) > len(shape) > 2 and tuple(sizes[: len(shape) - 1]) == shape[:-1]:
        # Heads of attention.
        parts, last = sizes[len(shape) - 1 :], shape[-1]
        fix = widened(graph, name, prod(parts))
        fix = f"{fix}, or sizes that multiply to {last}" if fix else f"sizes that multiply to {last}"
        return ShapeAnswer(f"{what}: {last} numbers do not fill {by_size(parts)}", (), (name, where), fix, False)
    fix = widened(graph, name, rest) if len(shape) == 2 < len(sizes) and -1 not in sizes[1:] else ""
    if not fix:
        return None
    return ShapeAnswer(f"{what}: {features} numbers do not fill {by_size(sizes[1:])}", (), (name, where), fix, False)


def answer_split(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Pieces that do not come to the size of what they are cut of: ``split``, ``split_with_sizes``."""
    given = {"dim": 0} | failed.bind("tensor", "pieces", "dim")
    # The method and the functions have names of their own for them.
    names = ("split_size_or_sections", "split_sizes", "split_size", "pieces")
    pieces = next((given[name] for name in names if name in given), None)
    shape, name, dim = failed.shapes[0], maker_of(graph, failed.values[0]), given["dim"]
    if not isinstance(pieces, (list, tuple)) or not isinstance(dim, int) or not -len(shape) <= dim < len(shape):
        return None
    size, axis = shape[dim], dim % len(shape)
    if sum(pieces) == size:
        return None
    what = (
        f"{where} splits axis {axis} of {name}, {by_size(shape)}, into {' + '.join(map(str, pieces))} = {sum(pieces)}, "
        f"and it has {size}"
    )
    fix = f"pieces that add up to {size}"
    if axis == len(shape) - 1 and (linear := widened(graph, name, sum(pieces))):
        fix = f"{linear}, or {fix}"
    maker = weighted_before(graph, name)
    if axis == 1 and len(shape) > 2 and maker is not None and maker.operator.startswith("conv"):
        fix = f"{sum(pieces)} channels out of layer {maker.name}, or {fix}"
    if axis == 0 and len(shape) > 1 and sum(pieces) == shape[1]:
        fix = "dim=1, the axis of the channels: without it the batch is split"
    return ShapeAnswer(what, (), (name,), fix, by_input=False)


def answer_permute(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """An order for another number of axes: ``permute``."""
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    rest = failed.args[1:] or (failed.kwargs.get("dims", ()),)
    order = rest[0] if len(rest) == 1 and isinstance(rest[0], (list, tuple)) else rest
    if not order or len(order) == len(shape) or not all(isinstance(axis, int) for axis in order):
        return None
    what = f"{where} permutes the {len(shape)} axes of {name}, {by_size(shape)}, by an order of {len(order)}"
    fix = f"an order of {len(shape)} axes, each once"
    if len(order) == len(shape) + 1 and order[0] == 0:
        without = ", ".join(str(axis % len(order) - 1) for axis in order[1:])
        fix = f"x.permute({without}) where it has no batch, x[None] before it for a batch of one; else {fix}"
    return ShapeAnswer(what, (), (name,), fix, by_input=False)


def answer_axis(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """An axis that a tensor does not have."""
    said = re.search(r"range of \[(-?\d+), (-?\d+)\], but got (-?\d+)", str(failed.error))
    shape = failed.shapes[0]
    axes = tree_leaves((failed.args, failed.kwargs))
    if said is None or int(said[2]) != len(shape) - 1 or int(said[3]) not in (one for one in axes if type(one) is int):
        return None
    name, asked = maker_of(graph, failed.values[0]), int(said[3])
    what = f"{where} asks for axis {asked} of {name} ({failed.operator.strip('_')}), whose shape is {by_size(shape)}"
    fix = f"an axis from 0 to {said[2]}, or from the end: -1 is the last, {said[1]} the first"
    return ShapeAnswer(what, (), (name,), fix, by_input=False)
