"""Answers by module: what is to be said, and done, where shapes do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from unconv.network.audit.checks.meeting import Mismatch, find_mismatch, maker_of, upsampled_first, way_out
from unconv.network.audit.finding import by_size
from unconv.network.shapes.convolution_answers import answer_convolution, answer_transposed
from unconv.network.shapes.failing_place import arguments_of
from unconv.network.shapes.joined_answers import answer_joined
from unconv.network.shapes.layer_answers import (
    FUNCTIONAL,
    POOLINGS,
    answer_functional,
    answer_layer,
    answer_norm,
    answer_one_value,
    answer_padding,
    answer_pooling,
    answer_several,
    answer_small,
    answer_unpooling,
)
from unconv.network.shapes.loss_answers import answer_loss
from unconv.network.shapes.product_answers import answer_einsum, answer_linear_layer, answer_product, answer_similarity
from unconv.network.shapes.rearranged_answers import (
    answer_axis,
    answer_channel_shuffle,
    answer_expand,
    answer_fold,
    answer_permute,
    answer_pixel_shuffle,
    answer_pixel_unshuffle,
    answer_split,
    answer_unflatten,
    answer_view,
)
from unconv.network.shapes.resampling_answers import answer_affine_grid, answer_grid_sample, answer_interpolate
from unconv.network.shapes.sequence_answers import answer_attention_layer, answer_scaled_attention
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.shapes.size_story import size_stories
from unconv.network.trace.build_graph import build_graph
from unconv.network.trace.failed import Failed
from unconv.network.trace.graph import Graph
from unconv.network.trace.operation import CLASS_LOSSES, JOINS, LOSSES, ModuleCall
from unconv.network.trace.record import Recorder

# Layers that say more than their function, of which they are the only call.
_FUNCTION_OF: dict[type[nn.Module], str] = {
    nn.Linear: "linear",
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.Conv3d: "conv3d",
    nn.ConvTranspose1d: "conv_transpose1d",
    nn.ConvTranspose2d: "conv_transpose2d",
    nn.ConvTranspose3d: "conv_transpose3d",
    nn.LayerNorm: "layer_norm",
    nn.GroupNorm: "group_norm",
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), "batch_norm"),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), "instance_norm"),
}

Sizes = tuple[tuple[int, ...], ...]
# Operations of two tensors, beside those of one size, whose axes are lined up.
_ALSO_JOINED = frozenset({"masked_fill", "pow", "atan2", "fmod", "remainder", "eq", "gt", "lt", "ge", "le", "ne"})


def answer_shapes(recorder: Recorder, sizes: Sizes, error: Exception) -> ShapeAnswer | None:
    """The answer to a failed pass; None where its failure is not about shapes."""
    stack = recorder.stack
    failed = recorder.failed
    graph = build_graph(recorder, sizes)
    module = _as_called(stack[-1], error, recorder) if stack else None
    if failed is not None:
        name = failed.operator.rstrip("_")
        loss = answer_loss(failed, graph) if name in LOSSES | CLASS_LOSSES else None
        if loss is not None:
            return loss
    # The function that was called says more than what torch makes of it.
    answer = _function_answer(recorder, graph, module)
    if answer is not None:
        return answer
    if failed is not None and name in JOINS | _ALSO_JOINED:
        joined = answer_joined(failed, graph, _where(module))
        if joined is not None:
            return joined
        mismatch = find_mismatch(recorder, sizes)
        if mismatch is not None:
            return _meeting(mismatch)
    for names, answers in _BY_OPERATOR if failed is not None else ():
        if failed is not None and failed.operator.rstrip("_") in names:
            return answers(failed, graph, module, error)
    return _module_answer(graph, module, error)


def _as_called(module: ModuleCall, error: Exception, recorder: Recorder) -> ModuleCall:
    """A module's call with what came in by keywords too, in the order of its ``forward``."""
    given = tree_leaves(list(arguments_of(error.__traceback__, module.module).values()))
    tensors = [leaf for leaf in given if isinstance(leaf, Tensor)]
    if len(tensors) <= len(module.input_shapes):
        return module
    values = [recorder.value_of(tensor) for tensor in tensors]
    return replace(
        module,
        input_shapes=tuple(tuple(tensor.shape) for tensor in tensors),
        input_values=tuple(None if value is None else value.index for value in values),
    )


