"""Restoring with what was learned, and the low-pass that is taken off and given back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unconv.data.images import save_image
from unconv.sparse.code.encode import encode
from unconv.sparse.estimator.learner import DictionaryLearner
from unconv.sparse.restore.denoise import denoise
from unconv.sparse.restore.inpaint import inpaint
from unconv.sparse.restore.lowpass import split


@pytest.fixture(scope="module")
def picture() -> Tensor:
    from skimage import data

    return torch.from_numpy(data.camera()[100:164, 180:260] / 255.0).float()[None]


@pytest.fixture(scope="module")
def learner(picture: Tensor) -> DictionaryLearner:
    return DictionaryLearner(12, 5, 0.05, max_iter=8, random_state=0).fit(picture[None])


def psnr(picture: Tensor, truth: Tensor) -> float:
    return float(-10 * (picture - truth).square().mean().log10())


def test_pictures_are_learned_from_without_their_low_pass(picture: Tensor, learner: DictionaryLearner) -> None:
    detail = split(picture, 5.0).detail
    by_hand = DictionaryLearner(12, 5, 0.05, max_iter=8, random_state=0, low_pass=0).fit(detail[None])
    assert learner.low_pass_ == 5
    torch.testing.assert_close(learner.dictionary_, by_hand.dictionary_, atol=1e-6, rtol=0)
    torch.testing.assert_close(learner.transform(picture[None], "dense"), by_hand.transform(detail[None], "dense"))
    everything = DictionaryLearner(12, 5, 0.05, max_iter=8, random_state=0, low_pass=0).fit(picture[None])
    assert float((everything.dictionary_ - learner.dictionary_).abs().max()) > 0.1


def test_the_low_pass_is_given_back(picture: Tensor, learner: DictionaryLearner) -> None:
    made = learner.reconstruct(picture[None])
    low = split(picture, 5.0).low
    torch.testing.assert_close(made[0], low + learner.inverse_transform(learner.transform(picture[None]))[0])
    assert psnr(made[0], picture) > 30
    (alone,) = learner.reconstruct([picture])
    torch.testing.assert_close(alone, made[0])


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("kind", ["stack", "list", "again", "stream"])
def test_every_source_is_high_passed(picture: Tensor, kind: str, online: bool) -> None:
    parts = picture.unfold(2, 20, 20).unbind(2)
    stack = torch.stack([part.transpose(1, 2).contiguous() for part in parts])
    images = {"stack": stack, "list": list(stack), "again": _Again(stack), "stream": iter(stack)}[kind]
    options = {"n_kernels": 3, "kernel_size": 5, "penalty": 0.1, "max_iter": 1, "random_state": 0}
    options["batch_size"] = 2 if online or kind == "stream" else None
    found = DictionaryLearner(**options).fit(images)  # type: ignore[arg-type]
    details = torch.stack([split(image, 5.0).detail for image in stack])
    by_hand = {"stack": details, "list": list(details), "again": _Again(details), "stream": iter(details)}[kind]
    expected = DictionaryLearner(**options, low_pass=0).fit(by_hand)  # type: ignore[arg-type]
    torch.testing.assert_close(found.dictionary_, expected.dictionary_, atol=1e-6, rtol=0)


class _Again:
    def __init__(self, stack: Tensor) -> None:
        self.stack = stack

    def __iter__(self) -> object:
        return iter(self.stack)


def test_masked_pixels_do_not_reach_the_low_pass(picture: Tensor) -> None:
    known = torch.rand(picture.shape, generator=torch.Generator().manual_seed(0)) > 0.3
    options = {"n_kernels": 3, "kernel_size": 5, "penalty": 0.1, "max_iter": 2, "random_state": 0}
    one = DictionaryLearner(**options).fit(torch.where(known, picture, torch.nan)[None], mask=known)  # type: ignore[arg-type]
    other = DictionaryLearner(**options).fit(torch.where(known, picture, 7.0)[None], mask=known)  # type: ignore[arg-type]
    assert torch.equal(one.dictionary_, other.dictionary_)
    made = one.reconstruct(torch.where(known, picture, torch.nan)[None], mask=known)
    assert bool(made.isfinite().all())


def test_signals_keep_what_is_slow(picture: Tensor) -> None:
    rows = picture[0].numpy()
    assert DictionaryLearner(3, 9, 0.1, max_iter=1).fit(rows).low_pass_ == 0
    assert DictionaryLearner(3, 9, 0.1, max_iter=1, low_pass=50).fit(rows).low_pass_ == 50


def test_denoise_is_that_of_the_package(picture: Tensor, learner: DictionaryLearner, tmp_path: Path) -> None:
    noisy = picture + 0.1 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    found = learner.denoise(noisy, sigma=0.1)
    torch.testing.assert_close(found.image, denoise(noisy, learner, sigma=0.1, low_pass=5.0).image)
    assert psnr(found.image, picture) > psnr(noisy, picture) + 4
    torch.testing.assert_close(learner.denoise(noisy[0].numpy(), sigma=0.1).image, found.image)
    file = save_image(noisy.clamp(0, 1), tmp_path / "noisy.png")
    assert psnr(learner.denoise(file, sigma=0.1).image, picture) > psnr(noisy, picture) + 4


def test_inpaint_is_that_of_the_package(picture: Tensor, learner: DictionaryLearner) -> None:
    known = torch.rand(picture.shape, generator=torch.Generator().manual_seed(0)) > 0.3
    spoilt = torch.where(known, picture, torch.nan)
    found = learner.inpaint(spoilt, known)
    torch.testing.assert_close(found.image, inpaint(spoilt, known, learner, low_pass=5.0).image)
    assert psnr(found.image, picture) > 25


def test_without_a_low_pass_the_whole_picture_is_coded(picture: Tensor) -> None:
    learner = DictionaryLearner(8, 5, 0.05, max_iter=4, random_state=0, low_pass=0).fit(picture[None])
    found = learner.inpaint(picture, torch.ones(1, 64, 80), keep_known=False, turns=1, tol=1e-4)
    by_hand = encode(picture[None], learner.dictionary_, 0.02, tol=1e-4).reconstruct()
    assert isinstance(by_hand, Tensor)
    torch.testing.assert_close(found.image, by_hand[0], atol=1e-3, rtol=0)


def test_signals_are_denoised_whole_and_not_run_backwards() -> None:
    time = np.arange(400)
    signal = np.where(time % 40 < 20, 0.05 * (time % 20), 0.0)
    noisy = signal + 0.1 * np.random.default_rng(0).standard_normal(400)
    learner = DictionaryLearner(2, 30, 0.1, max_iter=8, random_state=0).fit(signal[None])
    found = learner.denoise(noisy, sigma=0.1)
    assert len(found.encodings) == 1
    assert np.abs(found.image[0].numpy() - signal).mean() < 0.5 * np.abs(noisy - signal).mean()
    assert torch.equal(found.image, denoise(noisy[None], learner, sigma=0.1, turns=1).image)


def test_the_kernels_are_drawn(learner: DictionaryLearner) -> None:
    figure = learner.plot(title="mine")
    assert figure.axes[0].get_title(loc="left") == "mine"
    assert "12 kernels 5×5, most used first" in learner.plot().axes[0].get_title(loc="left")


def test_the_old_name_of_low_pass_works_with_a_warning(picture: Tensor) -> None:
    kernels = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    with pytest.warns(DeprecationWarning, match="denoise: strength is low_pass now"):
        old = denoise(picture, kernels, sigma=0.1, strength=9.0)
    assert torch.equal(old.image, denoise(picture, kernels, sigma=0.1, low_pass=9.0).image)
    with pytest.warns(DeprecationWarning, match="inpaint: strength is low_pass now"):
        inpaint(picture, picture > 0.3, kernels, strength=9.0)
