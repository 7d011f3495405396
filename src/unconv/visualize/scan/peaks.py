"""Peaks: the strongest places of units, kept while images go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Found:
    """Places of a batch that may be among the strongest, a row for each unit that has any.

    Attributes:
        units: which units, ascending.
        images: number of the image in each column.
        values: the activation, float32, ``(row, column)``; −∞ where there is nothing.
        places: index of the position in the flattened feature map, ``(row, column)``.
        finite: whether all largest values were, of all units.
    """

    units: Int[Tensor, " row"]
    images: Int[Tensor, " column"]
    values: Float[Tensor, "row column"]
    places: Int[Tensor, "row column"]
    finite: bool = True


@dataclass(frozen=True, eq=False)
class Peaks:
    """The strongest places so far of each unit of a layer, strongest first; ties by image, then by place.

    Attributes:
        values: ``(unit, top)``, float32, −∞ where there are fewer.
        images: ``(unit, top)``, −1 there.
        places: ``(unit, top)``, index of the position in the flattened feature map.
        size: of the feature map.
    """

    values: Float[Tensor, "unit top"]
    images: Int[Tensor, "unit top"]
    places: Int[Tensor, "unit top"]
    size: tuple[int, ...]

    @classmethod
    def none(cls, units: int, top: int, size: tuple[int, ...]) -> Peaks:
        """Nothing seen yet."""
        nothing = torch.full((units, top), -1)
        return cls(torch.full((units, top), -torch.inf), nothing, nothing.clamp(min=0), size)

    @property
    def bar(self) -> Float[Tensor, " unit"]:
        """What a place must reach to count, unit by unit."""
        return self.values[:, -1]

    @property
    def positions(self) -> Int[Tensor, "unit top axis"]:
        """Places as indices along the axes of the feature map."""
        if not self.size:
            return self.places.new_zeros((*self.places.shape, 0))
        return torch.stack(torch.unravel_index(self.places, self.size), dim=-1)

    def joined(self, found: Found) -> Peaks:
        """These and others, the strongest of them.

        >>> maps = torch.tensor([[[0.0, 2.0]], [[5.0, 2.0]], [[2.0, 2.0]]])
        >>> peaks = Peaks.none(units=1, top=2, size=(2,)).joined(peaks_in(maps, [0, 1, 2], top=2))
        >>> peaks.values, peaks.images, peaks.places
        (tensor([[5., 2.]]), tensor([[1, 0]]), tensor([[0, 1]]))
        """
        if not len(found.units):
            return self
        units, top = found.units, self.values.shape[1]
        before = self.images[units]
        values = torch.cat([self.values[units], found.values], dim=1)
        images = torch.cat([before, torch.where(found.values == -torch.inf, -1, found.images)], dim=1)
        places = torch.cat([self.places[units], found.places], dim=1)
        # Images that come later lie where ties want them already.
        later = bool(found.images[0] > before.max()) and bool((found.images.diff() >= 0).all())
        best = in_order(values, top) if later else strongest_order(values, images, places[..., None], top)
        return Peaks(
            self.values.index_copy(0, units, values.gather(1, best)),
            self.images.index_copy(0, units, images.gather(1, best)),
            self.places.index_copy(0, units, places.gather(1, best)),
            self.size,
        )


def peaks_in(
    value: Float[Tensor, "image unit *position"],
    images: Sequence[int],
    top: int,
    per_image: int = 1,
    bar: Float[Tensor, " unit"] | None = None,
) -> Found:
    """The places of a batch's feature maps that may be among the strongest of their unit.

    Only the largest value of each map and its place are computed for all; where one image may hold several, the maps
    are sorted of those that reach the bar, or are among the ``top`` of the batch where there is none.

    Args:
        value: feature maps, on any device, in any precision.
        images: their numbers.
        top: how many places a unit keeps.
        per_image: how many of them one image may hold.
        bar: what a place must reach; nothing unless given.

    >>> found = peaks_in(torch.tensor([[[1.0, 3.0, 3.0]]]), [7], top=2, per_image=2)
    >>> found.images, found.values, found.places
    (tensor([7, 7]), tensor([[3., 3.]]), tensor([[1, 2]]))
    """
    numbers = torch.as_tensor(images)
    peaks, peak_places = highest(value)
    finite = bool(peaks.isfinite().all())
    if bar is not None:
        enters = peaks >= bar.to(peaks.device)
    elif per_image == 1:
        enters = torch.ones_like(peaks, dtype=torch.bool)
    else:
        ranks = peaks.sort(dim=0, descending=True, stable=True).indices
        enters = torch.zeros_like(peaks, dtype=torch.bool).scatter_(0, ranks[:top], True)
    units = enters.any(dim=0).nonzero()[:, 0]
    if per_image == 1 or value.ndim == 2:
        values = torch.where(enters, peaks, -torch.inf)[:, units]
        return Found(units.cpu(), numbers, values.T.cpu(), peak_places[:, units].T.cpu(), finite)
    images_in, rows = enters[:, units].nonzero(as_tuple=True)
    maps = value[images_in, units[rows]].flatten(1)
    kept = min(per_image, top, maps.shape[1])
    sorted_values, sorted_places = maps.float().sort(dim=1, descending=True, stable=True)
    shape = (len(units), len(value) * kept)
    values, places = peaks.new_full(shape, -torch.inf), peak_places.new_zeros(shape)
    at = rows[:, None], images_in[:, None] * kept + torch.arange(kept, device=rows.device)
    values[at], places[at] = sorted_values[:, :kept], sorted_places[:, :kept]
    return Found(units.cpu(), numbers.repeat_interleave(kept), values.cpu(), places.cpu(), finite)


def highest(
    value: Float[Tensor, "image unit *position"],
) -> tuple[Float[Tensor, "image unit"], Int[Tensor, "image unit"]]:
    """The largest value of each feature map, in float32, and the first place that has it, of the flattened map.

    >>> highest(torch.tensor([[[[1.0, 3.0], [0.0, 3.0]]]]))
    (tensor([[3.]]), tensor([[1]]))
    """
    if value.ndim == 2:
        return value.float(), torch.zeros_like(value, dtype=torch.int64)
    # One window over the whole map: unlike max(), it runs at the speed of the memory, with channels last too.
    planes = value if value.ndim == 4 else value.flatten(2)[..., None]
    found, places = F.max_pool2d(planes, tuple(planes.shape[2:]), return_indices=True)
    return found[..., 0, 0].float(), places[..., 0, 0]


def strongest(
    values: Float[Tensor, "unit place"],
    images: Int[Tensor, "unit place"],
    positions: Int[Tensor, "unit place axis"],
    top: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The ``top`` highest of each row; ties by image, then by position, axis after axis.

    >>> values, images, positions = strongest(
    ...     torch.tensor([[2.0, 3.0, 2.0]]), torch.tensor([[4, 5, 1]]), torch.tensor([[[0], [7], [6]]]), top=2
    ... )
    >>> values, images, positions[..., 0]
    (tensor([[3., 2.]]), tensor([[5, 1]]), tensor([[7, 6]]))
    """
    order = strongest_order(values, images, positions, top)
    return (
        values.gather(1, order),
        images.gather(1, order),
        positions.gather(1, order[..., None].expand(-1, -1, positions.shape[-1])),
    )


def strongest_order(
    values: Float[Tensor, "unit place"],
    images: Int[Tensor, "unit place"],
    positions: Int[Tensor, "unit place axis"],
    top: int,
) -> Int[Tensor, "unit top"]:
    """Where in each row the ``top`` highest are."""
    order = torch.arange(values.shape[1]).expand(values.shape)
    keys = [positions[..., axis] for axis in reversed(range(positions.shape[-1]))] + [images]
    for key in keys:
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return order.gather(1, in_order(values.gather(1, order), top))


def in_order(values: Float[Tensor, "unit place"], top: int) -> Int[Tensor, "unit top"]:
    """Where in each row the ``top`` highest are, of equals the first."""
    return values.argsort(dim=1, descending=True, stable=True)[:, :top]
