"""Aliasing equals a spectrum summed by numpy; dead and dominant filters are found where they were made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.visualize.experiments.first_layer import aliasing, first_layer


def by_fft(filters: Tensor, stride: tuple[int, int], points: int = 512) -> np.ndarray:
    """The share of |W|² at frequencies beyond π/s, on a fine grid."""
    spectrum = np.abs(np.fft.fft2(filters.double().numpy(), s=(points, points), axes=(2, 3))) ** 2
    # Middles of cells, so that no cell is on the border: a grid shifted by half a step.
    rows, columns = (np.abs(np.fft.fftfreq(points)) <= 0.5 / step for step in stride)
    inside = spectrum[:, :, rows][..., columns].sum((1, 2, 3))
    return 1 - inside / spectrum.sum((1, 2, 3))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 11), st.integers(1, 7), st.integers(1, 4), st.integers(1, 4), st.integers(0, 100))
def test_aliasing_equals_a_sum_over_the_spectrum(height: int, width: int, down: int, across: int, seed: int) -> None:
    filters = torch.randn(3, 2, height, width, generator=torch.Generator().manual_seed(seed))
    np.testing.assert_allclose(aliasing(filters, (down, across)).numpy(), by_fft(filters, (down, across)), atol=0.02)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (4, 4), (2, 3)])
def test_an_impulse_is_aliased_by_all_but_one_part_in_the_stride(stride: tuple[int, int]) -> None:
    impulse = torch.zeros(1, 1, 5, 5)
    impulse[0, 0, 1, 3] = 2
    assert float(aliasing(impulse, stride)) == pytest.approx(1 - 1 / (stride[0] * stride[1]), abs=1e-6)


def test_a_smooth_filter_is_aliased_less_by_a_smaller_stride() -> None:
    """The paper's step from 11 × 11 / 4 to 7 × 7 / 2, with a filter of a given frequency."""
    y, x = torch.meshgrid(torch.arange(11.0) - 5, torch.arange(11.0) - 5, indexing="ij")
    wave = (torch.cos(1.2 * x) * torch.exp(-(x**2 + y**2) / 8))[None, None]
    four, two = float(aliasing(wave, (4, 4))), float(aliasing(wave, (2, 2)))
    assert four > 0.8
    assert two < 0.2


def test_dead_and_dominant_filters_are_found() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 16, 7, stride=2)
    with torch.no_grad():
        convolution.weight[3].mul_(0.01)
        convolution.weight[5].mul_(10)
        convolution.weight[7].zero_()
        convolution.bias[9] = -100
    found = first_layer(nn.Sequential(convolution, nn.ReLU()), torch.rand(2, 3, 40, 40))
    assert found.weak.nonzero().flatten().tolist() == [3, 7]
    assert found.dominant.nonzero().flatten().tolist() == [5]
    assert bool(found.silent[9])
    assert {3, 7, 9} <= set(found.dead.nonzero().flatten().tolist())
    assert float(found.aliasing[7]) == 0
    assert bool(found.norm.isfinite().all())
    assert bool(found.mean.isfinite().all())


def test_figures_are_what_they_are_said_to_be() -> None:
    filters = torch.stack([torch.ones(1, 3, 3), torch.tensor([[[1.0, 0, -1]] * 3])])
    convolution = nn.Conv2d(1, 2, 3, stride=2, bias=False)
    convolution.weight = nn.Parameter(filters)
    found = first_layer(convolution_in(convolution))
    assert found.norm.tolist() == pytest.approx([3.0, 6**0.5])
    assert found.mean.tolist() == pytest.approx([1.0, 0.0], abs=1e-6)
    assert found.images == 0
    assert not bool(found.silent.any())
    shares = found.aliasing.double() @ torch.tensor([9.0, 6.0]).double() / 15
    assert found.total_aliasing == pytest.approx(float(shares), abs=1e-6)


def convolution_in(convolution: nn.Conv2d) -> nn.Module:
    return nn.Sequential(nn.Identity(), convolution)


def test_another_layer_can_be_named_and_must_be_a_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=3))
    assert first_layer(model, layer="2").filters.shape == (5, 4, 3, 3)
    with pytest.raises(ModelError, match="is a ReLU"):
        first_layer(model, layer="1")
    with pytest.raises(ModelError, match="no layer of that name"):
        first_layer(model, layer="9")
    with pytest.raises(ModelError, match="no two-dimensional convolution"):
        first_layer(nn.Linear(2, 2))
