"""Noise estimation: the standard deviation of Gaussian noise, and which pixels are impulses."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.code.validate import as_float, as_tensor, check_finite
from unconv.sparse.types import ImageLike

BLOCK = 16
# Σ ρ² over the lags of [1, −2, 1]: how many of its outputs count as one independent number.
OVERLAP = 70 / 36
# Quantile 1/4 of the standard normal distribution.
QUARTER = -0.6744897501960817
# Impulses: share of one value that makes it suspect, what convicts it, what agrees with it; how many rounds, which part
# of the neighbours counts, and how far off is too far. Chosen on SPORCO's butterfly, parrots and barbara, with 5 to
# 50 % of impulses.
OFTEN, APART, AGREE, ROUNDS, NEAREST, CLOSE = 0.01, 0.1, 0.02, 4, 0.4, 0.06
# Values at a time, of which each has up to 24 neighbours.
STRIP = 1 << 18


def estimate_noise(image: ImageLike) -> Float[Tensor, " channels"]:
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


def _image(operation: str, image: ImageLike) -> Tensor:
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


def find_impulses(image: ImageLike) -> Bool[Tensor, "channels ..."]:
    """Find values that do not belong to their neighbourhood: salt and pepper, or values drawn at random.

    Salt or pepper is there if the greatest or the least value of the image is taken by more than 1 % of it, and most of
    those are more than 0.1 of the range away from the four values around (5×5) that are nearest to them, both extremes
    left out. Then those more than 0.02 away are impulses; where all around are extreme, those that differ from some.

    Otherwise a value is an impulse if the nearest 40 % of its neighbours (3×3) differ from it, on average, by more than
    0.06 of the range plus the median distance of the neighbours from their median (rank-ordered differences: Garnett
    et al. 2005). Impulses are no witnesses in the next of four rounds.

    Args:
        image: (channels, length) or (channels, height, width), 3 or more values along each axis.

    Raises :class:`~unconv.errors.SparseError` for smaller images and for values that are NaN or infinite.

    >>> image = torch.linspace(0.2, 0.8, 32).expand(1, 32, 32).clone()
    >>> image[0, 4::8, 4::8] = 1.0
    >>> torch.equal(find_impulses(image), image == 1.0)
    True
    """
    signal = _image("find_impulses", image)
    found = torch.zeros_like(signal, dtype=torch.bool)
    for channel, values in enumerate(signal):
        low, high = values.aminmax()
        if low < high:
            found[channel] = _find((values - low) / (high - low))
    return found


def _find(values: Tensor) -> Tensor:
    """Impulses of one channel, scaled to [0, 1]."""
    extremes = [extreme for extreme in (values == 0, values == 1) if float(extreme.float().mean()) > OFTEN]
    if extremes:
        suspect = torch.stack(extremes).any(dim=0)
        off = torch.where(suspect, _by_strips(values, ~suspect, _distance, 2 if values.ndim == 2 else 4), 0)
        # What is clipped in the image itself has dark or bright surroundings.
        thrown_in = [extreme for extreme in extremes if int((off[extreme] > APART).sum()) > int(extreme.sum()) / 2]
        if thrown_in:
            return torch.stack(thrown_in).any(dim=0) & (off > AGREE)
    found = torch.zeros_like(values, dtype=torch.bool)
    for _ in range(ROUNDS):
        found = _by_strips(values, ~found, _stands_out, 1 if values.ndim == 2 else 2)
    return found


def _distance(values: Tensor, around: Tensor, witnesses: Tensor) -> Tensor:
    """Mean distance to the four nearest witnesses; without any 0 among nothing but equals, else 1."""
    nearest = (witnesses - values[..., None]).abs().nan_to_num(nan=torch.inf).topk(4, largest=False).values
    heard = nearest.isfinite()
    distance = torch.where(heard, nearest, 0).sum(-1) / heard.sum(-1).clamp(min=1)
    mixed = (~around.isnan() & (around != values[..., None])).any(-1)
    return torch.where(heard.any(-1), distance, mixed.to(distance))


def _stands_out(values: Tensor, around: Tensor, witnesses: Tensor) -> Tensor:  # noqa: ARG001
    distance = (witnesses - values[..., None]).abs().nan_to_num(nan=torch.inf).sort(-1).values
    heard = distance.isfinite().sum(-1)
    share = (heard * NEAREST).ceil().clamp(min=1)
    counted = torch.arange(distance.shape[-1], device=values.device) < share[..., None]
    mean = torch.where(counted & distance.isfinite(), distance, 0).sum(-1) / share
    median = witnesses.nanmedian(-1, keepdim=True).values
    spread = (witnesses - median).abs().nanmedian(-1).values.nan_to_num()
    return (heard > 0) & (mean > CLOSE + spread)


def _by_strips(
    values: Tensor, witness: Tensor, judge: Callable[[Tensor, Tensor, Tensor], Tensor], reach: int
) -> Tensor:
    """A judgement on each value: given the values, their neighbours, and those of them that are witnesses.

    Neighbours beyond a border, and in the last argument those that are none, are NaN.
    """
    pads = (reach,) * (2 * values.ndim)
    padded = F.pad(values, pads, value=torch.nan)
    heard = F.pad(torch.where(witness, values, torch.nan), pads, value=torch.nan)
    height = max(1, STRIP // values[0].numel())
    parts = []
    for top in range(0, values.shape[0], height):
        own = values[top : top + height]
        rows = slice(top, top + len(own) + 2 * reach)
        parts.append(judge(own, _neighbours(padded[rows], reach), _neighbours(heard[rows], reach)))
    return torch.cat(parts)


def _neighbours(padded: Tensor, reach: int) -> Tensor:
    axes = padded.ndim
    for axis in range(axes):
        padded = padded.unfold(axis, 2 * reach + 1, 1)
    around = padded.flatten(axes)
    middle = around.shape[-1] // 2
    return torch.cat([around[..., :middle], around[..., middle + 1 :]], dim=-1)
