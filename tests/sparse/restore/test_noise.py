"""Noise levels that are known, scikit-image's estimate, and impulses that were put there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unconv.errors import SparseError
from unconv.sparse.restore.noise import estimate_noise, find_impulses


def photograph() -> torch.Tensor:
    from skimage import data

    return torch.from_numpy(data.camera()[::2, ::2].copy()).float()[None] / 255


@pytest.mark.parametrize("sigma", [0.02, 0.05, 0.1, 0.2])
def test_noise_on_a_photograph_is_estimated_at_least_as_nearly_as_by_scikit_image(sigma: float) -> None:
    from skimage.restoration import estimate_sigma

    noisy = photograph() + sigma * torch.randn(1, 256, 256, generator=torch.Generator().manual_seed(0))
    ours = float(estimate_noise(noisy))
    assert ours == pytest.approx(sigma, rel=0.15)
    # Where both are as near as so many pixels allow, chance decides.
    assert abs(ours - sigma) <= max(abs(float(estimate_sigma(noisy[0].numpy())) - sigma), 0.03 * sigma)


@pytest.mark.parametrize("shape", [(1, 256, 256), (1, 20_000), (3, 200, 100)])
def test_pure_noise_is_estimated_to_two_in_a_hundred(shape: tuple[int, ...]) -> None:
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scale = torch.arange(1, shape[0] + 1, dtype=torch.float64)
    found = estimate_noise(noise * scale.reshape(-1, *(1,) * (len(shape) - 1)))
    torch.testing.assert_close(found, scale, rtol=0.02, atol=0)


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_constant_images_and_slopes_have_no_noise(value: float) -> None:
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 64, 64) * value
    assert float(estimate_noise(ramp)) == pytest.approx(0, abs=1e-12)
    assert not find_impulses(torch.full((1, 16, 16), value)).any()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_salt_and_pepper_is_found(share: float) -> None:
    clean = photograph() * 0.9 + 0.05
    rng = np.random.default_rng(0)
    hit = torch.from_numpy(rng.uniform(size=clean.shape) < share)
    spoilt = torch.where(hit, torch.from_numpy(rng.integers(0, 2, clean.shape)).float(), clean)
    found = find_impulses(spoilt)
    assert int((found & hit).sum()) > 0.97 * int(hit.sum())
    assert int((found & ~hit).sum()) < 0.002 * hit.numel()


def test_random_values_are_found_and_a_signal_has_them_too() -> None:
    rng = np.random.default_rng(0)
    for clean in (photograph(), torch.linspace(0, 20, 4000).sin()[None] / 2 + 0.5):
        hit = torch.from_numpy(rng.uniform(size=clean.shape) < 0.1)
        spoilt = torch.where(hit, torch.from_numpy(rng.uniform(size=clean.shape)).float(), clean)
        far = hit & ((spoilt - clean).abs() > 0.25)
        found = find_impulses(spoilt)
        assert int((found & far).sum()) > 0.9 * int(far.sum())
        assert int((found & ~hit).sum()) < 0.1 * hit.numel()


@pytest.mark.parametrize("operation", [estimate_noise, find_impulses])
@pytest.mark.parametrize(
    ("image", "told"),
    [(torch.zeros(1, 2, 9), "3 or more"), (torch.zeros(9), "shape"), (torch.full((1, 9, 9), torch.inf), "infinite")],
)
def test_bad_input_is_one_line(operation: object, image: torch.Tensor, told: str) -> None:
    assert callable(operation)
    with pytest.raises(SparseError, match=told) as caught:
        operation(image)
    assert "\n" not in str(caught.value)
