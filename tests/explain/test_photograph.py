"""The size comes back, not the values."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from unconv.errors import GeometryError
from unconv.explain.photograph import BINOMIAL, LAPLACIAN, MEAN, round_trip, show_signed


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(3, 20), st.integers(3, 20), st.integers(1, 3), st.sampled_from([1, 3, 5]))
def test_back_is_the_gradient_of_half_the_energy(
    channels: int, height: int, width: int, stride: int, side: int
) -> None:
    """CᵀCx = ∇ ½‖Cx‖², by autograd through torch's own convolution."""
    x = torch.rand(channels, height, width, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(side, side, dtype=torch.float64)
    y = F.conv2d(x[:, None], kernel[None, None], stride=stride, padding=side // 2)[:, 0]
    (0.5 * y.square().sum()).backward()
    trip = round_trip(x.detach(), kernel, stride)
    torch.testing.assert_close(trip.forward, y.detach())
    torch.testing.assert_close(trip.back, x.grad)
    assert trip.back.shape == x.shape


@pytest.mark.parametrize(("kernel", "stride"), [(BINOMIAL, 2), (MEAN, 2), (LAPLACIAN, 1)])
def test_size_comes_back_and_values_do_not(kernel: torch.Tensor, stride: int) -> None:
    trip = round_trip(torch.rand(3, 32, 48), kernel, stride)
    assert trip.back.shape == trip.picture.shape
    assert trip.difference > 0.1
    # No other scale is better.
    for factor in (0.9, 1.1):
        worse = (trip.picture - factor * trip.scale * trip.back).norm() / trip.picture.norm()
        assert worse > trip.difference


def test_even_kernels_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"kernel \(2, 3\) has an even side"):
        round_trip(torch.rand(1, 8, 8), torch.ones(2, 3))


def test_zero_is_grey() -> None:
    values = torch.linspace(-3, 3, 7)
    assert show_signed(values)[3] == 0.5
    torch.testing.assert_close(show_signed(-values), 1 - show_signed(values))
    assert (show_signed(torch.zeros(4)) == 0.5).all()
