"""What an upsampling layer is, whoever made it: its kind, its channels, and the sizes that it comes to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.operators.layers import geometry_of
from unconv.upsample.bilinear import Bilinear1d, Bilinear2d, Bilinear3d
from unconv.upsample.change.substitute import Substitute
from unconv.upsample.convert import SubPixelForm, ZeroInsertion
from unconv.upsample.resize import ResizeConv1d, ResizeConv2d, ResizeConv3d
from unconv.upsample.subpixel import SubPixel1d, SubPixel2d, SubPixel3d
from unconv.upsample.upsamplers import Doubling

KINDS = ("transposed", "sub-pixel", "resize", "bilinear", "interpolation")

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, ZeroInsertion)
_SUB_PIXEL = (SubPixel1d, SubPixel2d, SubPixel3d, SubPixelForm, nn.PixelShuffle)
_RESIZE = (ResizeConv1d, ResizeConv2d, ResizeConv3d)
_BILINEAR = (Bilinear1d, Bilinear2d, Bilinear3d)

Shapes: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""The shapes of an input, with its batch, and of what came of it."""


@dataclass(frozen=True, eq=False)
class Upsampling:
    """One upsampling layer: along each axis, i cells become s·i + c.

    Attributes:
        kind: of layer.
        in_channels, out_channels: of input and output.
        scale_factor: s, for each axis.
        more: c, for each axis.
        groups: of channels that are kept apart.
        has_bias: whether it adds one; None where it has no weights.
        bias: one number for each output channel; None where it adds none, or one that differs from phase to phase.
    """

    kind: str
    in_channels: int
    out_channels: int
    scale_factor: tuple[int, ...]
    more: tuple[int, ...]
    groups: int = 1
    has_bias: bool | None = None
    bias: Tensor | None = None


def kind_of(layer: nn.Module) -> str | None:
    """The kind of a layer; None for one that does not upsample.

    >>> kind_of(nn.ConvTranspose2d(3, 3, 2, 2)), kind_of(nn.Upsample(scale_factor=2)), kind_of(nn.Conv2d(3, 3, 2))
    ('transposed', 'interpolation', None)
    """
    one = inner(layer)
    if isinstance(one, _TRANSPOSED):
        return "transposed"
    if isinstance(one, _SUB_PIXEL):
        return "sub-pixel"
    if isinstance(one, _RESIZE):
        return "resize"
    if isinstance(one, _BILINEAR):
        return "bilinear"
    return "interpolation" if isinstance(one, nn.Upsample) else None


def inner(layer: nn.Module) -> nn.Module:
    """The layer that upsamples, of one that was made by name or put in another's place."""
    one = layer
    while isinstance(one, Doubling | Substitute):
        one = one.layer
    made = one is not layer
    # A convolution of one cell, and the interpolation.
    return one[-1] if made and isinstance(one, nn.Sequential) else one


def describe_upsampling(layer: nn.Module, shapes: Shapes | None = None) -> Upsampling:
    """What a layer is.

    Args:
        layer: one that has a kind.
        shapes: of its input and output, with the batch, where they are known: some layers do not say how many channels
            they have.

    Raises :class:`~unconv.errors.UnconvError` for one that comes to sizes of another rule, and for one whose channels
    are not known.

    >>> found = describe_upsampling(nn.ConvTranspose2d(8, 3, 3, stride=2))
    >>> found.in_channels, found.out_channels, found.scale_factor, found.more
    (8, 3, (2, 2), (1, 1))
    """
    one: Any = inner(layer)
    if isinstance(one, nn.Upsample | nn.PixelShuffle):
        return _of_torch(one, shapes)
    if isinstance(one, _BILINEAR):
        first: Any = layer
        while isinstance(first, Doubling | Substitute):
            first = first.layer
        zeros = (0,) * len(one.scale_factor)
        if isinstance(first, nn.Sequential):
            conv: Any = first[0]
            channels = conv.in_channels, conv.out_channels
            found = Upsampling("bilinear", *channels, one.scale_factor, zeros, 1, conv.bias is not None, conv.bias)
        else:
            found = Upsampling("bilinear", one.channels, one.channels, one.scale_factor, zeros)
    elif isinstance(one, _RESIZE):
        channels, bias = (one.conv.in_channels, one.conv.out_channels), one.conv.bias
        zeros = (0,) * len(one.scale_factor)
        found = Upsampling("resize", *channels, one.scale_factor, zeros, 1, bias is not None, bias)
    elif isinstance(one, (SubPixel1d, SubPixel2d, SubPixel3d, SubPixelForm)):
        found = _of_phases(one)
    elif isinstance(one, _TRANSPOSED):
        found = _of_transposed(one)
    else:
        raise UnconvError(f"upsampling: {type(layer).__name__} is no upsampling layer")
    if isinstance(layer, Substitute):
        found = dataclasses.replace(found, more=layer.more)
    if isinstance(layer, Doubling):
        found = dataclasses.replace(found, more=(0,) * layer.axes)
    return found


def _of_torch(one: Any, shapes: Shapes | None) -> Upsampling:
    """torch's layers without weights, which do not know their channels."""
    if isinstance(one, nn.Upsample) and one.size is not None:
        raise UnconvError(f"it comes to {one.size} whatever comes in, which no scale factor does")
    factor = one.upscale_factor if isinstance(one, nn.PixelShuffle) else one.scale_factor
    factors = factor if isinstance(factor, tuple) else (factor,)
    if any(step != int(step) for step in factors):
        raise UnconvError(f"its scale factor {factor} is not whole")
    if shapes is None:
        raise UnconvError("its channels are not known; give an input_size")
    axes = len(shapes[0]) - 2
    steps = tuple(map(int, factors)) * (axes if len(factors) == 1 else 1)
    kind = "sub-pixel" if isinstance(one, nn.PixelShuffle) else "interpolation"
    return Upsampling(kind, shapes[0][1], shapes[1][1], steps, (0,) * axes)


def _of_phases(one: Any) -> Upsampling:
    conv = one.conv
    factor = one.original.arguments.stride if isinstance(one, SubPixelForm) else one.scale_factor
    phases, bias = prod(factor), conv.bias
    if bias is not None:
        by_phase = bias.reshape(-1, phases)
        bias = by_phase[:, 0] if bool((by_phase == by_phase[:, :1]).all()) else None
    settings = (factor, _more(one, factor), conv.groups, conv.bias is not None, bias)
    return Upsampling("sub-pixel", conv.in_channels, conv.out_channels // phases, *settings)


def _of_transposed(one: Any) -> Upsampling:
    if isinstance(one, ZeroInsertion):
        conv: Any = one.conv
        arguments = one.original.arguments
        steps, groups = arguments.stride, arguments.groups
    else:
        conv, steps, groups = one, tuple(one.stride), one.groups
    settings = (steps, _more(one, steps), groups, conv.bias is not None, conv.bias)
    return Upsampling("transposed", conv.in_channels, conv.out_channels, *settings)


def _more(one: Any, steps: tuple[int, ...]) -> tuple[int, ...]:
    """c of s·i + c, which is the same for all sizes; a large one leaves cells whatever the padding."""
    cells = 1024
    sizes = geometry_of(one, cells).output_size
    return tuple(size - step * cells for size, step in zip(sizes, steps, strict=True))
