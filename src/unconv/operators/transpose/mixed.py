"""The mixed form, between sub-pixel and scatter: the last axis scatters, the others gather."""

from __future__ import annotations

from torch import Tensor

from unconv.operators.by_axes import CONV
from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.blocks import (
    Blocks,
    blocks_of,
    crop,
    kernel_by_phase,
    merge,
    pairs,
    phase_dims,
    tap_dims,
)
from unconv.operators.transpose.forms import as_torch_would, channels_last


def mixed_form(x: Tensor, weight: Tensor, bias: Tensor | None, arguments: TransposeArguments) -> Tensor:
    """One convolution at low resolution over all axes but the last, whose taps become channels to be shifted and added.

    Where the cells of a block are too few to fill the vector lanes, the taps of one axis times the cells may not be,
    and adding along one axis costs less than along all. Written in place: not for torch to differentiate.
    """
    blocks = blocks_of(x, weight, arguments)
    count, last, out = len(blocks), blocks[-1], weight.shape[1]
    strides = [axis.stride for axis in blocks]
    kernel = kernel_by_phase(weight, blocks, arguments)[0].flip([dim - 1 for dim in tap_dims(count - 1)])
    taps, phases = [dim - 1 for dim in tap_dims(count)], [dim - 1 for dim in phase_dims(count)]
    innermost = channels_last(x, weight)
    cell = (*phases, 1) if innermost else (1, *phases)
    kernel = kernel.permute(taps[-1], *cell, 0, *taps[:-1]).flatten(0, 1 + count).unsqueeze(-1)
    pads = [max(0, axis.before, axis.after) for axis in blocks[:-1]]
    planes = CONV[count](x, kernel, padding=(*pads, 0))
    for n, (axis, pad) in enumerate(zip(blocks, pads, strict=False)):
        planes = planes.narrow(2 + n, pad - axis.before, axis.count)
    sizes = [axis.count for axis in blocks]
    if innermost:
        # The output itself, seen as (batch, *blocks, *phases, out): what is added is in its place.
        pieces = planes.movedim(1, -1).reshape(x.shape[0], *planes.shape[2:], last.taps, *strides, out)
        y = x.new_empty(x.shape[0], *(size for axis in blocks for size in (axis.count, axis.stride)), out)
        cells = y.permute(0, *range(1, 2 * count, 2), *range(2, 2 * count + 1, 2), 2 * count + 1)
        overlap_into(cells, pieces.unbind(1 + count), count, last)
        y = merge(y, 1, blocks).movedim(-1, 1)
    else:
        pieces = planes.reshape(x.shape[0], last.taps, out, *strides, *planes.shape[2:])
        cells = x.new_empty(x.shape[0], out, *strides, *sizes)
        overlap_into(cells, pieces.unbind(1), 1 + 2 * count, last)
        y = merge(cells.permute(0, 1, *pairs(2 + count, 2, count)), 2, blocks)
    if bias is not None:
        y += bias.view(-1, *(1,) * count)
    return as_torch_would(crop(y, blocks), x, weight)


def overlap_into(total: Tensor, pieces: tuple[Tensor, ...], axis: int, blocks: Blocks) -> None:
    """Fill ``total`` with the sum of the pieces, that of tap t moved by t blocks along ``axis``."""
    for t, piece in enumerate(pieces):
        start, stop = max(0, blocks.first - t), min(blocks.input_size, blocks.first + blocks.count - t)
        length = max(0, stop - start)
        place = min(start + t - blocks.first, blocks.count)
        inside, part = total.narrow(axis, place, length), piece.narrow(axis, min(start, piece.shape[axis]), length)
        if t:
            inside.add_(part)
        else:
            total.narrow(axis, 0, place).zero_()
            inside.copy_(part)
            total.narrow(axis, place + length, blocks.count - place - length).zero_()
