"""The strongest places, kept while images go by, against sorting everything."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from unconv.visualize.scan.peaks import Peaks, highest, peaks_in


def brute_force(maps: torch.Tensor, top: int, per_image: int) -> list[list[tuple[float, int, int]]]:
    """For each unit (value, image, place), strongest first, ties by image, then place."""
    found = []
    for unit in range(maps.shape[1]):
        rows = []
        for image in range(len(maps)):
            cells = maps[image, unit].flatten().tolist()
            places = sorted(range(len(cells)), key=lambda place: (-cells[place], place))[:per_image]
            rows += [(-cells[place], image, place) for place in places]
        found.append([(-value, image, place) for value, image, place in sorted(rows)[:top]])
    return found


@settings(deadline=None, max_examples=200)
@given(
    images=st.integers(1, 12),
    size=st.lists(st.integers(1, 4), max_size=3),
    top=st.integers(1, 5),
    per_image=st.integers(1, 3),
    batch=st.integers(1, 5),
    levels=st.integers(1, 6),
    hint=st.booleans(),
    last=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_streamed_peaks_are_those_of_sorting_everything(
    images: int, size: list[int], top: int, per_image: int, batch: int, levels: int, hint: bool, last: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Few levels, so that ties abound; −0.0 is among them.
    maps = torch.randint(0, levels, (images, 3, *size), generator=generator).float() * -0.5
    if last and len(size) == 2:
        maps = maps.contiguous(memory_format=torch.channels_last)
    peaks = Peaks.none(3, top, tuple(size))
    for first in range(0, images, batch):
        numbers = range(first, min(first + batch, images))
        bar = peaks.bar if hint else None
        peaks = peaks.joined(peaks_in(maps[first : first + batch], numbers, top, per_image, bar))
    for unit, expected in enumerate(brute_force(maps, top, per_image)):
        tables = (peaks.values, peaks.images, peaks.places)
        rows = list(zip(*(table[unit].tolist() for table in tables), strict=True))
        assert rows[: len(expected)] == expected
        assert all(row[:2] == (-torch.inf, -1) for row in rows[len(expected) :])


def test_half_precision_is_compared_as_it_is() -> None:
    maps = torch.randn(4, 2, 5, 5).bfloat16()
    found = peaks_in(maps, range(4), top=2)
    assert found.units.tolist() == [0, 1]
    assert found.images.tolist() == [0, 1, 2, 3]
    for unit in range(2):
        for image in range(4):
            value, cells = found.values[unit, image], maps[image, unit].flatten()
            assert cells[found.places[unit, image]].float() == value == cells.max().float()


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("bar", [None, torch.zeros(3)])
def test_values_that_are_no_numbers_are_told_wherever_they_are(odd: float, bar: torch.Tensor | None) -> None:
    maps = torch.randn(4, 3, 5, 5)
    assert peaks_in(maps, range(4), top=2, bar=bar).finite
    maps[2, 1] = odd
    assert not peaks_in(maps, range(4), top=2, bar=bar).finite


@settings(deadline=None, max_examples=60)
@given(
    channels=st.integers(1, 40),
    size=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    last=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    odd=st.sampled_from([None, torch.nan, torch.inf, -torch.inf]),
)
def test_highest_is_the_first_of_the_largest(
    channels: int, size: list[int], last: bool, dtype: torch.dtype, odd: float | None
) -> None:
    value = torch.randint(-3, 3, (2, channels, *size)).to(dtype)
    if odd is not None:
        value[1, channels // 2] = odd
    flat = value.flatten(2).float()
    if last and len(size) == 2:
        value = value.contiguous(memory_format=torch.channels_last)
    found, places = highest(value)
    torch.testing.assert_close(found, flat.amax(2), equal_nan=True)
    finite = flat.amax(2).isfinite()
    cells = torch.arange(flat.shape[2])
    first = torch.where(flat == flat.amax(2, keepdim=True), cells, flat.shape[2]).amin(2)
    assert torch.equal(places[finite], first[finite])