def _function_answer(recorder: Recorder, graph: Graph, module: ModuleCall | None) -> ShapeAnswer | None:
    """The answer of the outermost function that has one."""
    for failed in reversed(recorder.failed_functions):
        operator = failed.operator.strip("_")
        if not failed.shapes:
            continue
        answer: ShapeAnswer | None = None
        if operator == "multi_head_attention_forward":
            answer = answer_attention_layer(failed, graph, module)
        elif module is not None and operator == _FUNCTION_OF.get(type(module.module)):
            one_value = answer_one_value(failed, graph, _where(module))
            answer = one_value or _module_answer(graph, module, failed.error)
        # A function outside of a model's modules may be that of its own kind too.
        rule = _BY_FUNCTION.get(operator) if answer is None else None
        if rule is not None:
            answer = rule(failed, graph, _where(module))
        if answer is None and isinstance(failed.error, IndexError):
            answer = answer_axis(failed, graph, _where(module))
        if answer is not None:
            return answer
    return None


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


def _convolution(failed: Failed, graph: Graph, module: ModuleCall | None, error: Exception) -> ShapeAnswer | None:
    layer: Any = module.module if module is not None else None
    name = maker_of(graph, failed.values[0])
    if module is None or not hasattr(layer, "in_channels"):
        return None
    path, shape = module.path or "the convolution", module.input_shapes[0]
    if len(layer.kernel_size) == len(failed.shapes[0]) - 2:
        wrong = answer_convolution(layer, shape, (name, path), graph)
        if wrong is not None:
            return wrong
    return _too_small(graph, name, path, failed.shapes[0], layer) if _is_too_small(error) else None


def _is_too_small(error: Exception) -> bool:
    return any(
        text in str(error).lower() for text in ("greater than actual input size", "too small", "output size must")
    )


def _too_small(graph: Graph, name: str, path: str, shape: tuple[int, ...], layer: Any) -> ShapeAnswer:
    return answer_small(graph, (name, path), shape, layer.kernel_size)


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
    story = size_stories(graph, name, range(len(shape) - 2))
    fix = f"x.reshape(len(x), -1), or x.flatten(1): {prod(shape[1:])} features"
    return ShapeAnswer(what, story, (name, where), fix)


def _module_answer(graph: Graph, module: ModuleCall | None, error: Exception) -> ShapeAnswer | None:
    """Failures that a module's own checks raise, before anything is computed."""
    if module is None or not module.input_shapes:
        return None
    if isinstance(error, TypeError):
        return answer_several(graph, module, error)
    asked = answer_layer(graph, module)
    if asked is not None:
        return asked
    layer: Any = module.module
    shape, path = module.input_shapes[0], module.path or "the layer"
    name = maker_of(graph, module.input_values[0])
    norm = answer_norm(layer, shape, (name, path))
    if norm is not None:
        return norm
    if hasattr(layer, "in_channels") and hasattr(layer, "kernel_size"):
        wrong = answer_convolution(layer, shape, (name, path), graph)
        if wrong is not None:
            return wrong
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) and len(shape) == 2 + len(
        layer.stride
    ):
        return answer_transposed(layer, shape, name, path)
    if isinstance(layer, nn.Linear):
        return answer_linear_layer(graph, module, name)
    if hasattr(layer, "kernel_size") and _is_too_small(error):
        return _too_small(graph, name, path, shape, layer)
    return None


def _where(module: ModuleCall | None) -> str:
    return module.path if module is not None and module.path else "the model"


_AnswerRule = Callable[[Failed, Graph, ModuleCall | None, Exception], ShapeAnswer | None]
_BY_OPERATOR: tuple[tuple[frozenset[str], _AnswerRule], ...] = (
    (frozenset({"convolution"}), _convolution),
    (frozenset({"expand"}), lambda failed, graph, module, _: answer_expand(failed, graph, _where(module))),
    (frozenset({"view", "_unsafe_view", "reshape", "_reshape_alias"}), _view),
)
_FunctionRule = Callable[[Failed, Graph, str], ShapeAnswer | None]
_BY_FUNCTION: dict[str, _FunctionRule] = {
    "unflatten": answer_unflatten,
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split_with_sizes"), answer_split),
    "permute": answer_permute,
    "einsum": answer_einsum,
    **dict.fromkeys(("linear", "matmul", "rmatmul", "mm", "bmm", "addmm", "baddbmm"), answer_product),
    **dict.fromkeys(("cosine_similarity", "pairwise_distance", "cdist"), answer_similarity),
    "scaled_dot_product_attention": answer_scaled_attention,
    "interpolate": answer_interpolate,
    "upsample": answer_interpolate,
    "grid_sample": answer_grid_sample,
    "affine_grid": answer_affine_grid,
    "pixel_shuffle": answer_pixel_shuffle,
    "pixel_unshuffle": answer_pixel_unshuffle,
    "channel_shuffle": answer_channel_shuffle,
    "fold": answer_fold,
    "pad": answer_padding,
    **dict.fromkeys(POOLINGS, answer_pooling),
    **dict.fromkeys(FUNCTIONAL, answer_functional),
    **dict.fromkeys(("max_unpool1d", "max_unpool2d", "max_unpool3d"), answer_unpooling),
}
