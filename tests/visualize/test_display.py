"""Zero is mid-grey, plus and minus are symmetric, and nothing leaves [0, 1]."""

from __future__ import annotations

import torch
from hypothesis import given, settings, strategies as st

from unconv.visualize.display import CLIPPED, as_rgb, show_projection


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 4),
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(1e-20, 1e20, allow_subnormal=False),
    st.integers(0, 99),
)
def test_projection_is_shown_symmetrically(channels: int, height: int, width: int, scale: float, seed: int) -> None:
    projection = scale * torch.randn(channels, height, width, generator=torch.Generator().manual_seed(seed))
    shown = show_projection(projection)
    assert shown.min() >= 0
    assert shown.max() <= 1
    torch.testing.assert_close(show_projection(-projection), 1 - shown)
    clipped = ((shown == 0) | (shown == 1)).sum()
    assert 1 <= clipped <= max(1, 1.5 * CLIPPED * projection.numel() + 1)


def test_zero_is_grey() -> None:
    assert (show_projection(torch.zeros(3, 4, 4)) == 0.5).all()


def test_one_bright_pixel_is_not_lost() -> None:
    projection = torch.zeros(3, 100, 100)
    projection[1, 5, 5] = -2
    shown = show_projection(projection)
    assert shown[1, 5, 5] == 0
    assert (shown == 0.5).sum() == projection.numel() - 1


def test_channels_become_three() -> None:
    picture = torch.rand(2, 3, 4)
    assert torch.equal(as_rgb(picture)[1], picture.mean(0))
    colour = torch.rand(3, 3, 4)
    assert as_rgb(colour) is colour
