"""Answers for layers with conditions of their own: paddings, unpoolings, norms, recurrence, attention."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from unconv.network.audit.checks.meeting import maker_of, padded_to
from unconv.network.audit.finding import by_size
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
        return _recurrent(layer, module.input_shapes, names)
    if isinstance(layer, nn.MultiheadAttention) and shape[-1] != layer.embed_dim:
        what = f"{path} takes {layer.embed_dim} features and gets {shape[-1]}"
        fix = f"nn.Linear({shape[-1]}, {layer.embed_dim}) before it"
        return ShapeAnswer(what, (), names, fix, by_input=False)
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


def _recurrent(layer: Any, shapes: tuple[Shape, ...], names: tuple[str, str]) -> ShapeAnswer | None:
    """The features, axes or first states of a recurrent layer or cell."""
    shape, path, kind = shapes[0], names[1], type(layer).__name__
    cell = isinstance(layer, nn.RNNCellBase)
    most = 2 if cell else 3
    if len(shape) > most:
        order = "transpose(1, 2)" if getattr(layer, "batch_first", True) else "permute(2, 0, 1)"
        fix = "x.flatten(1)" if cell else f"x.flatten(2).{order} before it, which makes a step of every place"
        if not cell and shape[1] != layer.input_size:
            fix += f", and nn.{kind}({shape[1]}, {layer.hidden_size}, ...)"
        takes = "(batch, features)" if cell else "steps with features, in a batch,"
        return ShapeAnswer(f"{path} takes {takes} and gets {by_size(shape)}", (), names, fix, by_input=False)
    if shape[-1] != layer.input_size:
        what = f"{path} takes {layer.input_size} features and gets {shape[-1]}"
        return ShapeAnswer(what, (), names, f"nn.{kind}({shape[-1]}, {layer.hidden_size}, ...)", by_input=False)
    if cell or len(shape) != 3:
        return None
    batch, steps = (shape[0], shape[1]) if layer.batch_first else (shape[1], shape[0])
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    width = getattr(layer, "proj_size", 0) or layer.hidden_size
    wanted = (count, batch, width)
    given = next((one for one in shapes[1:] if one != wanted), None)
    if given is None:
        return None
    axes = "(layers × directions, batch, features)"
    what = f"{path} takes first states of {by_size(wanted)} {axes} and gets {by_size(given)}"
    if given == (count, steps, width):
        order = "batch_first=False" if layer.batch_first else "batch_first=True"
        return ShapeAnswer(f"{what}: batch and steps are swapped", (), names, f"{order} in {path}", by_input=False)
    return ShapeAnswer(what, (), names, f"torch.zeros{wanted} for each of them", by_input=False)


def _norm_axes(layer: Any, shape: Shape, names: tuple[str, str]) -> ShapeAnswer | None:
    """A norm for another number of axes."""
    kind = type(layer).__name__
    if not kind[-2:-1].isdigit():
        return None
    axes, stem = int(kind[-2]), kind[:-2]
    if len(shape) == axes + 2 or (axes == 1 and len(shape) in (2, 3)):
        return None
    what = f"{names[1]} takes {axes + 2} axes (batch, channel, size) and gets {by_size(shape)}"
    if len(shape) == axes + 1 and axes > 1:
        return ShapeAnswer(f"{what}: one image without a batch", (), names, "x[None] at the input", by_input=False)
    if not 2 <= len(shape) <= 5:
        return None
    return ShapeAnswer(what, (), names, f"nn.{stem}{max(len(shape) - 2, 1)}d({layer.num_features})", by_input=False)
