"""Similarity of projections: cosine, and rank correlation of magnitudes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Similarity:
    """How alike some projections and others of the same windows are, in the mean.

    Attributes:
        cosine: of the pixels with their signs; its square is the part of the one's energy that a multiple of the other
            has.
        rank: Spearman's rank correlation of the magnitudes, as Adebayo et al. (2018) measure it: whether the same
            pixels stand out.
        pairs: how many pairs were compared; projections that are zero everywhere are like nothing and are left out.
    """

    cosine: float
    rank: float
    pairs: int


def compare(one: Float[Tensor, "pick channel *size"], other: Float[Tensor, "pick channel *size"]) -> Similarity | None:
    """The likeness of projections, pair by pair, and its mean; None where no pair has two that are not zero.

    >>> one, other = torch.tensor([[[1.0, 2.0]], [[1.0, 0.0]]]), torch.tensor([[[2.0, 4.0]], [[0.0, 0.0]]])
    >>> compare(one, other)
    Similarity(cosine=1.0, rank=1.0, pairs=1)
    """
    first, second = one.flatten(1).double(), other.flatten(1).double()
    both = (first != 0).any(1) & (second != 0).any(1)
    if not both.any():
        return None
    first, second = first[both], second[both]
    ranks = _correlated(_ranks(first.abs()), _ranks(second.abs()))
    return Similarity(_shown(_correlated(first, second)), _shown(ranks), int(both.sum()))


def _correlated(one: Tensor, other: Tensor) -> Tensor:
    """Cosine of rows. Each is brought to a largest magnitude of 1 first, so that faint ones do not vanish."""
    one, other = (x / x.abs().amax(1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny) for x in (one, other))
    return torch.nn.functional.cosine_similarity(one, other, dim=1)


def _ranks(values: Tensor) -> Tensor:
    """Ranks in each row less their mean; equal values share the mean of their ranks."""
    ordered, order = values.sort(dim=1)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    # Of each run of equals, where it begins and where it ends.
    begins = torch.where(first, places, 0).cummax(dim=1).values
    last = first.roll(-1, dims=1)
    last[:, -1] = True
    ends = torch.where(last, places, values.shape[1]).flip(1).cummin(dim=1).values.flip(1)
    ranks = (begins + ends - (values.shape[1] - 1)).double() / 2
    return torch.empty_like(ranks).scatter_(1, order, ranks)


def _shown(values: Tensor) -> float:
    """The mean, without the rounding that would make 1 a little more."""
    return round(float(values.mean().clamp(-1, 1)), 9)
