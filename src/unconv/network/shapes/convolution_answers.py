"""Answers for convolutions: channels, axes and sizes that do not go with a layer or a weight."""

from __future__ import annotations

from math import gcd
from typing import Any

from unconv.network.audit.finding import argument, by_size
from unconv.network.shapes.rearranged_answers import weighted_before
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.trace.failed import Failed
from unconv.network.trace.graph import Graph

Shape = tuple[int, ...]


def answer_transposed(layer: Any, shape: tuple[int, ...], name: str, path: str) -> ShapeAnswer:
    """What is wrong with a size or an output padding, of an input of a shape that a layer of some name made.

    >>> from torch import nn
    >>> answer_transposed(nn.ConvTranspose1d(3, 4, 3, output_padding=1), (1, 3, 9), "the input", "up").fix
    'output_padding=0'
    """
    rows = zip(layer.output_padding, layer.stride, layer.dilation, strict=True)
    if any(more >= max(step, holes) for more, step, holes in rows):
        return _too_much_added(layer, shape, name, path)
    return _out_of_reach(layer, shape, name, path)


def _least(layer: Any, shape: tuple[int, ...]) -> list[int]:
    """The size of each axis without an output padding."""
    rows = zip(shape[2:], layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    return [s * (i - 1) + d * (k - 1) + 1 - 2 * p for i, k, s, p, d in rows]


def _too_much_added(layer: Any, shape: tuple[int, ...], name: str, path: str) -> ShapeAnswer:
    """An output padding that names none of the sizes that the convolution maps to the input's."""
    least, added, paddings = _least(layer, shape), layer.output_padding, layer.padding
    story = []
    for axis, (size, i, k, s, p, d) in enumerate(
        zip(least, shape[2:], layer.kernel_size, layer.stride, paddings, layer.dilation, strict=True)
    ):
        sizes = f"sizes {size} to {size + s - 1}" if s > 1 else f"size {size}"
        story.append(f"axis {axis}: o′ = {s}·({i} − 1) + {d}·({k} − 1) + 1 − 2·{p} = {size}; it maps {sizes} to {i}")
    kept = tuple(min(more, max(s, d) - 1) for more, s, d in zip(added, layer.stride, layer.dilation, strict=True))
    fix = f"output_padding={argument(kept)}"
    if all(more <= p for more, p in zip(added, paddings, strict=True)):
        # One cell more at the end is one cell of padding less there.
        pads = tuple((p, p - more) for p, more in zip(paddings, added, strict=True))
        others = (f", {name}={value!r}" for name, value in _unusual(layer))
        fix += (
            f", or, for {by_size(size + more for size, more in zip(least, added, strict=True))}, "
            f"uc.upsample.ConvTransposeTo{len(pads)}d({layer.in_channels}, {layer.out_channels}, "
            f"kernel_size={argument(layer.kernel_size)}, stride={argument(layer.stride)}, padding={pads}"
            f"{''.join(others)})"
        )
    what = (
        f"{path} has output_padding {argument(added)}, which chooses among the sizes that the convolution maps to its "
        f"input's, and must be smaller than stride {argument(layer.stride)} or dilation {argument(layer.dilation)}"
    )
    return ShapeAnswer(what, tuple(story), (name, path), fix, by_input=False)


def _unusual(layer: Any) -> list[tuple[str, Any]]:
    """Further arguments of a transposed layer that are not torch's defaults."""
    given = {"groups": (layer.groups, 1), "bias": (layer.bias is not None, True)}
    dilation = [("dilation", argument(layer.dilation))] if set(layer.dilation) != {1} else []
    return [*((name, value) for name, (value, usual) in given.items() if value != usual), *dilation]


def _out_of_reach(layer: Any, shape: tuple[int, ...], name: str, path: str) -> ShapeAnswer:
    """A size that no output padding reaches."""
    least = _least(layer, shape)
    most = [low + step - 1 for low, step in zip(least, layer.stride, strict=True)]
    reach = f"from {by_size(least)} up to {by_size(most)}"
    what = f"{path} comes to sizes {reach} from an input of {by_size(shape[2:])}, not to the size asked for"
    fix = f"an output_size {reach}, or F.interpolate(..., size=skip.shape[2:]) behind it"
    return ShapeAnswer(what, (), (name, path), fix)


def answer_convolution(layer: Any, shape: Shape, names: tuple[str, str], graph: Graph) -> ShapeAnswer | None:
    """A convolution that gets other channels, or other axes, than it takes."""
    name, path = names
    axes, takes = len(layer.kernel_size), layer.in_channels
    if len(shape) not in (axes + 1, axes + 2):
        what = (
            f"{path} takes {axes + 2} axes (batch, channel, {places_text(axes)}) and gets {by_size(shape)} from {name}"
        )
        return ShapeAnswer(what, (), names, _as_maps(layer, shape, axes, graph, name), by_input=False)
    at = len(shape) - axes - 1
    if shape[at] == takes:
        return None
    # One axis less is one image without a batch, for torch.
    read = "batch first" if at else "read as one without a batch"
    channels = "1 channel" if takes == 1 else f"{takes} channels"
    what = f"{path} takes {channels} and gets {shape[at]} from {name} ({by_size(shape)}, {read})"
    elsewhere = next((axis for axis in reversed(range(at + 1, len(shape))) if shape[axis] == takes), None)
    if elsewhere is not None and takes > 1:
        order = (*range(at), elsewhere, *(axis for axis in range(at, len(shape)) if axis != elsewhere))
        stand = "come last" if elsewhere == len(shape) - 1 else f"stand on axis {elsewhere}"
        wanted = "behind the batch" if at else "first"
        fix = f"x.permute({', '.join(map(str, order))}): its channels {stand}, and torch wants them {wanted}"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    if not at and takes == 1:
        fix = f"x[:, None] where {shape[0]} is the batch: one channel for each; else {_anew(layer, shape[0])}"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    fix = _anew(layer, shape[at])
    maker = weighted_before(graph, name)
    if maker is not None and maker.operator in ("conv", "conv_transpose"):
        fix += f", or {takes} channels out of layer {maker.name}"
    elif name not in graph and shape[at] == 1 and takes == 3:
        sizes = ", ".join(("-1",) * at + ("3",) + ("-1",) * axes)
        fix += f", or x.expand({sizes}) of a grey picture"
    elif name not in graph and shape[at] == 4 and takes == 3:
        fix += f", or x[{':, ' * at}:3] of a picture with transparency"
    return ShapeAnswer(what, (), names, fix, by_input=False)


def _anew(layer: Any, channels: int) -> str:
    """A convolution for other channels; what is left out of it stays as it is."""
    kind, out = type(layer).__name__, layer.out_channels
    groups = gcd(layer.groups, channels, out)
    added = f", groups={groups}" if layer.groups > 1 else ""
    return f"nn.{kind}({channels}, {out}, kernel_size={argument(layer.kernel_size)}{added}, ...)"


def places_text(axes: int) -> str:
    """The axes of places of maps."""
    return {1: "size", 2: "rows, columns", 3: "depth, rows, columns"}[axes]


def _as_maps(layer: Any, shape: Shape, axes: int, graph: Graph, name: str) -> str:
    """What makes maps of a tensor with another number of axes."""
    takes, kind = layer.in_channels, type(layer).__name__
    if len(shape) == axes + 3:
        frames = "x.flatten(0, 1): the first two axes as one batch"
        if shape[2] == takes:
            return f"{frames}; y.unflatten(0, {shape[:2]}) takes it apart again"
        if shape[1] == takes:
            order = ", ".join(map(str, (0, 2, 1, *range(3, len(shape)))))
            more = f"nn.{kind[:-2]}{axes + 1}d({takes}, {layer.out_channels}, ...), or " if axes < 3 else ""
            return f"{more}x.permute({order}).flatten(0, 1) before it, which makes an image of every frame"
    if name in graph and graph[name].operator == "flatten":
        return f"the layer before {name}, which flattens"
    if len(shape) == 2:
        side = round((shape[1] / takes) ** (1 / axes))
        if shape[1] == takes:
            return f"x[..., {', '.join(['None'] * axes)}], a map of one place"
        if takes * side**axes == shape[1]:
            return f"x.reshape(len(x), {takes}, {', '.join([str(side)] * axes)})"
        if takes == 1 and axes == 2:
            return "x[None, None]: a batch of one, and one channel"
    return f"x.reshape(len(x), {takes}, ...), with {axes} axes of places"


def answer_weight(failed: Failed, graph: Graph, name: str, what: str) -> ShapeAnswer | None:
    """A convolution as a function, with a weight for other channels."""
    shape, weight = failed.shapes[:2]
    given = failed.bind("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    if len(shape) != len(weight) or failed.operator.startswith("conv_transpose"):
        groups, takes, wanted = 1, weight[0], (shape[1], *weight[1:])
    else:
        groups = given.get("groups", 1)
        takes, wanted = weight[1] * groups, (weight[0], shape[1] // groups, *weight[2:])
    if len(shape) != len(weight) or shape[1] == takes:
        return None
    maker = weighted_before(graph, name)
    fix = f"a weight of {by_size(wanted)}" if not shape[1] % groups else f"channels in multiples of {groups}"
    if maker is not None and maker.operator in ("conv", "conv_transpose"):
        fix += f", or {takes} channels out of layer {maker.name}"
    what = f"{what} a weight of {by_size(weight)}, which takes {takes} channels: it has {shape[1]}"
    return ShapeAnswer(what, (), (name,), fix, by_input=False)
