"""Answers for layers with conditions of their own: paddings, unpoolings, norms, numbers of axes."""

from __future__ import annotations

import re
from math import gcd
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from unconv.network.audit.checks.meeting import maker_of, padded_to
from unconv.network.audit.finding import argument, by_size
from unconv.network.shapes.convolution_answers import answer_weight, places_text
from unconv.network.shapes.sequence_answers import answer_recurrent
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.shapes.size_story import size_stories
from unconv.network.trace.failed import Failed
from unconv.network.trace.graph import Graph
from unconv.network.trace.operation import ModuleCall
from unconv.operators.geometry.sizes import per_axis

Shape = tuple[int, ...]


def answer_padding(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """A padding that asks for more cells than there are: reflections, circles, crops by negative numbers."""
    given = failed.bind("input", "pad", "mode", "value")
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    mode, pads = given.get("mode", "constant"), tuple(given["pad"])
    count = len(pads) // 2
    if len(shape) <= count or count == 0:
        return None
    sizes = shape[-count:]
    pairs = [pads[2 * n : 2 * n + 2] for n in reversed(range(count))]
    if mode in ("reflect", "circular"):
        most = [size - 1 if mode == "reflect" else size for size in sizes]
        axes = [axis for axis, pair in enumerate(pairs) if max(pair) > most[axis]]
        if not axes:
            return None
        reach = f"which takes at most {by_size(most)}"
        what = f"{where} pads {by_size(sizes)} from {name} by {_pads(pairs)} in mode {mode}, {reach}"
        other = f"nn.ReplicationPad{count}d"
        fix = (
            f'mode="replicate" or {other}, which repeat the border; a padding of at most {by_size(most)}, or a larger '
            "input"
        )
        return ShapeAnswer(what, size_stories(graph, name, axes), (name, where), fix)
    if all(size + sum(pair) > 0 for size, pair in zip(sizes, pairs, strict=True)):
        return None
    what = f"{where} crops {by_size(sizes)} from {name} by {_pads(pairs)}: nothing is left"
    return ShapeAnswer(
        what, size_stories(graph, name, range(count)), (name, where), "a smaller crop, or a larger input"
    )


def _pads(pairs: list[Shape]) -> str:
    return " and ".join(dict.fromkeys(f"{before} + {behind}" for before, behind in pairs))


def answer_unpooling(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Indices of another shape than the numbers that they place, or an output size out of reach."""
    given: dict[str, Any] = {"padding": 0, "stride": None, "output_size": None}
    given |= failed.bind("input", "indices", "kernel_size", "stride", "padding", "output_size")
    (shape, *others), (index, *_) = failed.shapes, failed.values
    name = maker_of(graph, index)
    if not others or len(shape) != len(others[0]):
        return None
    if shape != others[0]:
        what = f"{where} places the numbers of {name}, {by_size(shape)}, by indices of a pooling, {by_size(others[0])}"
        return ShapeAnswer(what, (), (name, where), _as_indices(graph, name, shape, others[0]), by_input=False)
    count = int(failed.operator[-2])
    kernel = per_axis(where, "kernel_size", given["kernel_size"], count, 1)
    stride = per_axis(where, "stride", given["stride"] or kernel, count, 1)
    padding = per_axis(where, "padding", given["padding"], count, 0)
    rows = tuple(zip(shape[-count:], kernel, stride, padding, strict=True))
    usual = [(size - 1) * s + k - 2 * p for size, k, s, p in rows]
    low = [max(size - s + 1, 1) for size, s in zip(usual, stride, strict=True)]
    high = [size + s - 1 for size, s in zip(usual, stride, strict=True)]
    if given["output_size"] is None:
        return None
    asked = tuple(given["output_size"])[-count:]
    what = (
        f"{where} comes from {by_size(shape[-count:])} to {by_size(low)} up to {by_size(high)}, not to {by_size(asked)}"
    )
    fix = f"an output_size from {by_size(low)} up to {by_size(high)}: the size of what the pooling was given"
    return ShapeAnswer(what, (), (name, where), fix, by_input=False)


def _as_indices(graph: Graph, name: str, shape: Shape, wanted: Shape) -> str:
    """What brings a tensor to the shape of indices."""
    if shape[2:] == wanted[2:]:
        mix = f"nn.Conv{len(shape) - 2}d({shape[1]}, {wanted[1]}, 1) before it"
        return f"{wanted[1]} channels out of layer {name}, or {mix}"
    resize = f"F.interpolate(x, size={wanted[2:]}) before it"
    padded = padded_to(graph, name, shape[2:], wanted[2:])
    return f"{padded}, or {resize}" if padded else resize


def answer_one_value(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Statistics over one number: batch norm of one value a channel in training, instance norm of one cell."""
    if "more than 1" not in str(failed.error):
        return None
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    if failed.operator == "batch_norm":
        what = (
            f"{where} is in training mode and gets one number for each channel from {name}, {by_size(shape)} (batch "
            "first): one number has no variance"
        )
        groups = f"nn.GroupNorm(1, {shape[1]})" if shape[1] > 1 else "no norm"
        fix = (
            "batches of two or more (drop_last=True in the DataLoader), model.eval() where it is not trained, or "
            f"{groups} in its place"
        )
        return ShapeAnswer(what, (), (name, where), fix, by_input=False)
    kind = "each channel of each image" if failed.operator == "instance_norm" else "each group of channels"
    what = f"{where} gets one number for {kind} from {name}, {by_size(shape)} (batch first): one number has no variance"
    story = size_stories(graph, name, range(len(shape) - 2))
    fix = f"nn.GroupNorm(1, {shape[1]}) in its place, which takes all channels together, or a larger input"
    if failed.operator == "group_norm":
        fix = "fewer groups, or a larger input"
    return ShapeAnswer(what, story, (name, where), fix)


def answer_layer(graph: Graph, module: ModuleCall) -> ShapeAnswer | None:
    """What a layer's own checks refuse, before anything is computed."""
    layer: Any = module.module
    shape, path = module.input_shapes[0], module.path or "the layer"
    name = maker_of(graph, module.input_values[0])
    names = (name, path)
    if isinstance(layer, nn.RNNBase | nn.RNNCellBase):
        return answer_recurrent(layer, module.input_shapes, names)
    if isinstance(layer, nn.Bilinear) and len(module.input_shapes) > 1:
        takes, gets = (layer.in1_features, layer.in2_features), tuple(one[-1] for one in module.input_shapes[:2])
        if takes != gets:
            fix = f"nn.Bilinear({gets[0]}, {gets[1]}, {layer.out_features})"
            what = f"{path} takes {takes[0]} and {takes[1]} features and gets {gets[0]} and {gets[1]}"
            return ShapeAnswer(what, (), names, fix, by_input=False)
    if isinstance(layer, nn.PReLU) and len(shape) > 1 and layer.num_parameters not in (1, shape[1]):
        what = f"{path} has slopes for {layer.num_parameters} channels and gets {shape[1]} from {name}"
        return ShapeAnswer(what, (), names, f"nn.PReLU({shape[1]}), or nn.PReLU() for one slope", by_input=False)
    if isinstance(layer, _NormBase):
        return _norm_axes(layer, shape, names)
    return None


def _norm_axes(layer: Any, shape: Shape, names: tuple[str, str]) -> ShapeAnswer | None:
    """A norm for another number of axes."""
    kind = type(layer).__name__
    if not kind[-2:-1].isdigit():
        return None
    axes, stem = int(kind[-2]), kind[:-2]
    if len(shape) == axes + 2 or (axes == 1 and len(shape) in (2, 3)):
        return None
    if len(shape) == 1:
        what = f"{names[1]} takes channels of a batch and gets {by_size(shape)} from {names[0]}, without a batch"
        fix = "x.flatten(1) where axes are dropped: x.squeeze() drops a batch of one too"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    what = f"{names[1]} takes {axes + 2} axes (batch, channel, size) and gets {by_size(shape)}"
    if len(shape) == axes + 1 and axes > 1:
        return ShapeAnswer(f"{what}: one image without a batch", (), names, "x[None] at the input", by_input=False)
    if not 2 <= len(shape) <= 5:
        return None
    return ShapeAnswer(what, (), names, f"nn.{stem}{max(len(shape) - 2, 1)}d({layer.num_features})", by_input=False)


def answer_several(graph: Graph, module: ModuleCall, error: Exception) -> ShapeAnswer | None:
    """Several values in place of a tensor, as a recurrent layer returns them."""
    said = re.search(r"must be Tensor, not (tuple|list|dict)", str(error))
    if said is None or module.input_values[0] is None:
        return None
    path, name = module.path or "the layer", maker_of(graph, module.input_values[0])
    shapes = ", ".join(by_size(shape) or "one number" for shape in module.input_shapes)
    what = f"{path} takes a tensor and gets a {said[1]} of {len(module.input_shapes)} ({shapes})"
    operator = graph[name].operator if name in graph else ""
    if operator in ("lstm", "gru", "rnn"):
        what = f"{what}: {name} returns its output and its last states"
        return ShapeAnswer(what, (), (name, path), f"output, states = self.{name}(x), and output to {path}", False)
    return ShapeAnswer(
        what, (), (name, path), f"one of them to {path}, as {'x[0]' if said[1] != 'dict' else 'x[name]'}", False
    )


def answer_norm(layer: Any, shape: Shape, names: tuple[str, str]) -> ShapeAnswer | None:
    """A norm for other channels, or for other last axes, than it gets."""
    name, path = names
    for attribute in ("num_features", "num_channels"):
        count = getattr(layer, attribute, None)
        if count is None or len(shape) < 2 or shape[1] == count:
            continue
        what = f"{path} takes {count} channels and gets {shape[1]} from {name} ({by_size(shape)}, batch first)"
        if len(shape) == 3 and shape[-1] == count:
            fix = "x.transpose(1, 2) before it and behind it: its features come last"
            return ShapeAnswer(what, (), names, fix, by_input=False)
        groups = f"{gcd(layer.num_groups, shape[1])}, " if attribute == "num_channels" else ""
        return ShapeAnswer(what, (), names, f"nn.{type(layer).__name__}({groups}{shape[1]})", by_input=False)
    normalised = getattr(layer, "normalized_shape", None)
    if normalised is None or tuple(shape[-len(normalised) :]) == tuple(normalised):
        return None
    what = f"{path} takes {by_size(normalised)} as last axes and gets {by_size(shape)}"
    kind = type(layer).__name__
    if len(normalised) == 1 and len(shape) > 2 and shape[1] == normalised[0]:
        back = ", ".join(map(str, (0, len(shape) - 1, *range(1, len(shape) - 1))))
        order = ", ".join(map(str, (0, *range(2, len(shape)), 1)))
        fix = (
            f"nn.GroupNorm(1, {shape[1]}), or x.permute({order}) before it and x.permute({back}) behind it: its "
            "channels stand behind the batch"
        )
        return ShapeAnswer(what, (), names, fix, by_input=False)
    fix = f"nn.{kind}({argument(tuple(shape[-len(normalised) :]))})"
    return ShapeAnswer(what, (), names, fix, by_input=len(normalised) > 1)


# Poolings by the names of functions and methods, with the number of axes at their ends.
POOLINGS = tuple(
    f"{kind}_pool{axes}d{more}" for kind in ("max", "avg", "lp") for axes in (1, 2, 3) for more in ("", "_with_indices")
)
# Convolutions and norms that are called as functions, with weights that they are given.
FUNCTIONAL = (
    *(f"conv{more}{axes}d" for more in ("", "_transpose") for axes in (1, 2, 3)),
    *("batch_norm", "group_norm", "layer_norm", "instance_norm"),
)


def answer_pooling(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """A pooling of maps that are smaller than its kernel, or of what has other axes."""
    axes = int(failed.operator.strip("_").partition("pool")[2][0])
    given = failed.bind("input", *(("norm_type",) if failed.operator.startswith("lp") else ()), "kernel_size")
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    if len(shape) not in (axes + 1, axes + 2):
        what = f"{where} pools over {axes} axes of places and gets {by_size(shape)} from {name}"
        fix = f"{axes + 2} axes, (batch, channel, {places_text(axes)})"
        if name in graph and graph[name].operator == "flatten":
            fix = f"the pooling before {name}, which flattens"
        elif 3 <= len(shape) <= 5:
            fix = f"a pooling of {len(shape) - 2} axes, as nn.MaxPool{len(shape) - 2}d"
        return ShapeAnswer(what, (), (name, where), fix, by_input=False)
    if "kernel_size" not in given or "small" not in str(failed.error):
        return None
    return answer_small(graph, (name, where), shape, given["kernel_size"])


def answer_small(graph: Graph, names: tuple[str, str], shape: Shape, kernel: Any) -> ShapeAnswer:
    """A kernel that is larger than the maps that it gets."""
    name, path = names
    axes = len(kernel) if isinstance(kernel, (list, tuple)) else len(shape) - 2
    sizes = shape[-axes:]
    size = per_axis(path, "kernel_size", kernel, axes, 1)
    story = size_stories(graph, name, range(axes))
    what = f"{path} has a kernel of {argument(size)} and gets {by_size(sizes)} from {name}"
    return ShapeAnswer(what, story, names, "a larger input, fewer strides before it, or more padding")


def answer_functional(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """A convolution or a norm with weights, or groups, for other channels: ``F.conv2d``, ``F.group_norm``."""
    one_value = answer_one_value(failed, graph, where)
    if one_value is not None or not failed.values or len(failed.shapes[0]) < 2:
        return one_value
    operator, shape, name = failed.operator, failed.shapes[0], maker_of(graph, failed.values[0])
    what = f"{where} gives {operator} {name}, {by_size(shape)} (batch first), with"
    if operator == "layer_norm":
        sizes = tuple(failed.bind("input", "normalized_shape").get("normalized_shape", ()))
        if not sizes or shape[-len(sizes) :] == sizes:
            return None
        fix = f"normalized_shape={shape[-len(sizes) :]}"
        if len(sizes) == 1 and len(shape) > 2 and shape[1] == sizes[0]:
            fix = f"F.group_norm(x, 1), which takes the channels behind the batch; or {fix}"
        return ShapeAnswer(f"{what} last axes of {by_size(sizes)}", (), (name,), fix, by_input=False)
    if operator == "group_norm":
        groups = failed.bind("input", "num_groups").get("num_groups")
        if not isinstance(groups, int) or not shape[1] % groups:
            return None
        fix = f"num_groups={gcd(groups, shape[1])}, or another divisor of {shape[1]}"
        return ShapeAnswer(f"{what} {groups} groups: {shape[1]} channels", (), (name,), fix, by_input=False)
    if len(failed.shapes) < 2 or not failed.shapes[1]:
        return None
    weight = failed.shapes[1]
    if not operator.startswith("conv"):
        fix = f"statistics and weights of {shape[1]} channels"
        what = f"{what} numbers for {weight[0]} channels: {shape[1]}"
        return None if weight[0] == shape[1] else ShapeAnswer(what, (), (name,), fix, by_input=False)
    return answer_weight(failed, graph, name, what)
