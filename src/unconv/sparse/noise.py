"""How noisy an image is, and which of its pixels are not its own."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.validate import as_float, as_tensor, check_finite

BLOCK = 16
# Σ ρ² over the lags of [1, −2, 1]: how many of its outputs count as one independent number.
OVERLAP = 70 / 36
# Quantile 1/4 of the standard normal distribution.
QUARTER = -0.6744897501960817


def estimate_noise(image: object) -> Float[Tensor, " channels"]:
    """Estimate the standard deviation σ of white Gaussian noise, one value a channel.

    The second difference along all axes leaves noise and little else (Immerkær, *Fast noise variance estimation*,
    1996). Its mean square is taken in blocks of 16×16, and σ² is their lower quartile, divided by the quartile that
    pure noise has (χ² with as many degrees of freedom as a block has independent outputs; Wilson & Hilferty 1931).
    Texture thus counts only where it covers more than three quarters of the blocks. Blocks in which the image is
    clipped at its least or greatest value are left out.

    Args:
        image: (channels, length) or (channels, height, width), 3 or more values along each axis; uint8
            counts as value / 255.

    Raises :class:`~unconv.errors.SparseError` for smaller images and for values that are NaN or infinite.

    >>> _ = torch.manual_seed(0)
    >>> sigma = estimate_noise(0.5 + 0.1 * torch.randn(1, 256, 256))
    >>> sigma.shape, abs(float(sigma) - 0.1) < 0.002
    (torch.Size([1]), True)
    """
    signal = _image("estimate_noise", image)
    axes = signal.ndim - 1
    rough = signal
    for axis in range(1, signal.ndim):
        rough = rough.diff(n=2, dim=axis) / 6**0.5
    clipped = _clipped(signal)[(slice(None), *(slice(1, -1),) * axes)].to(rough)
    blocks = [min(BLOCK if axes > 1 else BLOCK**2, size) for size in rough.shape[1:]]
    square, share = _block_means(rough**2, blocks), _block_means(clipped, blocks)
    freedom = prod(blocks) / OVERLAP**axes
    spread = 2 / (9 * freedom)
    quartile = (1 - spread + QUARTER * spread**0.5) ** 3
    usable = [values[free] if bool(free.any()) else values for values, free in zip(square, share <= 0.05, strict=True)]
    return torch.stack([(values.quantile(0.25) / quartile).sqrt() for values in usable])


def _image(operation: str, image: object) -> Tensor:
    signal = as_float(as_tensor(image, "image", operation), "image", operation, eight_bits=True)
    if signal.ndim not in (2, 3) or signal.shape[0] < 1 or min(signal.shape[1:]) < 3:
        raise SparseError(
            f"{operation}: image of shape {tuple(signal.shape)}; give (channels, length) or (channels, height, width) "
            "with 3 or more values along each axis"
        )
    check_finite(signal, "image", operation, "fill them with inpaint first")
    return signal


def _clipped(signal: Tensor) -> Tensor:
    low, high = signal.flatten(1).aminmax(dim=1)
    shape = (-1, *(1,) * (signal.ndim - 1))
    return (signal == low.reshape(shape)) | (signal == high.reshape(shape))


def _block_means(values: Tensor, blocks: list[int]) -> Tensor:
    """Means over whole blocks, (channels, blocks); what is left over at the end of an axis does not count."""
    pool = F.avg_pool1d if len(blocks) == 1 else F.avg_pool2d
    return pool(values[None], blocks)[0].flatten(1)
