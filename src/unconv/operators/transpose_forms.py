"""Four ways to compute one transposed convolution, equal for every geometry.

Each reads the same sentence, *output o takes tap u of input i where o = s·i + d·u − p*, in another order (Dumoulin &
Visin 2016, §4; Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?"):

* **zero insertion** — put s − 1 zeros between the inputs, then convolve with the flipped kernel;
* **scatter** — multiply every input with the whole kernel, then add the footprints where they overlap;
* **gather** — collect the inputs that reach a block of s outputs a side, and multiply them with their taps;
* **sub-pixel** — one convolution at low resolution makes the sᴰ cells of a block as channels; a shuffle interleaves.

Zero insertion multiplies mostly with zeros and is there to be read. The others do the arithmetic that is needed, and
are what :func:`unconv.conv_transpose` chooses from. They see a dilated kernel as a dense one with zeros in it.
"""

from __future__ import annotations

from itertools import chain, product
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor

from unconv.operators.sizes import Size
from unconv.operators.transpose_arguments import Blocks, TransposeArguments, blocks_of, resolve

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def zero_insertion_form(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Shaped[Tensor, "*batch_out_size"]:
    """The fractionally strided convolution: s − 1 zeros between the inputs, then a convolution with stride 1.

    The input is padded with p′ = d(k − 1) − p zeros on each side and a more at the end (relations 8–14 of Dumoulin &
    Visin 2016), the kernel is flipped. Of every sᴰ products, one is with something else than an inserted zero.

    Arguments, shapes and errors are those of :func:`unconv.conv_transpose`.

    >>> x, weight = torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3)
    >>> zero_insertion_form(x, weight, stride=2, padding=1).shape
    torch.Size([1, 2, 9, 9])
    """
    arguments = resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
    images = _batched(x, weight)
    sizes = [s * (i - 1) + 1 for i, s in zip(images.shape[2:], arguments.stride, strict=True)]
    stretched = images.new_zeros(*images.shape[:2], *sizes)
    stretched[(..., *(slice(None, None, s) for s in arguments.stride))] = images
    axes = zip(weight.shape[2:], *arguments[1:4], strict=True)
    pads = [(d * (k - 1) - p, d * (k - 1) - p + a) for k, p, a, d in axes]
    flipped = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).flip(*range(2, weight.ndim))
    convolve = _CONV[weight.ndim - 2]
    y = convolve(F.pad(stretched, _pad_order(pads)), flipped, bias, dilation=arguments.dilation, groups=groups)
    return _like(y, x, weight)


