"""Transforms of an image: moved, enlarged or turned by so much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import cos, radians, sin

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconv.errors import UnconvError

Matrix = Callable[[float], tuple[tuple[float, float], tuple[float, float], float]]


def transformed(
    image: Float[Tensor, "batch channel height width"],
    transform: str,
    value: float | int,
    fill: Float[Tensor, "channel 1 1"],
) -> Float[Tensor, "batch channel height width"]:
    """Images moved, enlarged or turned about its centre, bilinear; what comes in from outside is ``fill``.

    Output pixel p shows the input at A(p − c) + c, c the centre: A is the inverse of the transform, −value pixels
    downwards for ``translation``.

    Args:
        image: of any size, one or more.
        transform: ``translation`` (value in pixels, downwards), ``scale`` (value a factor) or ``rotation`` (value in
            degrees, counter-clockwise).
        value: how much.
        fill: one value for each channel.

    Raises UnconvError for another transform, a factor that is not positive, a value that is not finite.

    >>> image = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> transformed(image, "translation", 1, torch.zeros(1, 1, 1))[0, 0].round(decimals=6)
    tensor([[0., 0., 0.],
            [0., 1., 2.],
            [3., 4., 5.]])
    """
    if transform not in TRANSFORMS:
        raise UnconvError(f"transform: {transform!r} is not one of {', '.join(TRANSFORMS)}")
    if not abs(value) < float("inf") or (transform == "scale" and value <= 0):
        raise UnconvError(f"transform: {transform} by {value}; give a finite number, above 0 for scale")
    down, across, shift = TRANSFORMS[transform](float(value))
    height, width = image.shape[2:]
    rows = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    columns = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    y = down[0] * rows[:, None] + down[1] * columns[None] + shift
    x = across[0] * rows[:, None] + across[1] * columns[None]
    # Pixel centres at ±(size − 1)/2 around the middle; grid_sample's −1 and 1 are the outer edges.
    grid = torch.stack([2 * x / width, 2 * y / height], dim=-1).to(image.device)
    # In double precision, so that a whole number of pixels is no interpolation.
    moved = F.grid_sample(
        (image - fill).double(), grid.expand(len(image), -1, -1, -1), padding_mode="zeros", align_corners=False
    )
    return moved.to(image) + fill


def _translation(value: float) -> tuple[tuple[float, float], tuple[float, float], float]:
    return (1.0, 0.0), (0.0, 1.0), -value


def _scale(value: float) -> tuple[tuple[float, float], tuple[float, float], float]:
    return (1 / value, 0.0), (0.0, 1 / value), 0.0


def _rotation(value: float) -> tuple[tuple[float, float], tuple[float, float], float]:
    angle = radians(value)
    # Rows grow downwards: counter-clockwise to the eye is the transpose of the textbook's matrix.
    return (cos(angle), sin(angle)), (-sin(angle), cos(angle)), 0.0


TRANSFORMS: Mapping[str, Matrix] = {"translation": _translation, "scale": _scale, "rotation": _rotation}
UNITS: Mapping[str, str] = {"translation": "pixels down", "scale": "factor", "rotation": "degrees"}
VALUES: Mapping[str, tuple[float, ...]] = {
    "translation": tuple(float(v) for v in range(-60, 61, 6)),
    "scale": (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8),
    "rotation": tuple(float(v) for v in range(0, 360, 10)),
}
