"""The two other ways to write a transposed convolution: sub-pixel, and a convolution of the input with zeros between.

All three have the same numbers in their kernels (Shi et al. 2016, "Is the deconvolution layer the same as a
convolutional layer?"; Dumoulin & Visin 2016, section 4). With q = o + p, tap t of input cell i lands at q = s·i + d·t:
the cells q = s·m + r of a phase r read only taps with d·t ≡ r (mod s), at i = m − (d·t − r)/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Phases:
    """How one axis of a transposed convolution comes apart into phases.

    Attributes:
        kernel: taps of the convolution at low resolution.
        pads: cells added to the input before and after it; negative where cells are left out.
        skipped: cells of the shuffled output to leave out in front.
        surplus: likewise behind.
        taps: for each phase, its (tap of the transposed kernel, tap of the convolution) pairs.
    """

    kernel: int
    pads: tuple[int, int]
    skipped: int
    surplus: int
    taps: tuple[tuple[tuple[int, int], ...], ...]


def phases_of(kernel: int, stride: int, padding: int, dilation: int, output_padding: int) -> Phases:
    """The phases of an axis.

    >>> phases_of(4, stride=2, padding=1, dilation=1, output_padding=0).taps
    (((0, 1), (2, 0)), ((1, 1), (3, 0)))
    """
    last = dilation * (kernel - 1)
    reach = last // stride
    first = padding // stride
    # The last cell, o′ − 1 + p = s(i′ − 1) + end − 1, as the relation of the transposed convolution says.
    end = last + output_padding + 1 - padding
    periods = -(-end // stride)
    taps: list[list[tuple[int, int]]] = [[] for _ in range(stride)]
    for tap in range(kernel):
        phase = dilation * tap % stride
        taps[phase].append((tap, reach - (dilation * tap - phase) // stride))
    return Phases(
        reach + 1,
        (reach - first, periods - 1),
        padding - first * stride,
        stride * periods - end,
        tuple(map(tuple, taps)),
    )


def phase_kernels(
    weight: Float[Tensor, "in out_per_group *kernel"], phases: tuple[Phases, ...], groups: int
) -> Float[Tensor, "out_phases in_per_group *low_kernel"]:
    """Kernels of the convolution at low resolution: for each output channel one for each phase, the last axis first.

    Differentiable. Taps that the transposed kernel lacks are zero.
    """
    swapped = swap_channels(weight, groups)
    outputs, inputs = swapped.shape[:2]
    steps = tuple(len(axis.taps) for axis in phases)
    source, target = [], []
    low = tuple(axis.kernel for axis in phases)
    for number, choice in enumerate(product(*(range(step) for step in steps))):
        for pairs in product(*(axis.taps[phase] for axis, phase in zip(phases, choice, strict=True))):
            source.append(_flat([tap for tap, _ in pairs], weight.shape[2:]))
            target.append(number * prod(low) + _flat([tap for _, tap in pairs], low))
    flat = swapped.flatten(2)
    made = flat.new_zeros((outputs, inputs, prod(steps) * prod(low)))
    made = made.index_copy(2, _index(target, flat), flat.index_select(2, _index(source, flat)))
    return made.reshape(outputs, inputs, prod(steps), *low).movedim(2, 1).reshape(outputs * prod(steps), inputs, *low)


def transposed_kernels(
    kernels: Float[Tensor, "out_phases in_per_group *low_kernel"], phases: tuple[Phases, ...], groups: int
) -> Float[Tensor, "in out_per_group *kernel"]:
    """Back again: what :func:`phase_kernels` makes these kernels of."""
    steps = tuple(len(axis.taps) for axis in phases)
    low = tuple(axis.kernel for axis in phases)
    size = tuple(1 + max(tap for taps in axis.taps for tap, _ in taps) for axis in phases)
    source, target = [], []
    for number, choice in enumerate(product(*(range(step) for step in steps))):
        for pairs in product(*(axis.taps[phase] for axis, phase in zip(phases, choice, strict=True))):
            target.append(_flat([tap for tap, _ in pairs], size))
            source.append(number * prod(low) + _flat([tap for _, tap in pairs], low))
    outputs, inputs = kernels.shape[0] // prod(steps), kernels.shape[1]
    flat = kernels.reshape(outputs, prod(steps), inputs, *low).movedim(1, 2).flatten(2)
    made = flat.new_zeros((outputs, inputs, prod(size)))
    made = made.index_copy(2, _index(target, flat), flat.index_select(2, _index(source, flat)))
    return swap_channels(made.reshape(outputs, inputs, *size), groups)


def flipped(
    weight: Float[Tensor, "in out_per_group *kernel"], groups: int
) -> Float[Tensor, "out in_per_group *kernel"]:
    """Kernels of the convolution that runs over the input with zeros between its cells; its own inverse."""
    return swap_channels(weight, groups).flip(tuple(range(2, weight.ndim)))


def swap_channels(weight: Float[Tensor, "a b *kernel"], groups: int) -> Float[Tensor, "c d *kernel"]:
    """From (in, out / groups) to (out, in / groups), and back."""
    split = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return split.transpose(1, 2).reshape(groups * weight.shape[1], -1, *weight.shape[2:])


def spread_zeros(
    x: Float[Tensor, "batch channel *size"], stride: tuple[int, ...]
) -> Float[Tensor, "batch channel *wide"]:
    """The input with s − 1 zeros between its cells, (i − 1)s + 1 along each axis.

    >>> spread_zeros(torch.tensor([[[1.0, 2.0]]]), (3,))
    tensor([[[1., 0., 0., 2.]]])
    """
    for axis, step in enumerate(stride, start=2):
        if step > 1:
            size = x.shape[axis]
            behind = F.pad(x.unsqueeze(axis + 1), [0, 0] * (x.ndim - axis - 1) + [0, step - 1])
            x = behind.flatten(axis, axis + 1).narrow(axis, 0, (size - 1) * step + 1)
    return x


def _flat(position: list[int], size: tuple[int, ...] | torch.Size) -> int:
    number = 0
    for place, count in zip(position, size, strict=True):
        number = number * count + place
    return number


def _index(numbers: list[int], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64, device=like.device)
