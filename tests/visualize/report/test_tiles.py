"""Tiles and sheets: every pixel where the page looks for it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from unconv.visualize.report.tiles import ACROSS, DOWN, LARGE, OUTSIDE, Tile, block, sheet_of, sheet_size, spot_of


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        (((0, 3), (4, 9)), slice(2, 5), slice(0, 5)),  # cut at the top: the picture is at the field's lower end
        (((7, 10), (4, 9)), slice(0, 3), slice(0, 5)),  # at the bottom
        (((2, 7), (0, 1)), slice(0, 5), slice(4, 5)),  # at the left
        (((2, 7), (11, 12)), slice(0, 5), slice(0, 1)),  # at the right
    ],
)
def test_a_field_at_a_border_keeps_its_place(
    box: tuple[tuple[int, int], tuple[int, int]], rows: slice, columns: slice
) -> None:
    picture = torch.rand(3, 10, 12)
    (top, bottom), (left, right) = box
    tile = Tile.of((5, 5))
    drawn = tile.of_region(picture[:, top:bottom, left:right], box, (10, 12))[
        :, :: tile.size[0] // 5, :: tile.size[1] // 5
    ]
    inside = (picture[:, top:bottom, left:right] * 255).round().to(torch.uint8)
    assert torch.equal(drawn[:, rows, columns], inside)
    outside = torch.ones(5, 5, dtype=torch.bool)
    outside[rows, columns] = False
    assert (drawn[:, outside] == OUTSIDE).all()


@given(st.integers(1, 300), st.integers(1, 300))
def test_tiles_are_small_and_large_ones_fit_blocks_of_eight(height: int, width: int) -> None:
    tile = Tile.of((height, width))
    assert max(tile.size) <= LARGE
    if tile.lossless:
        assert tile.size[0] % height == tile.size[1] % width == 0
    else:
        assert tile.size[0] % 8 == tile.size[1] % 8 == 0


@given(st.integers(1, 3 * ACROSS * DOWN))
def test_blocks_are_where_their_spots_say(count: int) -> None:
    blocks = [block([torch.full((3, 2, 3), number % 251, dtype=torch.uint8)], side=1) for number in range(count)]
    at_once = ACROSS * DOWN
    sheets = [sheet_of(blocks[first : first + at_once]) for first in range(0, count, at_once)]
    for number in range(count):
        spot = spot_of(number)
        some = min(at_once, count - spot.sheet * at_once)
        across, down = sheet_size(some)
        assert sheets[spot.sheet].shape == (3, 2 * down, 3 * across)
        there = sheets[spot.sheet][:, 2 * spot.row : 2 * spot.row + 2, 3 * spot.column : 3 * spot.column + 3]
        assert (there == number % 251).all()
