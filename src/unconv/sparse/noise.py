"""How noisy an image is, and which of its pixels are not its own."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.validate import as_float, as_tensor, check_finite

BLOCK = 16
# Σ ρ² over the lags of [1, −2, 1]: how many of its outputs count as one independent number.
OVERLAP = 70 / 36
# Quantile 1/4 of the standard normal distribution.
QUARTER = -0.6744897501960817
# Impulses: share of one value that makes it suspect, distance from the neighbours, allowance for their spread.
OFTEN, CLOSE, SPREADS = 0.01, 0.05, 2.0
# Values at a time, of which each has 24 neighbours.
STRIP = 1 << 18


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


def find_impulses(image: object, rounds: int = 3) -> Bool[Tensor, "channels ..."]:
    """Find values that do not belong to their neighbourhood: salt and pepper, or values drawn at random.

    A value is an impulse if the four of its neighbours that are nearest to it in value (in 5×5, of signals in 7) are on
    average further off than 0.05 of the image's range plus twice the spread among the neighbours (rank-ordered absolute
    differences: Garnett et al. 2005; the spread is half the distance between the quartiles). Neighbours found out
    before do not count, hence the rounds. Where more than 1 % of the values are the least or the greatest one, as salt
    and pepper are, those values are no witnesses for each other from the start; without other witnesses they stand.

    Args:
        image: (channels, length) or (channels, height, width), 3 or more values along each axis.
        rounds: how often.

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
        if low == high:
            continue
        scaled = (values - low) / (high - low)
        suspect = torch.zeros_like(found[channel])
        for extreme in (scaled == 0, scaled == 1):
            if float(extreme.float().mean()) > OFTEN:
                suspect |= extreme
        for _ in range(rounds):
            found[channel] = _out_of_place(scaled, ~(suspect | found[channel]))
    return found


def _out_of_place(values: Tensor, witness: Tensor) -> Tensor:
    """Which values differ from all but a few of their neighbours, row strips at a time."""
    reach = (3,) if values.ndim == 1 else (2, 2)
    pads = [side for size in reach for side in (size, size)]
    # NaN takes no part in quantiles.
    heard = F.pad(torch.where(witness, values, torch.nan), pads, value=torch.nan)
    height = max(1, STRIP // values[0].numel())
    parts = []
    for top in range(0, values.shape[0], height):
        own = values[top : top + height]
        around = heard[top : top + len(own) + 2 * reach[0]]
        for axis, size in enumerate(reach):
            around = around.unfold(axis, 2 * size + 1, 1)
        neighbours = around.flatten(own.ndim)
        middle = neighbours.shape[-1] // 2
        neighbours = torch.cat([neighbours[..., :middle], neighbours[..., middle + 1 :]], dim=-1)
        nearest = (neighbours - own[..., None]).abs().nan_to_num(nan=torch.inf).sort(dim=-1).values[..., :4]
        heard_of = nearest.isfinite()
        distance = torch.where(heard_of, nearest, 0).sum(-1) / heard_of.sum(-1).clamp(min=1)
        quartiles = neighbours.nanquantile(neighbours.new_tensor([0.25, 0.75]), dim=-1)
        spread = (quartiles[1] - quartiles[0]).nan_to_num() / 2
        parts.append(distance > CLOSE + SPREADS * spread)
    return torch.cat(parts)
