"""Low-pass filtering: the slow part of an image, which a dictionary of small kernels cannot say, split off first."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from unconv._renamed import warn_renamed
from unconv.errors import SparseError
from unconv.results import Shown
from unconv.sparse.code.validate import as_float, as_tensor, check_finite
from unconv.sparse.restore.cosine import cosine_transform, inverse_cosine_transform
from unconv.sparse.types import ImageLike, MaskLike

MAX_STEPS = 1000


@dataclass(frozen=True, eq=False, repr=False)
class Bands(Shown):
    """An image in two parts, image = low + detail.

    Attributes:
        low: the slow part.
        detail: the rest; 0 where the mask is 0.
    """

    low: Float[Tensor, "*shape"]
    detail: Float[Tensor, "*shape"]


def split(
    image: ImageLike,
    strength: float = 5.0,
    mask: MaskLike | None = None,
) -> Bands:
    """Split an image into its slow part and the detail, channel by channel.

    The slow part x minimises ½‖W(x − s)‖² + (λ/2)·Σ_axes ‖G x‖², where G is the difference of neighbours and nothing
    lies behind a border (Tikhonov & Arsenin 1977). Without a mask the cosine transform solves it; with one, conjugate
    gradients do, with the maskless solution as preconditioner. It halves a wave of 2π√λ pixels.

    Args:
        image: (channels, length), (channels, height, width) or (batch, channels, height, width); uint8 counts as
            value / 255.
        strength: λ > 0, in pixels².
        mask: W ≥ 0, broadcast against the image: 1 or True where a pixel is known, 0 where it is not and may be
            anything, NaN too. Other values weigh.

    Raises :class:`~unconv.errors.SparseError` for a strength that is not positive and finite, for pixels that are NaN
    or infinite where the mask is not 0, and for a channel of which no pixel is known.

    >>> image = torch.rand(3, 48, 64)
    >>> bands = split(image, strength=5.0)
    >>> bands.low.shape, torch.allclose(bands.low + bands.detail, image)
    (torch.Size([3, 48, 64]), True)
    """
    signal, weight = _checked(image, strength, mask)
    axes = (-1,) if signal.ndim == 2 else (-2, -1)
    stiffness = strength * _difference_spectrum(signal, axes)
    if weight is None:
        low = _filter(signal, 1 / (1 + stiffness), axes)
        return Bands(low, signal - low)
    low = _masked_low(signal, weight, stiffness, strength, axes)
    return Bands(low, torch.where(weight > 0, signal - low, 0))


def bands_of(image: ImageLike, strength: float, mask: MaskLike | None = None) -> Bands:
    """As :func:`split`, but with a strength of 0 all of the image is detail.

    >>> bands_of(torch.ones(1, 4, 4), 0).low.abs().max()
    tensor(0.)
    """
    if strength:
        return split(image, strength, mask)
    whole = as_float(as_tensor(image, "image", "split"), "image", "split", eight_bits=True)
    return Bands(torch.zeros_like(whole), whole)


Given = TypeVar("Given", float, float | None)


def renamed_strength(operation: str, low_pass: Given, strength: float | None) -> Given | float:
    """The strength of the low-pass, also where it was given under its name of before."""
    if strength is None:
        return low_pass
    warn_renamed(f"{operation}: strength is low_pass now")
    return strength


def _checked(image: ImageLike, strength: float, mask: MaskLike | None) -> tuple[Tensor, Tensor | None]:
    if not 0 < strength < float("inf"):
        raise SparseError(f"split: strength {strength} must be positive and finite; 5 to 10 suits 8×8 kernels")
    signal = as_float(as_tensor(image, "image", "split"), "image", "split", eight_bits=True)
    if not 2 <= signal.ndim <= 4 or 0 in signal.shape:
        raise SparseError(
            f"split: image of shape {tuple(signal.shape)}; give (channels, length) or (channels, height, width), no 0"
        )
    if mask is None:
        check_finite(signal, "image", "split", "mask them out, with 0 in the mask")
        return signal, None
    weight = as_tensor(mask, "mask", "split").to(signal)
    try:
        weight = weight.expand_as(signal)
    except RuntimeError:
        raise SparseError(
            f"split: mask of shape {tuple(weight.shape)} does not fit the image {tuple(signal.shape)}; "
            "give the same shape, or 1 where it repeats"
        ) from None
    if not bool((weight >= 0).all() and weight.isfinite().all()):
        raise SparseError("split: the mask has values that are negative, NaN or infinite; 1 is known, 0 unknown")
    signal = torch.where(weight > 0, signal, 0)
    check_finite(signal, "image", "split", "mask them out, with 0 in the mask")
    return signal, None if bool((weight == 1).all()) else weight


def _difference_spectrum(signal: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Eigenvalues of Σ GᵀG in the cosine basis: Σ_axes 2 − 2cos(πf/N)."""
    total = signal.new_zeros(())
    for axis in axes:
        size = signal.shape[axis]
        waves = torch.arange(size, dtype=signal.dtype, device=signal.device) * (pi / size)
        total = total + (2 - 2 * waves.cos()).reshape([-1] + [1] * (-1 - axis))
    return total


def _filter(signal: Tensor, gain: Tensor, axes: tuple[int, ...]) -> Tensor:
    for axis in axes:
        signal = cosine_transform(signal, axis)
    signal = signal * gain
    for axis in axes:
        signal = inverse_cosine_transform(signal, axis)
    return signal


def _masked_low(signal: Tensor, weight: Tensor, stiffness: Tensor, strength: float, axes: tuple[int, ...]) -> Tensor:
    """Conjugate gradients on (W² + λ Σ GᵀG) x = W² s, all channels at once, each with its own step."""
    square = weight**2
    known = square.mean(dim=axes, keepdim=True)
    if not bool((known > 0).all()):
        raise SparseError("split: a channel has no known pixel at all; leave it out")
    inverse = 1 / (known + stiffness)
    x = (signal * square).mean(dim=axes, keepdim=True) / known + torch.zeros_like(signal)
    residual = square * (signal - x)
    goal = (1e-11 if signal.dtype == torch.float64 else 1e-6) * residual.square().sum(dim=axes, keepdim=True).sqrt()
    direction = torch.zeros_like(x)
    fall_before = torch.ones_like(known)
    for _ in range(MAX_STEPS):
        if bool((residual.square().sum(dim=axes, keepdim=True).sqrt() <= goal).all()):
            break
        conditioned = _filter(residual, inverse, axes)
        fall = (residual * conditioned).sum(dim=axes, keepdim=True)
        direction = conditioned + (fall / fall_before) * direction
        image = square * direction + strength * _stiff(direction, axes)
        curvature = (direction * image).sum(dim=axes, keepdim=True)
        step = torch.where(curvature > 0, fall / curvature.clamp(min=torch.finfo(x.dtype).tiny), 0)
        x = x + step * direction
        residual = residual - step * image
        fall_before = fall.clamp(min=torch.finfo(x.dtype).tiny)
    else:
        raise SparseError(f"split: conjugate gradients did not settle in {MAX_STEPS} steps; give a smaller strength")
    return x


def _stiff(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Σ GᵀG x: each pixel's differences to its neighbours, added up."""
    total = torch.zeros_like(x)
    for axis in axes:
        difference = x.diff(dim=axis)
        size = difference.shape[axis]
        total.narrow(axis, 0, size).sub_(difference)
        total.narrow(axis, 1, size).add_(difference)
    return total
