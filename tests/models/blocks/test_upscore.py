"""Upscaling of scores: interpolation, whatever the offset of the two grids; against exact lines and torch."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from unconv.models.blocks.upscore import AlignedUpscore, Upscore

HALF = Fraction(1, 2)


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_kernels_are_those_of_bilinear_interpolation(factor: int, learned: bool) -> None:
    up, x = Upscore(3, factor, learned).double(), torch.randn(1, 3, 4, 5, dtype=torch.float64)
    assert up.weight.shape[2:] == (2 * factor, 2 * factor)
    found = up(x)[..., factor // 2 : -factor // 2, factor // 2 : -factor // 2]
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    # At the border torch goes on with the last cell, the kernel with zeros.
    inside = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(found[inside], expected[inside])


@pytest.mark.parametrize("learned", [True, False])
@settings(deadline=None, max_examples=25)
@given(
    factor=st.sampled_from([2, 3, 8, 16, 32]),
    units=st.integers(1, 6),
    cells=st.integers(1, 50),
    shift=st.fractions(-40, 40, max_denominator=4),
)
def test_a_line_stays_a_line_and_a_constant_one(
    learned: bool, factor: int, units: int, cells: int, shift: Fraction
) -> None:
    up = AlignedUpscore(2, factor, (shift, -shift), learned).double()
    up.up.reset_parameters()
    assert bool((up(torch.ones(1, 2, units, 2, dtype=torch.float64), (cells, 7)) - 1).abs().max() < 1e-12)
    # Unit q lies at cell f·q + δ: give it that as its value, and cell o comes to o, between the outermost units.
    places = factor * torch.arange(units, dtype=torch.float64) + float(shift)
    found = up(places.view(1, 1, units, 1).expand(1, 2, units, 2), (cells, 7))[0, 1, :, 3]
    expected = torch.arange(cells, dtype=torch.float64).clamp(places[0], places[-1])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("factor", [2, 8])
def test_centred_grids_are_torchs_interpolation_borders_included(factor: int) -> None:
    shift = Fraction(factor - 1, 2)
    x = torch.randn(1, 3, 5, 4)
    found = AlignedUpscore(3, factor, (shift, shift))(x, (5 * factor, 4 * factor - 1))
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected[..., :-1])


@pytest.mark.parametrize(("factor", "middle", "crop"), [(32, 13, 19), (16, 13 - 24, 27), (8, 13 - 24 - 12, 31)])
def test_published_offsets_are_its_crops(factor: int, middle: int, crop: int) -> None:
    # fc7's unit 0 is centred on pixel 13; each doubling moves what comes out by one and a half of its cells.
    up = AlignedUpscore(1, factor, (middle - HALF, middle - HALF))
    assert up.crop == (crop, crop)
    assert up.up.weight.shape[2:] == (2 * factor, 2 * factor)
