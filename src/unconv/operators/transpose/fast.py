"""The forms as :func:`unconv.conv_transpose` runs them: without passes over memory that gradients alone would need.

Inside an autograd function torch records nothing, so results may be written in place, and in pieces that fit a cache.
The gradients are written down instead: those of a form are those of any other, so each takes the fastest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from unconv.operators.by_axes import CONV_TRANSPOSE
from unconv.operators.geometry.sizes import effective_kernel_size
from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.blocks import (
    blocks_of,
    cells_of,
    collect,
    crop,
    kernel_by_phase,
    phase_dims,
    spread,
    tap_dims,
)
from unconv.operators.transpose.choice import PIECE, Form, choose_form
from unconv.operators.transpose.forms import as_torch_would, channels_last, gather_form, scatter_form, subpixel_form
from unconv.operators.transpose.mixed import mixed_form

# By the number of the weight's dimensions, which is what every call looks at.
TORCH = {axes + 2: operator for axes, operator in CONV_TRANSPOSE.items()}


def form_for(x: Tensor, weight: Tensor, arguments: TransposeArguments) -> Form:
    """The form for these tensors."""
    return choose_form(weight.shape, arguments, channels_last(x, weight), x.shape)


def apply_form(form: Form, x: Tensor, weight: Tensor, bias: Tensor | None, arguments: TransposeArguments) -> Tensor:
    """``x`` (batched) through a form, where no gradient is recorded."""
    if form == "scatter":
        return scatter_in_pieces(x, weight, bias, arguments)
    if form == "gather":
        return gather_by_rows(x, weight, bias, arguments)
    if form == "mixed":
        return mixed_form(x, weight, bias, arguments)
    if form == "subpixel":
        return subpixel_form(x, weight, bias, arguments)
    return TORCH[weight.ndim](x, weight, bias, *arguments.as_torch)


def gradients(
    form: Form, gradient: Tensor, x: Tensor, weight: Tensor, arguments: TransposeArguments, wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Gradients for input, weight and bias, as far as ``wanted``; differentiable themselves."""
    if form == "gather":
        return gather_gradients(gradient, x, weight, arguments, wanted)
    stride, padding, output_padding, dilation, groups = arguments
    for_input: Tensor | None = None
    for_weight: Tensor | None = None
    if wanted[0] or wanted[1]:
        # Of a bias, torch's takes several times as long as the sum does.
        for_input, for_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, stride, padding, dilation, True, output_padding, groups, [*wanted[:2], False]
        )
    return for_input, for_weight, gradient.sum((0, *range(2, gradient.ndim))) if wanted[2] else None


