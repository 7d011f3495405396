"""The kernels of a transposed convolution in its two other forms: by phase, and flipped.

All three have the same numbers in their kernels (Shi et al. 2016, "Is the deconvolution layer the same as a
convolutional layer?"; Dumoulin & Visin 2016, section 4): :mod:`unconv.operators.transpose.blocks` says which is where.
"""

from __future__ import annotations

from math import prod

from jaxtyping import Float
from torch import Tensor

from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.blocks import Blocks, cut_into_blocks, every, kernel_by_phase, phase_dims, tap_dims


def blocks_by_axis(kernel_size: tuple[int, ...], arguments: TransposeArguments) -> list[Blocks]:
    """The blocks of each axis, of an input of one cell: what pads, skips and taps are, is so for every input."""
    return [cut_into_blocks(1, *axis) for axis in zip(kernel_size, *arguments.spatial, strict=True)]


def phase_kernels(
    weight: Float[Tensor, "in out_per_group *kernel"], arguments: TransposeArguments
) -> Float[Tensor, "out_phases in_per_group *low_kernel"]:
    """Kernels of the convolution at low resolution: for each output channel one for each phase, the last axis first.

    Differentiable. Taps that the transposed kernel lacks are zero.
    """
    blocks = blocks_by_axis(tuple(weight.shape[2:]), arguments)
    count = len(blocks)
    kernel = kernel_by_phase(weight, blocks, arguments).flip(tap_dims(count))
    return kernel.permute(0, 2, *phase_dims(count), 1, *tap_dims(count)).flatten(0, 1 + count)


def transposed_kernels(
    kernels: Float[Tensor, "out_phases in_per_group *low_kernel"],
    kernel_size: tuple[int, ...],
    arguments: TransposeArguments,
) -> Float[Tensor, "in out_per_group *kernel"]:
    """Back again: what :func:`phase_kernels` makes these kernels of."""
    blocks = blocks_by_axis(kernel_size, arguments)
    count, groups = len(blocks), arguments.groups
    strides, taps = [axis.stride for axis in blocks], [axis.taps for axis in blocks]
    outputs, inputs = kernels.shape[0] // (groups * prod(strides)), kernels.shape[1]
    split = kernels.reshape(groups, outputs, *strides, inputs, *taps)
    # From (group, out, *phases, in, *taps) to (group, in, out, tap, phase, tap, phase, ...).
    order = [dim for n in range(count) for dim in (3 + count + n, 2 + n)]
    joined = split.permute(0, 2 + count, 1, *order).flip(tap_dims(count)).flatten(0, 1)
    weight = joined.reshape(groups * inputs, outputs, *(s * t for s, t in zip(strides, taps, strict=True)))
    for n, (axis, k, d) in enumerate(zip(blocks, kernel_size, arguments.dilation, strict=True), start=2):
        weight = weight.narrow(n, axis.ahead, d * (k - 1) + 1)
    return every(weight, arguments.dilation)
