"""Colour transforms: channels that do not repeat each other, as small dictionaries want them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.errors import SparseError
from unconv.results import Shown

# Rows: lightness, red against blue, green against both; orthonormal.
OPPONENT = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, 0.0, -(2**-0.5)),
    (6**-0.5, -2 * 6**-0.5, 6**-0.5),
)


def to_opponent(image: Float[Tensor, " 3 *size"]) -> Float[Tensor, " 3 *size"]:
    """Red, green and blue as lightness and two opponent colours, by a rotation.

    In photographs the three are nearly uncorrelated (they are close to the principal components: Ohta, Kanade & Sakai
    1980), and since the matrix is orthonormal white noise stays white, with the same σ in each.

    >>> to_opponent(torch.ones(3, 1)).flatten().abs() > 1e-6
    tensor([ True, False, False])
    """
    return torch.einsum("oc,c...->o...", image.new_tensor(OPPONENT), image)


def from_opponent(planes: Float[Tensor, " 3 *size"]) -> Float[Tensor, " 3 *size"]:
    """The way back: the transpose, since it is a rotation.

    >>> image = torch.rand(3, 4, 5)
    >>> torch.allclose(from_opponent(to_opponent(image)), image, atol=1e-6)
    True
    """
    return torch.einsum("oc,o...->c...", planes.new_tensor(OPPONENT), planes)


@dataclass(frozen=True, eq=False, repr=False)
class Planes(Shown):
    """An image cut up so that a dictionary fits: ``stack`` (N, C, *size), and the way back to (channels, *size)."""

    stack: Float[Tensor, "planes channels ..."]
    join: Callable[[Tensor], Tensor]


def planes_for(image: Float[Tensor, "channels ..."], n_channels: int, operation: str, *, rotate: bool = True) -> Planes:
    """Cut an image up for a dictionary of so many channels.

    As many channels on both sides: the image is coded as it is, all channels by the same codes. A dictionary of one
    channel: each channel is coded by itself, of three channels their opponent colours. ``rotate=False`` leaves red,
    green and blue alone, as a mask that hides them one by one demands.

    >>> image = torch.rand(3, 48, 64)
    >>> planes_for(image, 3, "denoise").stack.shape, planes_for(image, 1, "denoise").stack.shape
    (torch.Size([1, 3, 48, 64]), torch.Size([3, 1, 48, 64]))

    Raises :class:`~unconv.errors.SparseError` for other combinations.
    """
    channels = image.shape[0]
    if channels == n_channels:
        return Planes(image[None], lambda stack: stack[0])
    if n_channels != 1:
        raise SparseError(
            f"{operation}: image of {channels} channels, dictionary of {n_channels}; use a dictionary of {channels}"
            f"{'' if channels == 1 else ' or of 1'}"
        )
    if channels == 3 and rotate:
        return Planes(to_opponent(image)[:, None], lambda stack: from_opponent(stack[:, 0]))
    return Planes(image[:, None], lambda stack: stack[:, 0])


def take_opacity(image: Float[Tensor, "channels ..."]) -> tuple[Tensor, Tensor | None]:
    """Colour and opacity apart: the fourth of four channels of a picture, the second of two, is no colour.

    >>> colour, opacity = take_opacity(torch.rand(4, 8, 8))
    >>> colour.shape, opacity.shape
    (torch.Size([3, 8, 8]), torch.Size([1, 8, 8]))
    """
    if image.ndim == 3 and image.shape[0] in (2, 4):
        return image[:-1], image[-1:]
    return image, None
