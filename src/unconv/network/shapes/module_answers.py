"""Answers by module: what is to be said, and done, where shapes do not fit."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import nn

from unconv.network.audit.checks.meeting import Mismatch, find_mismatch, maker_of, upsampled_first, way_out
from unconv.network.audit.finding import argument, by_size
from unconv.network.shapes.layer_answers import answer_layer, answer_one_value, answer_padding, answer_unpooling
from unconv.network.shapes.loss_answers import answer_loss
from unconv.network.shapes.rearranged_answers import (
    answer_channel_shuffle,
    answer_expand,
    answer_fold,
    answer_pixel_shuffle,
    answer_pixel_unshuffle,
    answer_unflatten,
    answer_view,
)
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.shapes.size_story import size_stories, size_story
from unconv.network.shapes.transposed_answers import answer_transposed
from unconv.network.trace.build_graph import build_graph
from unconv.network.trace.failed import Failed
from unconv.network.trace.graph import Graph
from unconv.network.trace.operation import CLASS_LOSSES, LOSSES, ModuleCall
from unconv.network.trace.record import Recorder

Sizes = tuple[tuple[int, ...], ...]


def answer_shapes(recorder: Recorder, sizes: Sizes, error: Exception) -> ShapeAnswer | None:
    """The answer to a failed pass; None where its failure is not about shapes."""
    stack = recorder.stack
    failed = recorder.failed
    graph = build_graph(recorder, sizes)
    module = stack[-1] if stack else None
    if failed is not None:
        name = failed.operator.rstrip("_")
        loss = answer_loss(failed, graph) if name in LOSSES | CLASS_LOSSES else None
        if loss is not None:
            return loss
        mismatch = find_mismatch(recorder, sizes)
        if mismatch is not None:
            return _meeting(mismatch)
    # The function that was called says more than what torch makes of it.
    where = _where(module)
    for function in reversed(recorder.failed_functions):
        answers_function = _BY_FUNCTION.get(function.operator.rstrip("_"))
        answer = answers_function(function, graph, where) if answers_function and function.shapes else None
        if answer is not None:
            return answer
    for names, answers in _BY_OPERATOR if failed is not None else ():
        if failed is not None and failed.operator.rstrip("_") in names:
            return answers(failed, graph, module, error)
    return _module_answer(graph, module, error)


def _meeting(found: Mismatch) -> ShapeAnswer:
    (first, one), (second, two) = upsampled_first(found)
    axes = [axis for axis, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    # What an input's size is stands in the first line.
    story = [line for name in (first, second) if name in found.graph for line in size_stories(found.graph, name, axes)]
    return ShapeAnswer(
        f"{first} comes to {by_size(one)} and {second} to {by_size(two)}; {found.where or 'the model'} joins them "
        f"({found.operator})",
        tuple(story),
        (first, second),
        way_out(found, (first, one), (second, two)),
    )


def _joined(failed: Failed, graph: Graph, module: ModuleCall | None, _error: Exception) -> ShapeAnswer | None:
    """Tensors that are joined and differ in channels or in their number of axes."""
    shapes = failed.shapes
    other = next((n for n, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is None:
        return None
    names = tuple(maker_of(graph, failed.values[n]) for n in (0, other))
    one, two = shapes[0], shapes[other]
    where = _where(module)
    what = f"{names[0]} is {by_size(one)} and {names[1]} {by_size(two)}; {where} joins them ({failed.operator})"
    if len(one) != len(two):
        short, long = sorted((one, two), key=len)
        index = 0 if short == one else 1
        if len(short) == 2 and short == long[:2]:
            axes = ", ".join(["None"] * (len(long) - 2))
            fix = f"x[..., {axes}] of {names[index]}: torch lines up the last axes, and these are its channels"
        elif len(short) == 1 and short[0] == long[1]:
            fix = f"x.reshape(1, -1{', 1' * (len(long) - 2)}) of {names[index]}: torch lines up the last axes"
        else:
            fix = f"reshape {names[index]} to {len(long)} axes that are 1 or equal to those of {by_size(long)}"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    differ = [axis for axis, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    if differ == [1] and len(one) > 2 and failed.operator != "cat":
        fix = f"nn.Conv{len(one) - 2}d({two[1]}, {one[1]}, 1) behind {names[1]}, or torch.cat([a, b], 1)"
        return ShapeAnswer(f"{what}: {one[1]} channels against {two[1]}", (), names, fix, by_input=False)
    if differ == [1] and len(one) == 2:
        return ShapeAnswer(what, (), names, f"nn.Linear({two[1]}, {one[1]}) behind {names[1]}", by_input=False)
    if 0 in differ:
        fix = "keep the batch in front: x.flatten(1), or x.reshape(len(x), ...), where it was lost"
        return ShapeAnswer(f"{what}: {one[0]} against {two[0]} in the batch", (), names, fix, by_input=False)
    return None


def _product(failed: Failed, graph: Graph, module: ModuleCall | None, _error: Exception) -> ShapeAnswer | None:
    """A product of matrices, mostly of a linear layer behind a flatten."""
    layer = module.module if module is not None else None
    known = next((n for n, value in enumerate(failed.values) if value is not None), None)
    if known is None:
        return None
    shape, name = failed.shapes[known], maker_of(graph, failed.values[known])
    if not isinstance(layer, nn.Linear) or module is None:
        shapes = " and ".join(by_size(one) for one in failed.shapes)
        fix = "x.transpose(-1, -2) of one of them, so that the last axis of the first is the last but one of the second"
        return ShapeAnswer(
            f"{module.path if module else 'the model'} multiplies {shapes}", (), (name,), fix, by_input=False
        )
    given = module.input_shapes[0] if module.input_shapes else shape
    what = f"{module.path or 'the layer'} takes {layer.in_features} features and gets {given[-1]}"
    story: tuple[str, ...] = ()
    fix = f"nn.Linear({given[-1]}, {layer.out_features})"
    last = next((layer for layer in graph if layer.name == name), None)
    if last is not None and len(given) > 2 and given[-1] != layer.in_features:
        before = given[1:]
        if prod(before) == layer.in_features:
            return ShapeAnswer(
                f"{what}: nothing flattens {by_size(before)}", (), (name, module.path), "x.flatten(1)", False
            )
    if last is not None and last.operator == "flatten" and len(last.input_shape) > 1:
        maps = last.input_shape
        what += f": {name} makes them of {by_size(maps)}"
        lines = [
            f"axis {axis}: {line}"
            for axis in range(len(maps) - 1)
            for line in size_story(graph, _before(graph, name), axis)
        ]
        story = tuple(lines)
        side = round((layer.in_features / maps[0]) ** (1 / (len(maps) - 1)))
        if maps[0] * side ** (len(maps) - 1) == layer.in_features:
            fix += f", or nn.AdaptiveAvgPool{len(maps) - 1}d({side}) before the flatten"
    return ShapeAnswer(what, story, (name, module.path), fix)


def _convolution(failed: Failed, graph: Graph, module: ModuleCall | None, error: Exception) -> ShapeAnswer | None:
    layer: Any = module.module if module is not None else None
    shape = failed.shapes[0]
    name = maker_of(graph, failed.values[0])
    path = module.path if module is not None and module.path else "the convolution"
    channels = getattr(layer, "in_channels", None)
    if channels is None:
        return None
    kind, axes = type(layer).__name__, len(layer.kernel_size)
    if len(shape) == axes + 2 and shape[1] != channels:
        what = f"{path} takes {channels} channels and gets {shape[1]} from {name} ({by_size(shape)}, batch first)"
        arguments = f"{shape[1]}, {layer.out_channels}, kernel_size={argument(layer.kernel_size)}, ..."
        fix = f"nn.{kind}({arguments})"
        if shape[-1] == channels:
            order = ", ".join(map(str, (0, axes + 1, *range(1, axes + 1))))
            fix = f"x.permute({order}): its channels come last, and torch wants them behind the batch"
        elif name == "the input" and shape[1] == 1 and channels == 3:
            fix += ", or x.expand(-1, 3, -1, -1) of a grey picture"
        return ShapeAnswer(what, (), (name, path), fix, by_input=False)
    if _is_too_small(error):
        return _too_small(graph, name, path, shape, layer)
    return None


def _is_too_small(error: Exception) -> bool:
    return any(text in str(error) for text in ("greater than actual input size", "too small", "output size must be"))


def _too_small(graph: Graph, name: str, path: str, shape: tuple[int, ...], layer: Any) -> ShapeAnswer:
    sizes = shape[2:]
    what = f"{path} has a kernel of {argument(tuple(_pair(layer.kernel_size, len(sizes))))} and gets {by_size(sizes)}"
    story = [line for axis in range(len(sizes)) for line in size_story(graph, name, axis)]
    return ShapeAnswer(
        f"{what} from {name}", tuple(story), (name, path), "a larger input, fewer strides before it, or more padding"
    )


def _view(failed: Failed, graph: Graph, module: ModuleCall | None, error: Exception) -> ShapeAnswer | None:
    shape, name = failed.shapes[0], maker_of(graph, failed.values[0])
    text = str(error)
    where = _where(module)
    mended = answer_view(failed, graph, where)
    if mended is not None:
        return mended
    if "not compatible with input tensor's size and stride" in text or "Cannot view a tensor" in text:
        return ShapeAnswer(
            f"{where} views {by_size(shape)} in an order in which it does not lie",
            (),
            (name,),
            "x.reshape(...) in place of x.view(...)",
            False,
        )
    wanted = text.partition("shape '")[2].partition("'")[0] or "a shape"
    what = f"{where} reads {name}, {by_size(shape)} (batch first), as {wanted}: {prod(shape):,} numbers do not fill it"
    story = [line for axis in range(len(shape) - 2) for line in size_story(graph, name, axis)]
    return ShapeAnswer(
        what, tuple(story), (name, where), f"x.reshape(len(x), -1), or x.flatten(1): {prod(shape[1:])} features"
    )


def _pool(failed: Failed, graph: Graph, module: ModuleCall | None, _error: Exception) -> ShapeAnswer | None:
    layer: Any = module.module if module is not None else None
    if not hasattr(layer, "kernel_size") or module is None:
        return None
    return _too_small(graph, maker_of(graph, failed.values[0]), module.path or "the pooling", failed.shapes[0], layer)


def _module_answer(graph: Graph, module: ModuleCall | None, error: Exception) -> ShapeAnswer | None:
    """Failures that a module's own checks raise, before anything is computed."""
    if module is None or not module.input_shapes:
        return None
    asked = answer_layer(graph, module)
    if asked is not None:
        return asked
    layer: Any = module.module
    shape, path = module.input_shapes[0], module.path or "the layer"
    name = maker_of(graph, module.input_values[0])
    for attribute in ("num_features", "num_channels"):
        count = getattr(layer, attribute, None)
        if count is not None and len(shape) > 1 and shape[1] != count:
            fix = f"{type(layer).__name__}({'num_groups, ' if attribute == 'num_channels' else ''}{shape[1]})"
            what = f"{path} takes {count} channels and gets {shape[1]} from {name} ({by_size(shape)}, batch first)"
            return ShapeAnswer(what, (), (name, path), f"nn.{fix}", by_input=False)
    normalised = getattr(layer, "normalized_shape", None)
    if normalised is not None and tuple(shape[-len(normalised) :]) != tuple(normalised):
        what = f"{path} takes {by_size(normalised)} as last axes and gets {by_size(shape)}"
        return ShapeAnswer(what, (), (name, path), f"nn.LayerNorm({argument(tuple(shape[-len(normalised) :]))})")
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) and len(shape) == 2 + len(
        layer.stride
    ):
        return answer_transposed(layer, shape, name, path)
    weights = getattr(layer, "in_features", None)
    if weights is not None and shape[-1] != weights:
        return ShapeAnswer(
            f"{path} takes {weights} features and gets {shape[-1]}",
            (),
            (name, path),
            f"nn.Linear({shape[-1]}, {layer.out_features})",
        )
    if hasattr(layer, "in_channels") and hasattr(layer, "kernel_size"):
        axes = len(layer.kernel_size)
        if len(shape) not in (axes + 1, axes + 2):
            what = f"{path} takes {axes + 2} axes (batch, channel, size) and gets {by_size(shape)}"
            return ShapeAnswer(
                what, (), (name, path), f"a layer for {len(shape) - 2} axes, or a reshape before it", by_input=False
            )
    if hasattr(layer, "kernel_size") and _is_too_small(error):
        return _too_small(graph, name, path, shape, layer)
    return None


