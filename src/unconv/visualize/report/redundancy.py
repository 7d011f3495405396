"""Units of a layer that say the same: whose peaks rise and fall together, or that are strongest at the same places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

# What counts as the same, and the number of pictures below which likeness may be chance.
CORRELATED, SHARED = 0.95, 2 / 3
PICTURES = 16
LISTED = 3
ROWS = 256


@dataclass(frozen=True)
class Twin:
    """Another unit that says the same.

    Attributes:
        unit: its index.
        correlation: Pearson's, of the peaks in the pictures of the sample.
        shared: how many of the strongest places, picture and position, both have.
    """

    unit: int
    correlation: float
    shared: int


def twins(
    activity: Float[Tensor, "picture unit"],
    images: Int[Tensor, "unit top"],
    positions: Int[Tensor, "unit top axis"],
    dead: Int[Tensor, " dead"],
) -> dict[int, tuple[Twin, ...]]:
    """For each redundant unit of a layer the units that it is like, most alike first.

    Two units are redundant where the correlation of their peaks is at least ``CORRELATED``, or where they share at
    least ``SHARED`` of their strongest places. Nothing is said from fewer than ``PICTURES`` pictures, nor of dead
    units.

    >>> activity = torch.rand(20, 3)
    >>> activity[:, 2] = 2 * activity[:, 0]
    >>> images = torch.stack([column.argsort(descending=True)[:9] for column in activity.T])
    >>> {unit: [twin.unit for twin in like] for unit, like in
    ...     twins(activity, images, torch.rand(3, 9, 2).mul(99).long(), torch.tensor([1])).items()}
    {0: [2], 2: [0]}
    """
    if len(activity) < PICTURES:
        return {}
    alike = correlation(activity, activity)
    shared = same_places(images, positions)
    same = (alike >= CORRELATED) | (shared >= SHARED * images.shape[1])
    same.fill_diagonal_(False)
    same[dead] = False
    same[:, dead] = False
    found = {}
    for unit in same.any(dim=1).nonzero().flatten().tolist():
        others = same[unit].nonzero().flatten()
        order = alike[unit, others].argsort(descending=True, stable=True)[:LISTED]
        found[unit] = tuple(
            Twin(other, float(alike[unit, other]), int(shared[unit, other])) for other in others[order].tolist()
        )
    return found


def correlation(one: Float[Tensor, "picture a"], other: Float[Tensor, "picture b"]) -> Float[Tensor, "a b"]:
    """Pearson's correlation of every column with every other, in float64; 0 where a column does not vary.

    >>> x = torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    >>> correlation(x, -x).round(decimals=6).tolist()
    [[-1.0, 0.0], [0.0, 0.0]]
    """
    return _unit_columns(one).T @ _unit_columns(other)


def _unit_columns(table: Tensor) -> Tensor:
    centred = table.double() - table.double().mean(dim=0)
    norm = centred.norm(dim=0)
    varies = norm > 1e-12 * table.double().norm(dim=0).clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(varies, centred / torch.where(varies, norm, 1), 0)


def same_places(images: Int[Tensor, "unit top"], positions: Int[Tensor, "unit top axis"]) -> Int[Tensor, "unit unit"]:
    """How many of their strongest places two units share.

    >>> same_places(torch.tensor([[0, 1], [1, 2]]), torch.tensor([[[4], [5]], [[5], [6]]]))
    tensor([[2, 1],
            [1, 2]])
    """
    place = torch.cat([images[..., None], positions], dim=-1)
    _, labels = torch.unique(place.flatten(0, 1), dim=0, return_inverse=True)
    labels = labels.reshape(images.shape)
    # Places that are not there are like nothing.
    labels = torch.where(images >= 0, labels, -1)
    parts = []
    for rows in torch.split(labels, ROWS):
        equal = rows[:, None, :, None] == labels[None, :, None, :]
        parts.append((equal & (rows[:, None, :, None] >= 0)).any(dim=-1).sum(dim=-1))
    return torch.cat(parts)