class ChosenForm(torch.autograd.Function):
    """A form forwards, and the gradients of the transposed convolution backwards."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, form: Form, arguments: TransposeArguments
    ) -> Tensor:
        """Run the form, and keep what the gradients need."""
        ctx.save_for_backward(x, weight)
        ctx.form, ctx.arguments, ctx.biased = form, arguments, bias is not None
        return apply_form(form, x, weight, bias, arguments)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        """See :func:`gradients`."""
        wanted = (*ctx.needs_input_grad[:2], ctx.needs_input_grad[2] and ctx.biased)
        x, weight = ctx.saved_tensors
        return (*gradients(ctx.form, outer[0], x, weight, ctx.arguments, wanted), None, None)


def scatter_in_pieces(x: Tensor, weight: Tensor, bias: Tensor | None, arguments: TransposeArguments) -> Tensor:
    """The scatter form over strips of the input, so that its planes neither leave the cache nor fill the memory.

    A strip of input rows reaches a strip of output rows; where two of them overlap they add up, as everywhere.
    """
    blocks = blocks_of(x, weight, arguments)
    planes = prod(axis.taps * axis.stride for axis in blocks) * weight.shape[1]
    if planes * x.numel() <= PIECE * weight.shape[0]:
        return scatter_form(x, weight, bias, arguments)
    out = x.new_zeros(x.shape[0], weight.shape[1], *(axis.output_size for axis in blocks))
    if bias is not None:
        out += bias.view(-1, *(1,) * len(blocks))
    stride, padding = arguments.stride[0], arguments.padding[0]
    uncropped = arguments._replace(
        padding=(0, *arguments.padding[1:]), output_padding=(0, *arguments.output_padding[1:])
    )
    span = effective_kernel_size(weight.shape[2], arguments.dilation[0])
    for images, rows in _pieces(x, planes):
        start = stride * rows.start - padding
        stop = start + stride * (rows.stop - rows.start - 1) + span
        inside = slice(max(0, start), min(out.shape[2], stop))
        if inside.start < inside.stop:
            strip = scatter_form(x[images, :, rows], weight, None, uncropped)
            out[images, :, inside] += strip[:, :, inside.start - start : inside.stop - start]
    return as_torch_would(out, x, weight)


def _pieces(x: Tensor, planes: int) -> Iterator[tuple[slice, slice]]:
    """Slices of batch and first axis that make at most ``PIECE`` numbers, whole images where they fit."""
    batch, rows = x.shape[0], x.shape[2]
    most = max(1, PIECE // (planes * prod(x.shape[3:])))
    if most >= rows:
        step = most // rows
        # A product for each thread is faster than threads that share one.
        step -= step % torch.get_num_threads() if step > torch.get_num_threads() else 0
        yield from ((slice(n, min(n + step, batch)), slice(0, rows)) for n in range(0, batch, step))
        return
    for n in range(batch):
        yield from ((slice(n, n + 1), slice(i, min(i + most, rows))) for i in range(0, rows, most))


def gather_by_rows(x: Tensor, weight: Tensor, bias: Tensor | None, arguments: TransposeArguments) -> Tensor:
    """The gather form, one row of blocks at a time, each product written to where it belongs in the output."""
    if weight.ndim != 4:
        return gather_form(x, weight, bias, arguments)
    blocks = blocks_of(x, weight, arguments)
    row, column = blocks
    collected = collect(x, blocks).flatten(0, 1).flatten(2)
    # One matrix for every row of cells in a block: (phase, taps × in, phase × out).
    kernel = kernel_by_phase(weight, blocks, arguments)[0].permute(3, 2, 4, 0, 5, 1).flatten(1, 3).flatten(2)
    out = x.new_empty(collected.shape[0], row.stride, column.count, kernel.shape[2])
    for inputs, cells in zip(collected.unsqueeze(1).expand(-1, row.stride, -1, -1), out, strict=True):
        torch.bmm(inputs, kernel, out=cells)
    y = out.view(x.shape[0], row.count * row.stride, column.count * column.stride, weight.shape[1])
    if bias is not None:
        y += bias
    return as_torch_would(crop(y.movedim(-1, 1), blocks), x, weight)


def gather_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, arguments: TransposeArguments, wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Gradients of the gather form for input, weight and bias: two matrix products, with the same collected inputs."""
    blocks = blocks_of(x, weight, arguments)
    count, (channels, out) = len(blocks), weight.shape[:2]
    taps, phases = [axis.taps for axis in blocks], [axis.stride for axis in blocks]
    rows = x.shape[0] * prod(axis.count for axis in blocks)
    cells = cells_of(gradient, blocks).reshape(rows, prod(phases) * out)
    for_x = for_weight = for_bias = None
    if wanted[0]:
        kernel = kernel_by_phase(weight, blocks, arguments)
        columns = kernel.permute(0, *tap_dims(count), 1, *phase_dims(count), 2).reshape(-1, prod(phases) * out)
        collected = (cells @ columns.t()).reshape(x.shape[0], *(axis.count for axis in blocks), prod(taps), channels)
        for_x = as_torch_would(spread(collected, blocks), x, weight)
    if wanted[1]:
        product = collect(x, blocks).reshape(rows, prod(taps) * channels).t() @ cells
        pairs = [dim for n in range(count) for dim in (n, count + 1 + n)]
        whole = product.reshape(*taps, channels, *phases, out).permute(count, 2 * count + 1, *pairs)
        for_weight = whole.reshape(channels, out, *(t * s for t, s in zip(taps, phases, strict=True)))
        for n, axis in enumerate(blocks):
            for_weight = for_weight.narrow(2 + n, axis.ahead, weight.shape[2 + n])
    if wanted[2]:
        for_bias = gradient.sum((0, *range(2, gradient.ndim)))
    return for_x, for_weight, for_bias
