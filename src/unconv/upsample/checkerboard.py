"""Checkerboard measures of layers: of torch's transposed convolutions and of all upsamplers here.

What they measure is in :mod:`unconv.operators.checkerboard`; here it is read off a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.choices import TransposedForm
from unconv.errors import UnconvError
from unconv.network.run.computed_weights import computed_by, set_weight, weight_of
from unconv.operators import checkerboard as of_weights
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvTransposeGeometry
from unconv.operators.geometry.sizes import Size
from unconv.operators.layers import geometry_of
from unconv.upsample import initialise as weights_
from unconv.upsample.bilinear import Bilinear1d, Bilinear2d, Bilinear3d
from unconv.upsample.convert import SubPixelForm, ZeroInsertion, convert
from unconv.upsample.resize import ResizeConv1d, ResizeConv2d, ResizeConv3d
from unconv.upsample.subpixel import SubPixel1d, SubPixel2d, SubPixel3d
from unconv.upsample.upsamplers import Doubling

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_SUB_PIXEL = (SubPixel1d, SubPixel2d, SubPixel3d)
_BILINEAR = (Bilinear1d, Bilinear2d, Bilinear3d)
_RESIZED = (ResizeConv1d, ResizeConv2d, ResizeConv3d, nn.Upsample)
_Given = TypeVar("_Given", Tensor, nn.Module)


class _Kernels(NamedTuple):
    """Kernels as those of a transposed convolution."""

    weight: Tensor
    stride: Size
    dilation: Size
    groups: int


@tell_wrong_arguments
def checkerboard_score(
    layer: nn.Module | Float[Tensor, "in out *kernel"],
    stride: Size | None = None,
    dilation: Size = 1,
    inputs: Float[Tensor, " in"] | None = None,
) -> float:
    """How much of what a constant input becomes is pattern: 0, nothing; 1, all of it.

    See :func:`unconv.operators.checkerboard.checkerboard_score` for what it can tell, with ``inputs`` and without.

    Args:
        layer: ``nn.ConvTranspose1d`` to 3d, or an upsampling layer of this package; or the weight of a transposed
            convolution, as torch stores it.
        stride, dilation: of a weight; a layer has its own.
        inputs: the mean of each input channel, as ``features.mean((0, 2, 3))``.

    Raises :class:`~unconv.errors.UnconvError` for other layers, and for a weight without a stride.

    >>> layer = nn.ConvTranspose2d(8, 3, 3, stride=2)
    >>> checkerboard_score(layer) == checkerboard_score(layer.weight, stride=2)
    True
    >>> checkerboard_score(equalised_(layer)) < 1e-6
    True
    """
    if isinstance(layer, Tensor):
        return of_weights.checkerboard_score(layer, _needed("checkerboard score", stride), dilation, inputs)
    _own("checkerboard score", layer, stride, dilation)
    one = _upsampler(layer)
    if isinstance(one, _SUB_PIXEL):
        return of_weights.subpixel_score(_weight("checkerboard score", one.conv), prod(one.scale_factor), inputs)
    kernels = _kernels("checkerboard score", one)
    # What is interpolated, or repeated, has one value for a constant.
    return 0.0 if kernels is None else of_weights.checkerboard_score(*kernels[:3], inputs, kernels.groups)


@tell_wrong_arguments
def equalised_(
    layer: _Given,
    stride: Size | None = None,
    dilation: Size = 1,
    initialise: Callable[[Tensor], object] | None = None,
) -> _Given:
    """Make the phases of a layer's kernels pass the same of a constant, in place (Sugawara et al. 2018).

    The kernels become the nearest that do, to what ``initialise`` fills in, or to what they are. Of a sub-pixel layer,
    the bias is averaged over the phases, too. Layers that interpolate first need no change.

    Args:
        layer: as :func:`checkerboard_score` takes it.
        stride, dilation: of a weight; a layer has its own.
        initialise: fills a weight in place, as those of :mod:`torch.nn.init`.

    Returns:
        What was given.

    Raises :class:`~unconv.errors.GeometryError` where a phase has no tap, and otherwise as :func:`checkerboard_score`.

    >>> layer = equalised_(nn.ConvTranspose2d(16, 3, kernel_size=3, stride=2))
    """
    if initialise is not None and not callable(initialise):
        raise UnconvError(f"equalised: initialise is a {type(initialise).__name__}; give a function of a weight")
    if isinstance(layer, Tensor):
        weights_.equalised_(layer, _needed("equalised", stride), dilation, initialise)
        return layer
    _own("equalised", layer, stride, dilation)
    one: Any = _upsampler(layer)
    if isinstance(one, _SUB_PIXEL):
        _equalise_phases(one, initialise)
    elif isinstance(one, SubPixelForm | ZeroInsertion):
        # Its kernels hold zeros that have to stay: what is made equal is the transposed convolution.
        back: Any = convert(one, "transposed")
        weights_.equalised_(back.weight, back.stride, back.dilation, initialise)
        form: TransposedForm = "sub-pixel" if isinstance(one, SubPixelForm) else "zero-insertion"
        one.load_state_dict(convert(back, form).state_dict())
    else:
        kernels = _kernels("equalised", one)
        if kernels is not None:
            weight = kernels.weight.detach().clone()
            set_weight(one, weights_.equalised_(weight, kernels.stride, kernels.dilation, initialise))
    return layer


@tell_wrong_arguments
def overlap(
    geometry: Geometry | nn.Module, size: int | Sequence[int] | Tensor | None = None
) -> Int[Tensor, "*output_size"]:
    """How many taps are added up in each output cell (Odena, Dumoulin & Olah 2016).

    Unequal numbers away from the borders are what :attr:`ConvTransposeGeometry.uneven_overlap` says.

    Args:
        geometry: of a transposed convolution; or such a layer, or a sub-pixel one.
        size: of a layer's input, as :meth:`ConvGeometry.of` takes it; without it as many cells as show what happens
            away from the borders, 2⌈k̂/s⌉ + 1 along each axis.

    Raises :class:`~unconv.errors.UnconvError` for layers that interpolate: all their cells have all taps.

    >>> overlap(nn.ConvTranspose1d(1, 1, kernel_size=3, stride=2), 4).tolist()
    [1, 1, 2, 1, 2, 1, 2, 1, 1]
    """
    if isinstance(geometry, nn.Module):
        one: Any = _upsampler(geometry)
        if not isinstance(one, (*_TRANSPOSED, *_SUB_PIXEL, SubPixelForm, ZeroInsertion)):
            raise UnconvError(
                f"overlap: {type(one).__name__} is no transposed convolution and no sub-pixel layer; of layers that "
                "interpolate first, all cells have the same taps"
            )
        geometry = geometry_of(one, _telling_size(one) if size is None else size)
    elif size is not None:
        raise UnconvError(f"overlap: a geometry has its own size; leave {size!r} out")
    if not isinstance(geometry, ConvTransposeGeometry):
        raise UnconvError(
            f"overlap: {type(geometry).__name__} is not the geometry of a transposed convolution; give one, or a layer"
        )
    return of_weights.overlap(geometry)


def _upsampler(layer: nn.Module) -> nn.Module:
    """The layer that does it, of one that was made by name."""
    if isinstance(layer, Doubling):
        layer = layer.layer
        # A convolution of one cell, and the interpolation.
        return layer[-1] if isinstance(layer, nn.Sequential) else layer
    return layer


def _kernels(operation: str, layer: nn.Module) -> _Kernels | None:
    """The kernels of a layer; None where it interpolates."""
    one: Any = convert(layer, "transposed") if isinstance(layer, SubPixelForm | ZeroInsertion) else layer
    if isinstance(one, _TRANSPOSED):
        return _Kernels(_weight(operation, one), tuple(one.stride), tuple(one.dilation), one.groups)
    if isinstance(one, _BILINEAR):
        return None if one.weight is None else _Kernels(one.weight, one.scale_factor, 1, one.channels)
    if isinstance(one, _RESIZED):
        return None
    raise UnconvError(
        f"{operation}: {type(layer).__name__} is no upsampling layer; give nn.ConvTranspose1d to 3d, one of "
        "unconv.upsample, or the weight of a transposed convolution"
    )


def _equalise_phases(
    layer: SubPixel1d | SubPixel2d | SubPixel3d, initialise: Callable[[Tensor], object] | None
) -> None:
    if initialise is not None:
        weight = _weight("equalised", layer.conv).detach().clone()
        with torch.no_grad():
            initialise(weight)
        set_weight(layer.conv, weight)
    weights_.equalised_phases_(layer.conv, layer.scale_factor)


def _weight(operation: str, layer: nn.Module) -> Tensor:
    """The weight with which a layer computes, whatever that is computed of."""
    weight = weight_of(layer)
    if weight is None:
        raise UnconvError(f"{operation}: {computed_by(layer)} computes the weight of {type(layer).__name__}, unseen")
    return weight


def _telling_size(layer: Any) -> tuple[int, ...]:
    # Kernel and stride are the same for all sizes.
    one = geometry_of(layer, 64)
    return tuple(2 * -(-k // s) + 1 for k, s in zip(one.effective_kernel_size, one.stride, strict=True))


def _needed(operation: str, stride: Size | None) -> Size:
    if stride is None:
        raise UnconvError(f"{operation}: a weight says nothing of its stride; give stride=, or the layer")
    return stride


def _own(operation: str, layer: nn.Module, stride: Size | None, dilation: Size) -> None:
    if not isinstance(layer, nn.Module):
        raise UnconvError(f"{operation}: {type(layer).__name__} is neither a layer nor a weight")
    if stride is not None or dilation != 1:
        raise UnconvError(f"{operation}: {type(layer).__name__} has its own stride and dilation; leave them out")