def _where(module: ModuleCall | None) -> str:
    return module.path if module is not None and module.path else "the model"


def _before(graph: Graph, name: str) -> str:
    inputs = graph[name].inputs
    return inputs[0] if inputs else name


def _pair(value: Any, count: int) -> tuple[int, ...]:
    return (value,) * count if isinstance(value, int) else tuple(value)


_AnswerRule = Callable[[Failed, Graph, ModuleCall | None, Exception], ShapeAnswer | None]
_BY_OPERATOR: tuple[tuple[frozenset[str], _AnswerRule], ...] = (
    (frozenset({"add", "sub", "mul", "div", "cat", "stack", "maximum", "minimum", "where", "lerp"}), _joined),
    (frozenset({"addmm", "mm", "bmm", "baddbmm", "matmul", "linear"}), _product),
    (frozenset({"convolution"}), _convolution),
    (frozenset({"expand"}), lambda failed, graph, module, _: answer_expand(failed, graph, _where(module))),
    (frozenset({"view", "_unsafe_view", "reshape", "_reshape_alias"}), _view),
    (
        frozenset(
            {
                "max_pool2d_with_indices",
                "max_pool3d_with_indices",
                "max_pool1d",
                "avg_pool1d",
                "avg_pool2d",
                "avg_pool3d",
                "max_pool2d",
                "im2col",
            }
        ),
        _pool,
    ),
)
_FunctionRule = Callable[[Failed, Graph, str], ShapeAnswer | None]
_BY_FUNCTION: dict[str, _FunctionRule] = {
    "unflatten": answer_unflatten,
    "pixel_shuffle": answer_pixel_shuffle,
    "pixel_unshuffle": answer_pixel_unshuffle,
    "channel_shuffle": answer_channel_shuffle,
    "fold": answer_fold,
    "pad": answer_padding,
    **dict.fromkeys(("max_unpool1d", "max_unpool2d", "max_unpool3d"), answer_unpooling),
    **dict.fromkeys(("batch_norm", "instance_norm", "group_norm"), answer_one_value),
}
