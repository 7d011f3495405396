"""The transposed convolution as one operator inside a compiled graph, its form chosen when the graph runs.

A graph compiled for changing sizes does not know them; the operator does when it is called. So torch.compile sees one
node, no size becomes a guard, and the choice is the same as without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unconv.operators.geometry.sizes import transpose_output_size
from unconv.operators.transpose.arguments import TransposeArguments, resolve
from unconv.operators.transpose.fast import apply_form, form_for, gradients
from unconv.operators.transpose.forms import memory_format

_ARGUMENTS = "int[] stride, int[] padding, int[] output_padding, int[] dilation, int groups"


@torch.library.custom_op(
    "unconv::conv_transpose", mutates_args=(), schema=f"(Tensor x, Tensor weight, Tensor? bias, {_ARGUMENTS}) -> Tensor"
)
def compiled_conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Tensor:
    """``x`` (batched) through the form that is chosen now."""
    spelled = _checked(x, weight, bias, arguments)
    y = apply_form(form_for(x, weight, spelled), x, weight, bias, spelled)
    return y.contiguous(memory_format=memory_format(x, weight))


@compiled_conv_transpose.register_fake
def _shape(x: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Tensor:
    spelled = _checked(x, weight, bias, arguments)
    axes = zip(x.shape[2:], weight.shape[2:], *spelled.spatial, strict=True)
    sizes = [transpose_output_size(i, k, s, (p, p), a, d) for i, k, s, p, a, d in axes]
    y = x.new_empty(x.shape[0], weight.shape[1] * spelled.groups, *sizes)
    return y.contiguous(memory_format=memory_format(x, weight))


@torch.library.custom_op(
    "unconv::conv_transpose_gradients",
    mutates_args=(),
    schema=f"(Tensor gradient, Tensor x, Tensor weight, {_ARGUMENTS}, bool[] wanted) -> Tensor[]",
)
def compiled_gradients(gradient: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> list[Tensor]:
    """The gradients wanted of input, weight and bias."""
    *sizes, groups, wanted = rest
    stride, padding, output_padding, dilation = map(tuple, sizes)
    spelled = TransposeArguments(stride, padding, output_padding, dilation, groups)
    found = gradients(form_for(x, weight, spelled), gradient, x, weight, spelled, wanted)
    formats = (memory_format(x, weight), torch.contiguous_format, torch.contiguous_format)
    return [g.contiguous(memory_format=layout) for g, layout in zip(found, formats, strict=True) if g is not None]


@compiled_gradients.register_fake
def _shapes(gradient: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> list[Tensor]:
    wanted = rest[-1]
    like_x = x.new_empty(x.shape).contiguous(memory_format=memory_format(x, weight))
    bias = gradient.new_empty(gradient.shape[1])
    found = (like_x, weight.new_empty(weight.shape), bias)
    return [g for g, want in zip(found, wanted, strict=True) if want]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, weight, bias, *ctx.arguments = inputs
    ctx.save_for_backward(x, weight)
    ctx.biased = bias is not None


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    wanted = [*ctx.needs_input_grad[:2], ctx.needs_input_grad[2] and ctx.biased]
    found = iter(compiled_gradients(gradient, x, weight, *ctx.arguments, wanted))
    return (*(next(found) if want else None for want in wanted), *(None,) * len(ctx.arguments))


compiled_conv_transpose.register_autograd(_backward, setup_context=_keep)


def _checked(x: Tensor, weight: Tensor, bias: Tensor | None, arguments: Sequence[Any]) -> TransposeArguments:
    stride, padding, output_padding, dilation, groups = arguments
    return resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
