"""Small pictures of many units on few sheets: a page loads a sheet, and shows a part of it for each unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from unconv.data.arrays import to_uint8
from unconv.operators.geometry.receptive import Box

# Sides in pixels: fields below the first are enlarged by a whole number, those up to the second keep their pixels, and
# larger ones are made to be no larger than the third.
TINY, SMALL, LARGE = 16, 64, 96
# Encoders in blocks of eight pixels would mix what lies beside each other.
BLOCK = 8
# Units on a sheet, across and down: small enough to be decoded at once, large enough to be few.
ACROSS, DOWN = 8, 4
OUTSIDE = 128


@dataclass(frozen=True)
class Tile:
    """The size of a layer's tiles.

    Attributes:
        field: pixels of the picture that a tile stands for, ``(height, width)``.
        size: pixels of the tile.
        lossless: whether the tile holds the pixels themselves, each enlarged by a whole number.

    >>> Tile.of((5, 5)).size, Tile.of((50, 50)).size, Tile.of((224, 200)).size
    ((15, 15), (50, 50), (96, 88))
    """

    field: tuple[int, int]
    size: tuple[int, int]
    lossless: bool

    @classmethod
    def of(cls, field: tuple[int, int]) -> Tile:
        """The tile for a field of that many pixels."""
        side = max(field)
        if side <= SMALL:
            factor = max(1, TINY // side)
            return cls(field, (field[0] * factor, field[1] * factor), lossless=True)
        height, width = (max(BLOCK, round(pixels * min(1.0, LARGE / side) / BLOCK) * BLOCK) for pixels in field)
        return cls(field, (height, width), lossless=False)

    def of_region(
        self, region: Float[Tensor, "3 height width"], box: Box, picture: tuple[int, int]
    ) -> UInt8[Tensor, "3 rows columns"]:
        """A field's pixels in its place on the tile, as bytes; grey is what lies outside of the picture.

        Args:
            region: the pixels inside the box.
            box: the field, clipped to the picture.
            picture: size of the picture.

        >>> tile = Tile.of((4, 4)).of_region(torch.ones(3, 3, 4), ((0, 3), (2, 6)), (9, 9))
        >>> tile.shape, tile[0, :, 0].unique_consecutive().tolist()
        (torch.Size([3, 16, 16]), [128, 255])
        """
        canvas = torch.full((3, *self.field), OUTSIDE / 255, dtype=torch.float32)
        rows, columns = (_placed(axis, size, whole) for axis, size, whole in zip(box, self.field, picture, strict=True))
        canvas[:, rows, columns] = region[:, : rows.stop - rows.start, : columns.stop - columns.start]
        if self.lossless:
            factor = self.size[0] // self.field[0]
            return to_uint8(canvas).repeat_interleave(factor, 1).repeat_interleave(factor, 2)
        return to_uint8(F.interpolate(canvas[None], self.size, mode="bilinear", antialias=True)[0].clamp(0, 1))

    def blank(self) -> UInt8[Tensor, "3 rows columns"]:
        """The tile of a place that is not there."""
        return _grey(*self.size)


def _grey(height: int, width: int) -> Tensor:
    return torch.full((3, height, width), OUTSIDE, dtype=torch.uint8)


def _placed(axis: tuple[int, int], size: int, picture: int) -> slice:
    """Where the visible part of a field lies in it: at its end where the beginning was clipped."""
    start, stop = axis
    length = min(stop - start, size)
    first = size - length if start == 0 and stop < picture else 0
    return slice(first, first + length)


def block_side(top: int) -> int:
    """Tiles in a row of a unit's block.

    >>> [block_side(top) for top in (1, 4, 6, 9, 16)]
    [1, 2, 3, 3, 4]
    """
    return ceil(sqrt(top))


def block(tiles: Sequence[Tensor], side: int) -> UInt8[Tensor, "3 height width"]:
    """A unit's tiles, strongest first, row by row in a square.

    >>> block([torch.zeros(3, 4, 5, dtype=torch.uint8)] * 9, side=3).shape
    torch.Size([3, 12, 15])
    """
    rows, columns = tiles[0].shape[1:]
    square = _grey(side * rows, side * columns)
    for place, tile in enumerate(tiles):
        down, across = divmod(place, side)
        square[:, down * rows : (down + 1) * rows, across * columns : (across + 1) * columns] = tile
    return square


@dataclass(frozen=True)
class Spot:
    """Where on which sheet a block lies; sheets hold ``across`` × ``down`` blocks."""

    sheet: int
    column: int
    row: int


def spot_of(number: int) -> Spot:
    """The spot of a layer's block of that number.

    >>> spot_of(0), spot_of(ACROSS * DOWN + ACROSS + 1)
    (Spot(sheet=0, column=0, row=0), Spot(sheet=1, column=1, row=1))
    """
    sheet, rest = divmod(number, ACROSS * DOWN)
    row, column = divmod(rest, ACROSS)
    return Spot(sheet, column, row)


def sheet_size(count: int) -> tuple[int, int]:
    """Blocks across and down on a sheet of that many.

    >>> sheet_size(5), sheet_size(9), sheet_size(32)
    ((5, 1), (8, 2), (8, 4))
    """
    return min(count, ACROSS), ceil(count / ACROSS)


def sheet_of(blocks: Sequence[Tensor]) -> UInt8[Tensor, "3 height width"]:
    """Blocks of one size on a sheet.

    >>> sheet_of([torch.zeros(3, 6, 9, dtype=torch.uint8)] * 10).shape
    torch.Size([3, 12, 72])
    """
    across, down = sheet_size(len(blocks))
    rows, columns = blocks[0].shape[1:]
    sheet = _grey(down * rows, across * columns)
    for number, one in enumerate(blocks):
        spot = spot_of(number)
        top, left = spot.row * rows, spot.column * columns
        sheet[:, top : top + rows, left : left + columns] = one
    return sheet
