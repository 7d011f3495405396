"""``denoise``: as good as SPORCO's script, and what holds for any picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unconv.errors import SparseError
from unconv.sparse.code.encode import encode
from unconv.sparse.restore.denoise import denoise, gaussian_penalty
from unconv.sparse.restore.noise import estimate_noise


def photograph(channels: int = 3) -> torch.Tensor:
    from skimage import data

    cat = torch.from_numpy(data.chelsea()[60:124, 120:200].copy()).float().permute(2, 0, 1) / 255
    return cat if channels == 3 else cat.mean(dim=0, keepdim=True)


def spoiled(image: torch.Tensor, sigma: float = 0.1) -> torch.Tensor:
    return image + sigma * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))


def error(image: torch.Tensor, clean: torch.Tensor) -> float:
    return float((image - clean).square().mean().sqrt())


def test_butterfly_is_restored_at_least_as_well_as_by_sporcos_script() -> None:
    pytest.importorskip("sporco")
    from benchmarks.sparse_applications import denoised, psnr
    from benchmarks.sparse_tasks import butterfly, kernels, noisy_butterfly

    assert psnr(butterfly(), denoised(noisy_butterfly(), kernels("G:8x8x128"))) >= 26.08


@pytest.mark.parametrize("channels", [1, 3])
def test_shipped_dictionaries_halve_the_error_with_sigma_estimated(channels: int) -> None:
    clean = photograph(channels)
    noisy = spoiled(clean)
    result = denoise(noisy)
    assert result.image.shape == clean.shape
    assert result.impulses is None
    assert result.sigma.tolist() == pytest.approx([0.1] * len(result.sigma), rel=0.25)
    assert error(result.image, clean) < 0.5 * error(noisy, clean)


def test_grey_dictionary_restores_colours_in_opponent_planes() -> None:
    clean = photograph()
    noisy = spoiled(clean)
    result = denoise(noisy, "grey-8x8x64", sigma=0.1)
    assert result.sigma.shape == (3,)
    assert error(result.image, clean) < 0.5 * error(noisy, clean)


def test_opacity_is_kept_and_eight_bits_are_a_255th() -> None:
    picture = (torch.cat([spoiled(photograph()), torch.rand(1, 64, 80)]).clamp(0, 1) * 255).byte()
    result = denoise(picture, sigma=0.1)
    assert torch.equal(result.image[3], picture[3].float() / 255)
    torch.testing.assert_close(denoise(picture[:3].float() / 255, sigma=0.1).image, result.image[:3])


def test_scaling_picture_and_sigma_scales_the_answer() -> None:
    noisy = spoiled(photograph(1)).double()
    once = denoise(noisy, sigma=0.1, tol=1e-8, turns=1).image
    # λ grows with the square of the scale, as the objective does with codes that grow with it.
    twice = denoise(2 * noisy, sigma=0.2, tol=1e-8, turns=1).image
    torch.testing.assert_close(twice, 2 * once, atol=2e-3, rtol=0)


def test_signals_are_denoised() -> None:
    clean = (torch.linspace(0, 60, 3000).sin() > 0).float()[None]
    noisy = spoiled(clean)
    result = denoise(noisy, torch.randn(16, 1, 12, generator=torch.Generator().manual_seed(1)), sigma=0.1, turns=1)
    assert error(result.image, clean) < 0.7 * error(noisy, clean)


def test_picture_without_noise_or_impulses_is_returned_as_it_is() -> None:
    flat = torch.full((1, 32, 32), 0.4)
    for noise in ("gaussian", "impulse"):
        result = denoise(flat, noise=noise)  # type: ignore[arg-type]
        assert torch.equal(result.image, flat)
        assert result.encodings == ()


def test_impulses_alone_are_replaced() -> None:
    clean = photograph() * 0.8 + 0.1
    rng = np.random.default_rng(0)
    hit = torch.from_numpy(rng.uniform(size=clean.shape) < 0.2)
    noisy = torch.where(hit, torch.from_numpy(rng.integers(0, 2, clean.shape)).float(), clean)
    result = denoise(noisy, noise="impulse")
    assert result.impulses is not None
    assert torch.equal(result.image[~result.impulses], noisy[~result.impulses])
    assert error(result.image, clean) < 0.1 * error(noisy, clean)


def test_rule_for_the_penalty_is_a_threshold_at_3_6_sigma() -> None:
    noisy = spoiled(torch.zeros(1, 64, 64))
    assert float(estimate_noise(noisy)) == pytest.approx(0.1, rel=0.05)
    one = torch.ones(1, 1, 1, 1)
    large = torch.zeros(1, 1, 33, 33)
    for value, survives in ((0.35, False), (0.37, True)):
        large[0, 0, 16, 16] = value
        assert (encode(large, one, gaussian_penalty(0.1)).density > 0) == survives


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"noise": "speckle"}, "'gaussian' or 'impulse'"),
        ({"sigma": 0.0}, "sigma 0.0 is not positive"),
        ({"sigma": float("nan")}, "sigma nan"),
        ({"noise": "impulse", "sigma": 0.1}, "leave it out"),
        ({"turns": 5}, "quarter turns"),
        ({"dictionary": torch.rand(4, 2, 3, 3)}, "channels"),
        ({"dictionary": "nowhere"}, "no such file"),
    ],
)
def test_bad_options_are_one_line(options: dict[str, object], told: str) -> None:
    with pytest.raises(SparseError, match=told) as caught:
        denoise(photograph(), **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(64,), (1, 0, 5), (1, 1, 8, 8)])
def test_bad_shapes_are_one_line(shape: tuple[int, ...]) -> None:
    with pytest.raises(SparseError, match="shape"):
        denoise(torch.zeros(shape))