def scatter_form(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Shaped[Tensor, "*batch_out_size"]:
    """Every input spreads the kernel over the output; where footprints overlap, they add up: y = Σᵢ xᵢ · w shifted to s·i.

    One matrix product of the kernel with all inputs makes a plane for every tap; the planes of taps that are s apart
    fall on the same phase of the output and are added, moved by one cell, one axis after the other (overlap-add).

    Arguments, shapes and errors are those of :func:`unconv.conv_transpose`.

    >>> x, weight = torch.ones(1, 1, 3), torch.ones(1, 1, 3)
    >>> scatter_form(x, weight, stride=2)
    tensor([[[1., 1., 2., 1., 2., 1., 1.]]])
    """
    arguments = resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
    images, blocks = _batched(x, weight), blocks_of(x, weight, arguments)
    count = len(blocks)
    kernel = _by_phase(weight, blocks, arguments)
    taps, phases = _taps(count), _phases(count)
    rows = kernel.permute(0, *taps, 2, *phases, 1).flatten(1, -2)
    planes = rows @ images.flatten(2).unflatten(1, (groups, -1))
    planes = planes.unflatten(3, images.shape[2:])
    planes = planes.unflatten(2, (*(axis.taps for axis in blocks), -1))
    for n, axis in enumerate(blocks):
        planes = _overlap_add(planes, n - count, axis)
    planes = planes.unflatten(2, (weight.shape[1], *(axis.stride for axis in blocks)))
    order = chain.from_iterable((3 + count + n, 3 + n) for n in range(count))
    y = _crop(_merge(planes.permute(0, 1, 2, *order), 3, blocks).flatten(1, 2), blocks)
    if bias is not None:
        y = y + bias.view(-1, *(1,) * count)
    return _like(y, x, weight)


def gather_form(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Shaped[Tensor, "*batch_out_size"]:
    """Every block of s cells a side collects the ⌈k/s⌉ inputs a side that reach it, and multiplies them with their taps.

    One matrix product: rows are the blocks with the inputs they see, columns are the cells of a block in all output
    channels. Good where the kernel is much larger than what comes in: the collected inputs are few, the output large.

    Arguments, shapes and errors are those of :func:`unconv.conv_transpose`.

    >>> x, weight = torch.ones(1, 1, 3), torch.ones(1, 1, 3)
    >>> gather_form(x, weight, stride=2)
    tensor([[[1., 1., 2., 1., 2., 1., 1.]]])
    """
    arguments = resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
    blocks = blocks_of(x, weight, arguments)
    count = len(blocks)
    rows = collect(_batched(x, weight), blocks, groups)
    columns = _by_phase(weight, blocks, arguments).permute(0, *_taps(count), 1, *_phases(count), 2)
    columns = columns.flatten(1 + count + 1).flatten(1, -2)
    cells = (rows.flatten(1, 1 + count) @ columns).unflatten(1, rows.shape[1:-1])
    cells = cells.unflatten(-1, (*(axis.stride for axis in blocks), -1))
    order = chain.from_iterable((2 + n, 2 + count + n) for n in range(count))
    y = _merge(cells.permute(1, *order, 0, 2 + 2 * count), 1, blocks).flatten(1 + count)
    y = _crop(y.movedim(-1, 1), blocks)
    if bias is not None:
        y = y + bias.view(-1, *(1,) * count)
    return _like(y, x, weight)


def subpixel_form(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Shaped[Tensor, "*batch_out_size"]:
    """One convolution at low resolution makes sᴰ channels for each output channel, and a shuffle interleaves them.

    The efficient sub-pixel convolution of Shi et al. (2016), with the kernel of the transposed convolution sorted by
    phase: cell r of a block takes taps r, r + s, r + 2s, … Good where few channels come out: s² times as many fill a
    processor's vector lanes.

    Arguments, shapes and errors are those of :func:`unconv.conv_transpose`.

    >>> x, weight = torch.ones(1, 64, 16, 16), torch.ones(64, 3, 4, 4)
    >>> subpixel_form(x, weight, stride=2, padding=1).shape
    torch.Size([1, 3, 32, 32])
    """
    arguments = resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
    images, blocks = _batched(x, weight), blocks_of(x, weight, arguments)
    count, strides = len(blocks), [axis.stride for axis in blocks]
    last = _channels_last(x, weight)
    kernel = _by_phase(weight, blocks, arguments).flip(_taps(count))
    # Phases outside the channels where the channels are the innermost dimension in memory, inside where they are not.
    out = (*_phases(count), 2) if last else (2, *_phases(count))
    kernel = kernel.permute(0, *out, 1, *_taps(count)).flatten(0, 1 + count)
    repeated = None
    if bias is not None:
        shape = (groups, *(1,) * count, -1) if last else (groups, -1, *(1,) * count)
        repeated = bias.view(shape).expand([-1, *strides, -1] if last else [-1, -1, *strides]).flatten()
    pads = [max(0, axis.before, axis.after) for axis in blocks]
    y = _CONV[count](images, kernel, repeated, padding=pads, groups=groups)
    for n, (axis, pad) in enumerate(zip(blocks, pads, strict=True)):
        y = y.narrow(2 + n, pad - axis.before, axis.count)
    if last:
        cells = y.movedim(1, -1).unflatten(-1, (groups, *strides, -1))
        order = chain.from_iterable((1 + n, 2 + count + n) for n in range(count))
        y = _merge(cells.permute(0, *order, 1 + count, 2 + 2 * count), 1, blocks).flatten(1 + count).movedim(-1, 1)
    else:
        cells = y.unflatten(1, (y.shape[1] // prod(strides), *strides))
        order = chain.from_iterable((2 + count + n, 2 + n) for n in range(count))
        y = _merge(cells.permute(0, 1, *order), 2, blocks)
    return _like(_crop(y, blocks), x, weight)


def collect(images: Tensor, blocks: list[Blocks], groups: int) -> Tensor:
    """The inputs that reach each block, (groups, batch, *blocks, taps × channels per group); zeros beyond the border."""
    padded = F.pad(images, _pad_order([(axis.before, axis.after) for axis in blocks])).movedim(1, -1)
    padded = padded.unflatten(-1, (groups, -1)).movedim(-2, 0)
    offsets = product(*(range(axis.taps) for axis in blocks))
    windows = [
        tuple(slice(axis.taps - 1 - t, axis.taps - 1 - t + axis.count) for axis, t in zip(blocks, offset, strict=True))
        for offset in offsets
    ]
    return torch.cat([padded[(slice(None), slice(None), *window)] for window in windows], dim=-1)


def _by_phase(weight: Tensor, blocks: list[Blocks], arguments: TransposeArguments) -> Tensor:
    """The kernel with tap u + ahead = s·t + r at (t, r): (groups, in, out, T₀, s₀, T₁, s₁, …) per group."""
    if max(arguments.dilation) > 1:
        sizes = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], arguments.dilation, strict=True)]
        dense = weight.new_zeros(*weight.shape[:2], *sizes)
        dense[(..., *(slice(None, None, d) for d in arguments.dilation))] = weight
        weight = dense
    ends = [
        (axis.ahead, axis.taps * axis.stride - k - axis.ahead) for axis, k in zip(blocks, weight.shape[2:], strict=True)
    ]
    if any(map(any, ends)):
        weight = F.pad(weight, _pad_order(ends))
    split = [size for axis in blocks for size in (axis.taps, axis.stride)]
    return weight.reshape(arguments.groups, -1, weight.shape[1], *split)


def _taps(count: int) -> list[int]:
    return [3 + 2 * n for n in range(count)]


def _phases(count: int) -> list[int]:
    return [4 + 2 * n for n in range(count)]


def _overlap_add(planes: Tensor, axis: int, blocks: Blocks) -> Tensor:
    """Sum over the taps of one axis (dimension 2), the plane of tap t moved by t cells along ``axis``."""
    pieces = planes.unbind(2)
    shape = list(pieces[0].shape)
    shape[axis] = blocks.count
    total = planes.new_zeros(shape)
    for t, piece in enumerate(pieces):
        start, stop = max(0, blocks.first - t), min(blocks.input_size, blocks.first + blocks.count - t)
        if start < stop:
            total.narrow(axis, start + t - blocks.first, stop - start).add_(piece.narrow(axis, start, stop - start))
    return total


def _merge(cells: Tensor, start: int, blocks: list[Blocks]) -> Tensor:
    """Flatten (blocks, phases) of each axis, the first pair being at dimension ``start``."""
    sizes = [axis.count * axis.stride for axis in blocks]
    return cells.reshape(*cells.shape[:start], *sizes, *cells.shape[start + 2 * len(blocks) :])


def _crop(y: Tensor, blocks: list[Blocks]) -> Tensor:
    """What padding leaves of (batch, channels, *whole blocks)."""
    for n, axis in enumerate(blocks):
        y = y.narrow(2 + n, axis.skip, axis.output_size)
    return y


def _pad_order(pads: list[tuple[int, int]]) -> list[int]:
    """torch pads from the last axis to the first."""
    return list(chain.from_iterable(reversed(pads)))


def _batched(x: Tensor, weight: Tensor) -> Tensor:
    return x if x.ndim == weight.ndim else x.unsqueeze(0)


def _channels_last(x: Tensor, weight: Tensor) -> bool:
    """Whether torch would return channels-last memory: either operand has it."""
    layout = _CHANNELS_LAST.get(x.ndim)
    return (
        layout is not None
        and x.ndim == weight.ndim
        and any(tensor.is_contiguous(memory_format=layout) and not tensor.is_contiguous() for tensor in (x, weight))
    )


def _like(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """``y`` in the memory format that torch would return, unbatched if ``x`` is."""
    layout = _CHANNELS_LAST[y.ndim] if _channels_last(x, weight) else torch.contiguous_format
    y = y.contiguous(memory_format=layout)
    return y if x.ndim == weight.ndim else y.squeeze(0)
