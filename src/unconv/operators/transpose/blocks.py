"""The output of a transposed convolution, cut into blocks that all see the same inputs.

A block is s cells long on every axis. Within it, cell r takes taps r, r + s, r + 2s, …: the *phase* of the kernel that
belongs to r. Scatter, gather and sub-pixel forms are three orders of multiplying inputs with phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.operators.geometry.sizes import effective_kernel_size, transpose_output_size
from unconv.operators.transpose.arguments import TransposeArguments


@dataclass(frozen=True)
class Blocks:
    """One axis of the output, cut into blocks of s cells.

    With the kernel moved back by ``ahead`` zeros, block q holds the cells s·q + r of the uncropped output, one for
    each phase r < s, and takes input q − t with tap s·t + r, for t < ``taps`` = ⌈(k̂ + ahead)/s⌉. The output is what
    is left of the blocks ``first`` … ``first + count − 1`` after the first ``skip`` cells.
    """

    stride: int
    taps: int
    ahead: int
    first: int
    count: int
    skip: int
    input_size: int
    output_size: int

    @property
    def cropped(self) -> bool:
        """Whether whole blocks hold more than the output; known without the input size."""
        return (self.skip, (self.skip + self.output_size) % self.stride) != (0, 0)

    @property
    def before(self) -> int:
        """Zeros that the blocks need before the input; negative where leading inputs reach no block."""
        return self.taps - 1 - self.first

    @property
    def after(self) -> int:
        """Zeros that the blocks need after the input; negative where trailing inputs reach no block."""
        return self.first + self.count - self.input_size


def cut_into_blocks(
    input_size: Any, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int
) -> Blocks:
    """The blocks of one axis.

    Where it costs no further tap, the kernel is moved so that the padding removes whole blocks: then nothing has to
    be cropped afterwards.

    >>> cut_into_blocks(16, kernel_size=3, stride=2, padding=1, output_padding=1, dilation=1)
    Blocks(stride=2, taps=2, ahead=1, first=1, count=16, skip=0, input_size=16, output_size=32)
    """
    span = effective_kernel_size(kernel_size, dilation)
    output = transpose_output_size(input_size, kernel_size, stride, (padding, padding), output_padding, dilation)
    taps = -(-span // stride)
    ahead = -padding % stride
    if -(-(span + ahead) // stride) > taps:
        ahead = 0
    first, skip = (padding + ahead) // stride, (padding + ahead) % stride  # torch.compile knows no divmod
    count = -(-(skip + output) // stride)
    return Blocks(stride, taps, ahead, first, count, skip, input_size, output)


def blocks_of(x: Tensor, weight: Tensor, arguments: TransposeArguments) -> list[Blocks]:
    """The blocks of every axis."""
    axes = zip(x.shape[2 - weight.ndim :], weight.shape[2:], *arguments.spatial, strict=True)
    return [cut_into_blocks(*axis) for axis in axes]


def kernel_by_phase(weight: Tensor, blocks: list[Blocks], arguments: TransposeArguments) -> Tensor:
    """The kernel with tap s·t + r at (t, r): (groups, in, out, T₀, s₀, T₁, s₁, …); a dilated one with its zeros."""
    if max(arguments.dilation) > 1:
        sizes = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], arguments.dilation, strict=True)]
        dense = weight.new_zeros(*weight.shape[:2], *sizes)
        every(dense, arguments.dilation).copy_(weight)
        weight = dense
    ends = [
        (axis.ahead, axis.taps * axis.stride - axis.ahead - k) for axis, k in zip(blocks, weight.shape[2:], strict=True)
    ]
    if any(map(any, ends)):
        weight = F.pad(weight, pad_order(ends))
    split = [size for axis in blocks for size in (axis.taps, axis.stride)]
    groups, channels = arguments.groups, weight.shape[0]
    return weight.reshape(groups, channels // groups, weight.shape[1], *split)


def every(tensor: Tensor, steps: tuple[int, ...]) -> Tensor:
    """A view of every ``steps``-th entry on the last axes.

    >>> every(torch.arange(5), (2,))
    tensor([0, 2, 4])
    """
    for n, step in enumerate(steps):
        tensor = tensor[(slice(None),) * (tensor.ndim - len(steps) + n) + (slice(None, None, step),)]
    return tensor


def stretch(images: Tensor, strides: tuple[int, ...]) -> Tensor:
    """The input with s − 1 zeros between its cells, s(i − 1) + 1 along each of the last axes.

    >>> stretch(torch.tensor([[[1.0, 2.0]]]), (3,))
    tensor([[[1., 0., 0., 2.]]])
    """
    count = len(strides)
    sizes = [s * (i - 1) + 1 for i, s in zip(images.shape[-count:], strides, strict=True)]
    stretched = images.new_zeros(*images.shape[:-count], *sizes)
    every(stretched, strides).copy_(images)
    return stretched


def flipped(weight: Tensor, groups: int) -> Tensor:
    """Kernels of the convolution that runs over the stretched input, (out, in / groups, *kernel); its own inverse."""
    turned = weight.flip(*range(2, weight.ndim)).reshape(groups, -1, *weight.shape[1:])
    return turned.transpose(1, 2).flatten(0, 1)


def tap_dims(count: int) -> list[int]:
    """Where :func:`kernel_by_phase` has the taps of ``count`` axes."""
    return [3 + 2 * n for n in range(count)]


def phase_dims(count: int) -> list[int]:
    """Where :func:`kernel_by_phase` has the phases of ``count`` axes."""
    return [4 + 2 * n for n in range(count)]


def collect(images: Tensor, blocks: list[Blocks]) -> Tensor:
    """The inputs that reach each block, (batch, *blocks, taps, channels); zeros beyond the border."""
    pads = [(axis.before, axis.after) for axis in blocks]
    padded = F.pad(images, pad_order(pads)).movedim(1, -1)
    return torch.stack([padded[window] for window in _windows(blocks)], dim=-2)


def spread(collected: Tensor, blocks: list[Blocks]) -> Tensor:
    """The adjoint of :func:`collect`: (batch, *blocks, taps, channels) back to (batch, channels, *size)."""
    total = collected.new_zeros(collected.shape[0], *(axis.input_size for axis in blocks), collected.shape[-1])
    for offset, piece in zip(product(*(range(axis.taps) for axis in blocks)), collected.unbind(-2), strict=True):
        ends = []
        for n, (axis, t) in enumerate(zip(blocks, offset, strict=True)):
            # Block q takes input q − t: the piece starts at input first − t, and what is outside meets zeros.
            start = axis.first - t
            inside = range(max(0, start), min(axis.input_size, start + axis.count))
            piece = piece.narrow(1 + n, min(inside.start - start, axis.count), len(inside))
            ends.append((inside.start, axis.input_size - inside.start - len(inside)))
        if piece.numel():
            total = total + F.pad(piece, [0, 0, *pad_order(ends)])
    return total.movedim(-1, 1)


def merge(cells: Tensor, start: int, blocks: list[Blocks]) -> Tensor:
    """Flatten (blocks, phases) of each axis, the first pair being at dimension ``start``."""
    sizes = [axis.count * axis.stride for axis in blocks]
    return cells.reshape(*cells.shape[:start], *sizes, *cells.shape[start + 2 * len(blocks) :])


def crop(y: Tensor, blocks: list[Blocks]) -> Tensor:
    """The output, out of (batch, channels, *whole blocks)."""
    for n, axis in enumerate(blocks):
        if axis.output_size != axis.count * axis.stride:
            y = y.narrow(2 + n, axis.skip, axis.output_size)
    return y


def cells_of(y: Tensor, blocks: list[Blocks]) -> Tensor:
    """The adjoint of merge and crop: (batch, channels, *size) to (batch, *blocks, *phases, channels)."""
    count = len(blocks)
    ends = [(axis.skip, axis.count * axis.stride - axis.skip - axis.output_size) for axis in blocks]
    whole = F.pad(y, pad_order(ends)) if any(map(any, ends)) else y
    split = [size for axis in blocks for size in (axis.count, axis.stride)]
    cells = whole.movedim(1, -1).reshape(y.shape[0], *split, y.shape[1])
    return cells.permute(0, *range(1, 1 + 2 * count, 2), *range(2, 2 + 2 * count, 2), 1 + 2 * count)


def pad_order(pads: list[tuple[int, int]]) -> list[int]:
    """torch pads from the last axis to the first."""
    return list(chain.from_iterable(reversed(pads)))


def pairs(block: int, phase: int, count: int) -> list[int]:
    """The dimensions of each axis side by side, block before phase, when each kind is listed from its own start."""
    return list(chain.from_iterable((block + n, phase + n) for n in range(count)))


def _windows(blocks: list[Blocks]) -> list[tuple[slice, ...]]:
    """For every tap, where the padded input of each block is."""
    everywhere = slice(None)
    return [
        (
            everywhere,
            *(slice(axis.taps - 1 - t, axis.taps - 1 - t + axis.count) for axis, t in zip(blocks, offset, strict=True)),
        )
        for offset in product(*(range(axis.taps) for axis in blocks))
    ]
