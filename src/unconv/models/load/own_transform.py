"""A picture transform of the user's own: any callable, applied as it is, and what can be found out about it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unconv.data.arrays import finish_picture, to_pil
from unconv.errors import ImageError, ModelError, one_line

# Rows and columns of the pictures that a transform is tried with: larger than most networks' input, not square.
PROBE = (300, 400)


@dataclass(frozen=True)
class OwnTransform:
    """A callable that makes what a network is given of a picture.

    Attributes:
        transform: takes a Pillow picture, or a tensor (channel, height, width) in [0, 1].
        pillow: whether it takes the former.
        grey: whether it is given grey pictures.

    >>> own = OwnTransform(lambda image: image[:, :8, :8], pillow=False, grey=False)
    >>> own(torch.rand(1, 16, 16)).shape
    torch.Size([3, 8, 8])
    """

    transform: Callable[[Any], Any]
    pillow: bool = True
    grey: bool = False

    def __call__(self, image: Float[Tensor, "channels height width"]) -> Float[Tensor, "out rows columns"]:
        """The transform of a picture in [0, 1]; raises ImageError where it fails or makes no image."""
        picture = finish_picture(image.to(torch.float32), None, "grey" if self.grey else "rgb", 1.0)
        given = to_pil(picture) if self.pillow else picture
        try:
            made = self.transform(given)
        except Exception as error:  # a user's own code fails in any way
            raise ImageError(f"transform: {self} fails on a {type(given).__name__}: {one_line(error)}") from error
        if isinstance(made, np.ndarray) and made.dtype.kind == "f":
            made = torch.from_numpy(made)
        if isinstance(made, Tensor) and made.ndim == 4 and len(made) == 1:
            made = made[0]
        if not isinstance(made, Tensor) or made.ndim != 3 or not made.is_floating_point():
            kind = f"{tuple(made.shape)} of {made.dtype}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
            raise ImageError(f"transform: {self} makes {kind}; a float tensor (channel, height, width) is needed")
        return made.detach().to(torch.float32).as_subclass(Tensor)

    def __str__(self) -> str:
        told = getattr(self.transform, "__name__", None) or " ".join(repr(self.transform).split())
        return told if len(told) <= 200 else f"{told[:199]}…"


def try_transform(
    transform: Callable[[Any], Any], grey: bool
) -> tuple[OwnTransform, tuple[int, int], tuple[float, ...], tuple[float, ...]]:
    """How a callable is called, the (height, width) that it makes, and the mean and std that it normalises with.

    What it makes of black and of white pictures says what it subtracts and divides by, (picture − mean) / std, channel
    by channel; 0 and 1 where that is not what it does.

    Args:
        transform: takes a Pillow picture or a tensor.
        grey: whether the network takes one channel.

    Raises :class:`~unconv.errors.ModelError` for a transform that takes neither, makes no image, or makes another one
    each time.

    >>> own, size, mean, std = try_transform(lambda image: (image[:, :8, :9] - 0.5) / 0.25, grey=False)
    >>> own.pillow, size, mean, std
    (False, (8, 9), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    """
    noise = torch.rand((3, *PROBE), generator=torch.Generator().manual_seed(0))
    with _as_before():
        own = _called(transform, grey, noise)
        first, second = own(noise), own(noise)
        if first.shape != second.shape or not torch.equal(first, second):
            raise ModelError(
                f"transform: {own} makes another picture of the same one each time; give the one for evaluation"
            )
        black, white = (own(torch.full((3, *PROBE), value)) for value in (0.0, 1.0))
    low, high = black.mean((1, 2)), white.mean((1, 2))
    size = (first.shape[1], first.shape[2])
    flat = all(torch.allclose(one, one.mean((1, 2), keepdim=True), atol=1e-4) for one in (black, white))
    mean, std = -low / (high - low), 1 / (high - low)
    if not flat or not bool((high > low).all()) or not bool((mean.abs() <= 1).all()):
        return own, size, (0.0,) * len(first), (1.0,) * len(first)
    # Rounded to what a transform is written with, so that 0.485 does not come back as 0.48500001.
    return own, size, tuple(round(float(v), 5) for v in mean), tuple(round(float(v), 5) for v in std)


def _called(transform: Callable[[Any], Any], grey: bool, noise: Tensor) -> OwnTransform:
    """The way in which a transform works: with Pillow pictures, as data sets give them, or else with tensors."""
    refusals = []
    for pillow in (True, False):
        own = OwnTransform(transform, pillow, grey)
        try:
            own(noise)
        except ImageError as error:
            refusals.append(one_line(error))
        else:
            return own
    raise ModelError(refusals[0] if "makes" in refusals[0] else refusals[1])


@contextmanager
def _as_before() -> Iterator[None]:
    """Random generators are as before afterwards."""
    python, numbers = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
