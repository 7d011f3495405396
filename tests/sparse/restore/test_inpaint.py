"""``inpaint``: as good as SPORCO's script, and what holds for any mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unconv.errors import SparseError
from unconv.sparse.restore.inpaint import inpaint, mask_from_colour, mask_from_file


def photograph() -> torch.Tensor:
    from skimage import data

    return torch.from_numpy(data.chelsea()[60:124, 120:200].copy()).float().permute(2, 0, 1) / 255


def half(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5


def error(image: torch.Tensor, clean: torch.Tensor) -> float:
    return float((image - clean).square().mean().sqrt())


def test_butterfly_is_restored_at_least_as_well_as_by_sporcos_script() -> None:
    pytest.importorskip("sporco")
    from benchmarks.sparse_applications import inpainted, psnr
    from benchmarks.sparse_tasks import butterfly, kernels, masked_butterfly

    assert psnr(butterfly(), inpainted(*masked_butterfly(), kernels("G:8x8x128"))) >= 24.56


@pytest.mark.parametrize("dictionary", [None, "grey-8x8x64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_half_of_a_photograph_comes_back_and_the_known_half_stays(dictionary: str | None, channels: int) -> None:
    clean = photograph()
    known = half((channels, 64, 80))
    result = inpaint(torch.where(known, clean, torch.nan), known, dictionary)
    everywhere = known.expand_as(clean)
    assert torch.equal(result.known, everywhere)
    assert torch.equal(result.image[everywhere], clean[everywhere])
    assert error(result.image, clean) < 0.03


def test_missing_pixels_may_hold_anything() -> None:
    clean, known = photograph(), half((1, 64, 80))
    answers = [
        inpaint(torch.where(known, clean, value), known).image
        for value in (torch.tensor(0.0), torch.tensor(torch.inf), torch.rand(3, 64, 80))
    ]
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])


def test_nothing_missing_returns_the_picture() -> None:
    clean = photograph()
    assert torch.equal(inpaint(clean, torch.ones(64, 80)).image, clean)


def test_known_pixels_are_smoothed_where_they_need_not_stay() -> None:
    clean, known = photograph(), half((1, 64, 80))
    noisy = clean + 0.05 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    kept = inpaint(noisy, known, penalty=0.1)
    free = inpaint(noisy, known, penalty=0.1, keep_known=False)
    torch.testing.assert_close(free.image[~kept.known], kept.image[~kept.known])
    assert error(free.image[kept.known], clean[kept.known]) < error(kept.image[kept.known], clean[kept.known])


def test_opacity_is_kept_and_a_signal_is_filled_in() -> None:
    clean = torch.cat([photograph(), torch.rand(1, 64, 80)])
    result = inpaint(clean, half((64, 80)))
    assert torch.equal(result.image[3], clean[3])
    assert bool(result.known[3].all())
    signal = torch.linspace(0, 40, 2000).sin()[None]
    known = half((1, 2000))
    kernels = torch.randn(16, 1, 12, generator=torch.Generator().manual_seed(1))
    assert error(inpaint(torch.where(known, signal, torch.nan), known, kernels, turns=1).image, signal) < 0.02


def test_masks_from_colours_and_files(tmp_path: Path) -> None:
    picture = photograph()
    known = half((64, 80))
    painted = torch.where(known, picture, torch.tensor([1.0, 0.0, 1.0]).reshape(3, 1, 1))
    assert torch.equal(mask_from_colour(painted, (1.0, 0.0, 1.0))[0], known)
    Image.fromarray((known.numpy() * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    assert torch.equal(mask_from_file(tmp_path / "mask.png", (64, 80))[0], known)
    with pytest.raises(SparseError, match="80×64 pixels and the image 64×80"):
        mask_from_file(tmp_path / "mask.png", (80, 64))
    with pytest.raises(SparseError, match="no pixel of the colour"):
        mask_from_colour(picture, (1.0, 0.0, 1.0))
    with pytest.raises(SparseError, match="colour of 2 channels"):
        mask_from_colour(picture, (1.0, 0.0))


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (torch.ones(64, 81), "does not fit"),
        (torch.ones(2, 64, 80), "does not fit"),
        (-torch.ones(64, 80), "negative"),
        (torch.full((64, 80), torch.nan), "NaN"),
        (torch.zeros(64, 80), "no known pixel"),
        (torch.ones(64, 80, dtype=torch.complex64), "complex"),
    ],
)
def test_bad_masks_are_one_line(mask: torch.Tensor, told: str) -> None:
    with pytest.raises(SparseError, match=told) as caught:
        inpaint(photograph(), mask)
    assert "\n" not in str(caught.value)
