"""Four ways to compute one transposed convolution, equal for every geometry.

Each reads the same sentence, *output o takes tap u of input i where o = s·i + d·u − p*, in another order (Dumoulin &
Visin 2016, §4; Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?"):

* **zero insertion** — put s − 1 zeros between the inputs, then convolve with the flipped kernel;
* **scatter** — multiply every input with the whole kernel, then add the footprints where they overlap;
* **gather** — collect the inputs that reach a block of s cells a side, and multiply them with their taps;
* **sub-pixel** — one convolution at low resolution makes the sᴰ cells of a block as channels; a shuffle interleaves.

Zero insertion multiplies mostly with zeros and is there to be read. The others do the arithmetic that is needed, and
are what :func:`unconv.conv_transpose` chooses from. They see a dilated kernel as a dense one with zeros in it.
All take input, weight and bias as torch does, and what :func:`~unconv.operators.transpose.arguments.resolve` has
checked.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor

from unconv.operators.by_axes import CONV
from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.blocks import (
    Blocks,
    blocks_of,
    collect,
    crop,
    flipped,
    kernel_by_phase,
    merge,
    pad_order,
    pairs,
    phase_dims,
    stretch,
    tap_dims,
)

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def zero_insertion_form(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None,
    arguments: TransposeArguments,
) -> Shaped[Tensor, "*batch_out_size"]:
    """The fractionally strided convolution: s − 1 zeros between the inputs, then a convolution with stride 1.

    The input is padded with p′ = d(k − 1) − p zeros on each side and a more at the end (relations 8–14 of Dumoulin &
    Visin 2016), the kernel is flipped. Of every sᴰ products, one is with something else than an inserted zero.

    >>> x, weight = torch.ones(1, 1, 3), torch.ones(1, 1, 3)
    >>> zero_insertion_form(x, weight, None, TransposeArguments.of(1, stride=2))
    tensor([[[1., 1., 2., 1., 2., 1., 1.]]])
    """
    images, groups = batched(x, weight), arguments.groups
    axes = zip(weight.shape[2:], *arguments.spatial[1:], strict=True)
    pads = [(d * (k - 1) - p, d * (k - 1) - p + a) for k, p, a, d in axes]
    convolve = CONV[weight.ndim - 2]
    stretched = F.pad(stretch(images, arguments.stride), pad_order(pads))
    y = convolve(stretched, flipped(weight, groups), bias, dilation=arguments.dilation, groups=groups)
    return as_torch_would(y, x, weight)


def scatter_form(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None,
    arguments: TransposeArguments,
) -> Shaped[Tensor, "*batch_out_size"]:
    """Every input spreads the kernel over the output; where footprints overlap, they add up.

    One matrix product of the kernel with all inputs makes a plane for every tap. Planes of taps that are s apart fall
    on the same phase of the output: they are added, tap t moved by t blocks, one axis after the other (overlap-add).

    >>> x, weight = torch.ones(1, 1, 3), torch.ones(1, 1, 3)
    >>> scatter_form(x, weight, None, TransposeArguments.of(1, stride=2))
    tensor([[[1., 1., 2., 1., 2., 1., 1.]]])
    """
    images, blocks, groups = batched(x, weight), blocks_of(x, weight, arguments), arguments.groups
    count, batch = len(blocks), images.shape[0]
    kernel = kernel_by_phase(weight, blocks, arguments)
    rows = kernel.permute(0, *tap_dims(count), 2, *phase_dims(count), 1).flatten(1, -2)
    planes = rows @ images.reshape(batch, groups, kernel.shape[1], -1)
    planes = planes.reshape(batch, groups, *(axis.taps for axis in blocks), -1, *images.shape[2:])
    for n, axis in enumerate(blocks):
        planes = _overlap_add(planes, n - count, axis)
    sizes = [size for sizes in ([b.stride for b in blocks], [b.count for b in blocks]) for size in sizes]
    cells = planes.reshape(batch, groups * weight.shape[1], *sizes)
    y = crop(merge(cells.permute(0, 1, *pairs(2 + count, 2, count)), 2, blocks), blocks)
    if bias is not None:
        y = y + bias.view(-1, *(1,) * count)
    return as_torch_would(y, x, weight)


def gather_form(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None,
    arguments: TransposeArguments,
) -> Shaped[Tensor, "*batch_out_size"]:
    """Every block of s cells a side collects the ⌈k/s⌉ inputs a side that reach it, and takes them times their taps.

    One matrix product: rows are the blocks with the inputs they see, columns the cells of a block in all output
    channels. Good where a large kernel meets few inputs: what is collected is small, and the output large.

    >>> x, weight = torch.ones(1, 1, 3), torch.ones(1, 1, 3)
    >>> gather_form(x, weight, None, TransposeArguments.of(1, stride=2))
    tensor([[[1., 1., 2., 1., 2., 1., 1.]]])
    """
    images, blocks, groups = batched(x, weight), blocks_of(x, weight, arguments), arguments.groups
    count, batch = len(blocks), images.shape[0]
    kernel = kernel_by_phase(weight, blocks, arguments)
    collected = collect(images, blocks)
    rows = collected.reshape(*collected.shape[:-1], groups, -1).movedim(-2, 0).flatten(-2).flatten(1, -2)
    columns = kernel.permute(0, *tap_dims(count), 1, *phase_dims(count), 2).flatten(1, 1 + count).flatten(2)
    cells = (rows @ columns).reshape(
        groups, batch, *(axis.count for axis in blocks), *(axis.stride for axis in blocks), weight.shape[1]
    )
    y = merge(cells.permute(1, *pairs(2, 2 + count, count), 0, 2 + 2 * count), 1, blocks)
    y = crop(y.flatten(1 + count).movedim(-1, 1), blocks)
    if bias is not None:
        y = y + bias.view(-1, *(1,) * count)
    return as_torch_would(y, x, weight)


def subpixel_form(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None,
    arguments: TransposeArguments,
) -> Shaped[Tensor, "*batch_out_size"]:
    """One convolution at low resolution makes sᴰ channels for each output channel, and a shuffle interleaves them.

    The efficient sub-pixel convolution of Shi et al. (2016), with the kernel of the transposed convolution sorted by
    phase: cell r of a block takes taps r, r + s, r + 2s, … Good where few channels come out: sᴰ times as many fill
    the vector registers.

    >>> x, weight = torch.ones(1, 1, 3), torch.ones(1, 1, 3)
    >>> subpixel_form(x, weight, None, TransposeArguments.of(1, stride=2))
    tensor([[[1., 1., 2., 1., 2., 1., 1.]]])
    """
    images, blocks, groups = batched(x, weight), blocks_of(x, weight, arguments), arguments.groups
    count, batch, strides = len(blocks), images.shape[0], [axis.stride for axis in blocks]
    kernel = kernel_by_phase(weight, blocks, arguments).flip(tap_dims(count))
    # The phases of a cell go where the shuffle moves the longest runs: outside the channels if those are innermost in
    # memory, inside if they are not.
    last = channels_last(x, weight)
    out = (*phase_dims(count), 2) if last else (2, *phase_dims(count))
    kernel = kernel.permute(0, *out, 1, *tap_dims(count)).flatten(0, 1 + count)
    if bias is not None:
        ones = (1,) * count
        shape = (groups, *strides, -1) if last else (groups, -1, *strides)
        bias = bias.view((groups, *ones, -1) if last else (groups, -1, *ones)).expand(shape).flatten()
    pads = [max(0, axis.before, axis.after) for axis in blocks]
    y = CONV[count](images, kernel, bias, padding=pads, groups=groups)
    for n, (axis, pad) in enumerate(zip(blocks, pads, strict=True)):
        y = y.narrow(2 + n, pad - axis.before, axis.count)
    if last:
        cells = y.movedim(1, -1).reshape(batch, *y.shape[2:], groups, *strides, weight.shape[1])
        y = merge(cells.permute(0, *pairs(1, 2 + count, count), 1 + count, 2 + 2 * count), 1, blocks)
        y = y.flatten(1 + count).movedim(-1, 1)
    else:
        cells = y.reshape(batch, groups * weight.shape[1], *strides, *y.shape[2:])
        y = merge(cells.permute(0, 1, *pairs(2 + count, 2, count)), 2, blocks)
    return as_torch_would(crop(y, blocks), x, weight)


def _overlap_add(planes: Tensor, axis: int, blocks: Blocks) -> Tensor:
    """Sum over the taps of one axis (dimension 2), the plane of tap t moved by t blocks along ``axis``."""
    pieces = planes.unbind(2)
    shape = list(pieces[0].shape)
    shape[axis] = blocks.count
    total = planes.new_zeros(shape)
    for t, piece in enumerate(pieces):
        start, stop = max(0, blocks.first - t), min(blocks.input_size, blocks.first + blocks.count - t)
        if start < stop:
            total.narrow(axis, start + t - blocks.first, stop - start).add_(piece.narrow(axis, start, stop - start))
    return total


def batched(x: Tensor, weight: Tensor) -> Tensor:
    """``x`` with a batch axis."""
    return x if x.ndim == weight.ndim else x.unsqueeze(0)


def channels_last(x: Tensor, weight: Tensor) -> bool:
    """Whether the result is to be channels-last in memory: as in torch, when either operand is."""
    layout = _CHANNELS_LAST.get(x.ndim) if x.ndim == weight.ndim else None
    return layout is not None and any(
        tensor.is_contiguous(memory_format=layout) and not tensor.is_contiguous() for tensor in (x, weight)
    )


def memory_format(x: Tensor, weight: Tensor) -> torch.memory_format:
    """The memory format of a batched result."""
    return _CHANNELS_LAST[x.ndim] if channels_last(x, weight) else torch.contiguous_format


def as_torch_would(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """``y`` (batched) in the memory format that torch would return, unbatched if ``x`` is."""
    y = y.contiguous(memory_format=memory_format(x, weight))
    return y if x.ndim == weight.ndim else y.squeeze(0)
