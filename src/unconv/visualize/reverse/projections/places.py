"""Units and positions as they are asked for: one for all, one for each image, one for each unit and image."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unconv.errors import UnconvError

Position = tuple[int, ...]


@dataclass(frozen=True)
class Places:
    """Where some units are looked at.

    Attributes:
        rows: for each unit its places: one for all images where ``alike``, else one for each image.
        alike: whether one place counts for all images.
    """

    rows: tuple[tuple[Position, ...], ...]
    alike: bool

    @classmethod
    def of(cls, position: Any, units: int) -> Places:
        """What was asked for: a place, one for each image, or such a list for each of so many units.

        >>> Places.of((3, 4), units=2).rows, Places.of([(3, 4), (5, 6)], units=1).rows
        ((((3, 4),), ((3, 4),)), (((3, 4), (5, 6)),))

        Raises :class:`~unconv.errors.UnconvError` for anything else.
        """
        given = position.tolist() if hasattr(position, "tolist") else position
        try:
            depth = _depth(given)
            if depth == 1:
                return cls((((_place(given)),),) * units, alike=True)
            if depth == 2:
                return cls((tuple(map(_place, given)),) * units, alike=False)
            rows = tuple(tuple(map(_place, row)) for row in given)
        except TypeError:
            raise UnconvError(
                f"position: {position!r} is not a tuple of integers, nor one such tuple for each image"
            ) from None
        if len(rows) != units or len({len(row) for row in rows}) > 1:
            raise UnconvError(
                f"position: {len(rows)} lists of places for {units} units; give each unit one, a place for each image"
            )
        return cls(rows, alike=False)

    def at(self, numbers: Sequence[int]) -> tuple[tuple[Position, ...], ...]:
        """For each unit, its places in the images of these numbers."""
        if self.alike:
            return tuple(row * len(numbers) for row in self.rows)
        if numbers and max(numbers) >= len(self.rows[0]):
            self.check_count(max(numbers) + 1)
        return tuple(tuple(row[number] for number in numbers) for row in self.rows)

    def check_count(self, images: int) -> None:
        """Refuse another number of images than there are places."""
        if not self.alike and len(self.rows[0]) != images:
            raise UnconvError(f"position: {len(self.rows[0])} positions for {images} images; give one, or one for each")


def _depth(given: Any) -> int:
    """How deep the places lie: 1 for a place, 2 for a list of places."""
    if isinstance(given, str):
        raise TypeError
    entries = list(given)
    if all(hasattr(entry, "__index__") for entry in entries):
        return 1
    return 1 + _depth(entries[0])


def _place(given: Any) -> Position:
    return tuple(operator.index(axis) for axis in given)


def read_units(unit: Any) -> tuple[tuple[int, ...], bool]:
    """The indices of some units, and whether they were given as a list.

    >>> read_units(17), read_units([17, 42]), read_units(range(2))
    (((17,), False), ((17, 42), True), ((0, 1), True))

    Raises :class:`~unconv.errors.UnconvError` for anything else.
    """
    given = unit.tolist() if hasattr(unit, "tolist") else unit
    try:
        return (operator.index(given),), False
    except TypeError:
        pass
    try:
        if isinstance(given, str):
            raise TypeError
        units = tuple(map(operator.index, given))
    except TypeError:
        raise UnconvError(f"unit: {unit!r} is not an integer, nor a list of integers; give indices") from None
    if not units:
        raise UnconvError("unit: an empty list was given; give the index of one unit or more")
    return units, True


def check_unit(unit: int, layer: str, count: int) -> None:
    """Refuse a unit that a layer of so many units does not have.

    >>> check_unit(7, "conv", 8)
    """
    if not 0 <= unit < count:
        raise UnconvError(f"unit: {unit} is not in layer {layer!r}, which has units 0 to {count - 1}")


def check_place(place: Position, layer: str, size: Sequence[int]) -> None:
    """Refuse a place that is not in a layer's feature maps, of that size.

    >>> check_place((3, 4), "conv", (8, 8))
    """
    if len(place) != len(size) or not all(0 <= axis < bound for axis, bound in zip(place, size, strict=True)):
        raise UnconvError(f"position: {place} is not in a feature map of layer {layer!r}, whose size is {tuple(size)}")


def peaks(maps: Tensor) -> tuple[Position, ...]:
    """Where each feature map of ``(batch, *position)`` is largest; the first place wins a tie.

    >>> peaks(torch.tensor([[[0, 1], [5, 5]], [[9, 1], [5, 5]]]))
    ((1, 0), (0, 0))
    """
    size = maps.shape[1:]
    places = maps.reshape(len(maps), -1).argmax(dim=1)
    return tuple(tuple(int(axis) for axis in torch.unravel_index(place, size)) for place in places)
