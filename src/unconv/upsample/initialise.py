"""Initialisers for upsampling kernels, in place like those of :mod:`torch.nn.init`."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv._renamed import renamed
from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError, UnconvError
from unconv.network.run.computed_weights import set_weight, weight_of
from unconv.operators.checkerboard import equalised
from unconv.operators.geometry.sizes import Size, per_axis

_Given = TypeVar("_Given", Tensor, nn.Module)


@tell_wrong_arguments
def bilinear_geometry(stride: int) -> tuple[int, int]:
    """Kernel size and padding with which a transposed convolution of some stride interpolates linearly.

    k = 2s − s mod 2 and p = ⌈(s − 1)/2⌉: the output has s times the input's size, its cells lie where
    ``interpolate(align_corners=False)`` puts them.

    >>> bilinear_geometry(2), bilinear_geometry(3)
    ((4, 1), (5, 1))
    """
    return 2 * stride - stride % 2, stride // 2


@tell_wrong_arguments
def bilinear_(
    weight: Float[Tensor, "in out *kernel"], stride: Size | None = None, groups: int = 1
) -> Float[Tensor, "in out *kernel"]:
    """Linear interpolation, each channel to itself: along an axis w[u] = max(0, 1 − |u − (k − 1)/2|/s).

    Equal to ``interpolate(mode="linear" | "bilinear" | "trilinear", align_corners=False)`` away from the borders, where
    that repeats the last cell and a transposed convolution sees zeros, if kernel and padding are those of
    :func:`bilinear_geometry` (Long, Shelhamer & Darrell 2015, section 3.3).

    Args:
        weight: as torch stores that of a transposed convolution.
        stride: an int, or one per axis; ⌈k/2⌉ unless given.
        groups: of the convolution.

    Raises :class:`~unconv.errors.UnconvError` unless as many channels come out as go in.

    >>> bilinear_(torch.empty(1, 1, 4), stride=2)
    tensor([[[0.2500, 0.7500, 0.7500, 0.2500]]])
    """
    kernel = tuple(weight.shape[2:])
    steps = (
        tuple((k + 1) // 2 for k in kernel)
        if stride is None
        else per_axis("bilinear", "stride", stride, len(kernel), 1)
    )
    inputs, outputs = weight.shape[0], weight.shape[1] * groups
    if inputs != outputs or inputs % groups:
        raise UnconvError(
            f"bilinear: {inputs} channels in, {outputs} out, in {groups} groups; interpolation keeps channels"
        )
    taps = torch.ones((), dtype=weight.dtype, device=weight.device)
    for size, step in zip(kernel, steps, strict=True):
        places = torch.arange(size, dtype=weight.dtype, device=weight.device)
        line = (1 - (places - (size - 1) / 2).abs() / step).clamp(min=0)
        taps = taps[..., None] * line
    with torch.no_grad():
        weight.zero_()
        channels = torch.arange(inputs, device=weight.device)
        weight[channels, channels % weight.shape[1]] = taps
    return weight


@tell_wrong_arguments
@renamed(factor="scale_factor")
def icnr_(
    weight: Float[Tensor, "out in *kernel"],
    scale_factor: Size,
    initialise: Callable[[Tensor], object] = nn.init.kaiming_normal_,
) -> Float[Tensor, "out in *kernel"]:
    """Sub-pixel kernels that start without a pattern: all phases of a channel alike (Aitken et al. 2017, ICNR).

    The output of a fresh layer is that of a convolution, resized to the nearest. ``scale_factor`` is that of the
    shuffle behind, an int, or one per axis; ``initialise`` fills a smaller weight in place.

    >>> weight = icnr_(torch.empty(8, 3, 3, 3), scale_factor=2)
    >>> torch.equal(weight[0], weight[3]), torch.equal(weight[3], weight[4])
    (True, False)
    """
    phases = prod(per_axis("icnr", "scale_factor", scale_factor, weight.ndim - 2, least=1))
    if len(weight) % phases:
        raise GeometryError(
            f"icnr: {len(weight)} output channels are no multiple of the {phases} phases of scale_factor {scale_factor}"
        )
    with torch.no_grad():
        small = weight.new_empty(len(weight) // phases, *weight.shape[1:])
        initialise(small)
        weight.copy_(small.repeat_interleave(phases, dim=0))
    return weight


def equalised_(
    weight: Float[Tensor, "in out *kernel"],
    stride: Size,
    dilation: Size = 1,
    initialise: Callable[[Tensor], object] | None = None,
) -> Float[Tensor, "in out *kernel"]:
    """Kernels of a transposed convolution whose phases all pass the same of a constant (Sugawara et al. 2018).

    The nearest to what ``initialise`` fills in, or to the weight as it is: see
    :func:`~unconv.operators.checkerboard.equalised`, which also tells where there are none.

    >>> weight = equalised_(nn.ConvTranspose2d(16, 3, kernel_size=3, stride=2).weight, stride=2)
    """
    with torch.no_grad():
        if initialise is not None:
            initialise(weight)
        weight.copy_(equalised(weight, stride, dilation))
    return weight


@tell_wrong_arguments
@renamed(factor="scale_factor")
def equalised_phases_(weight: _Given, scale_factor: Size) -> _Given:
    """Sub-pixel kernels whose phases pass the same of a constant, the nearest to what they are (Sugawara et al. 2018).

    As :func:`equalised_` for a transposed convolution.

    Args:
        weight: of the convolution, (out · phases, in, *kernel); or that layer: its bias is then averaged over the
            phases, too, and where its weight is computed of others, as by ``weight_norm``, these are changed.
        scale_factor: of the shuffle behind, an int, or one per axis.

    Raises :class:`~unconv.errors.GeometryError` where the output channels are no multiple of the phases,
    :class:`~unconv.errors.UnconvError` for another layer, and where its weight cannot be changed.

    >>> weight = equalised_phases_(nn.Conv2d(3, 8, 3).weight, scale_factor=2)
    >>> gains = weight.sum((2, 3)).reshape(2, 4, 3)
    >>> bool(torch.allclose(gains, gains[:, :1].expand_as(gains), atol=1e-6))
    True
    """
    if isinstance(weight, nn.Module):
        _equalise_layer(weight, scale_factor)
        return weight
    if not isinstance(weight, Tensor):
        raise UnconvError(f"equalised_phases_: weight takes a tensor or a layer, not {type(weight).__name__}")
    phases = prod(per_axis("equalised phases", "scale_factor", scale_factor, weight.ndim - 2, least=1))
    if weight.shape[0] % phases:
        raise GeometryError(
            f"equalised phases: {weight.shape[0]} output channels are no multiple of the {phases} phases of the shuffle"
        )
    with torch.no_grad():
        split = weight.reshape(-1, phases, *weight.shape[1:])
        gains = split.mean(tuple(range(3, split.ndim)), keepdim=True)
        weight.copy_((split + gains.mean(1, keepdim=True) - gains).reshape(weight.shape))
    return weight


def _equalise_layer(layer: nn.Module, scale_factor: Size) -> None:
    weight = weight_of(layer)
    if weight is None or weight.ndim < 3:
        raise UnconvError(f"equalised phases: {type(layer).__name__} is no convolution with a weight that is known")
    weight = equalised_phases_(weight.detach().clone(), scale_factor)
    set_weight(layer, weight)
    bias = getattr(layer, "bias", None)
    if isinstance(bias, Tensor):
        phases = prod(per_axis("equalised phases", "scale_factor", scale_factor, weight.ndim - 2, least=1))
        with torch.no_grad():
            bias.copy_(bias.reshape(-1, phases).mean(1).repeat_interleave(phases))
