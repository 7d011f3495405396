"""What people hold in place of (channels, *size): pictures are read, channels at the end are refused, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import unconv as uc
from unconv.errors import SparseError

RGB = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
FIRST = torch.from_numpy(RGB).permute(2, 0, 1) / 255
KERNELS = torch.randn(4, 1, 5, 5, generator=torch.Generator().manual_seed(0))
KNOWN = torch.rand(1, 24, 20, generator=torch.Generator().manual_seed(1)) < 0.7

RESTORES: dict[str, Callable[[Any], Tensor]] = {
    "denoise": lambda image: uc.denoise(image, KERNELS, sigma=0.1).image,
    "inpaint": lambda image: uc.inpaint(image, KNOWN, KERNELS).image,
}


@pytest.mark.parametrize("name", RESTORES)
def test_pictures_are_read_as_pictures(name: str, tmp_path: Path) -> None:
    restore = RESTORES[name]
    wanted = restore(FIRST)
    Image.fromarray(RGB).save(tmp_path / "x.png")
    forms = [
        tmp_path / "x.png",
        str(tmp_path / "x.png"),
        Image.fromarray(RGB),
        uc.read_images(tmp_path / "x.png")[0],
        RGB.transpose(2, 0, 1),
        FIRST.numpy(),
    ]
    for form in forms:
        torch.testing.assert_close(restore(form), wanted)
    grey = Image.fromarray(RGB[..., 0])
    assert restore(grey).shape == (1, 24, 20)


@pytest.mark.parametrize("name", RESTORES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_at_the_end_are_refused(name: str, channels: int) -> None:
    image = np.random.default_rng(0).random((24, 20, channels), dtype=np.float32)
    with pytest.raises(SparseError, match=rf"\(24, 20, {channels}\): channels last\? give image.transpose\(2, 0, 1\)"):
        RESTORES[name](image)
    with pytest.raises(SparseError, match=r"channels last\? give image.permute"):
        RESTORES[name](torch.from_numpy(image))


def test_lists_to_learn_from_are_refused_too() -> None:
    learner = uc.DictionaryLearner(n_kernels=2, kernel_size=3, max_iter=1)
    with pytest.raises(SparseError, match=r"learn: .* of shape \(24, 20, 3\): channels last"):
        learner.fit([RGB, RGB])
    told = uc.DictionaryLearner(n_kernels=2, kernel_size=3, max_iter=1, channel_axis=-1).fit([RGB, RGB])
    assert told.dictionary_.shape == (2, 3, 3, 3)


@pytest.mark.parametrize("shape", [(3, 24, 3), (2, 4), (5, 3, 3), (20, 30)])
def test_what_may_be_channels_first_stays(shape: tuple[int, ...]) -> None:
    kernels = torch.randn(2, 1, *(2,) * (len(shape) - 1))
    assert uc.denoise(torch.rand(shape), kernels, sigma=0.1).image.shape == shape


def test_a_learner_is_a_dictionary_everywhere() -> None:
    learner = uc.DictionaryLearner(n_kernels=2, kernel_size=3, max_iter=1, random_state=0).fit([FIRST])
    coded, wanted = (uc.encode([FIRST], one).reconstruct() for one in (learner, learner.dictionary_))
    assert torch.equal(coded[0], wanted[0])
    assert uc.penalty_max([FIRST], learner) == uc.penalty_max([FIRST], learner.dictionary_)


def test_two_axes_without_a_dictionary_say_what_they_are_taken_for() -> None:
    with pytest.raises(SparseError, match=r"two axes is 24 signals, .* a grey picture is image\[None\]"):
        uc.denoise(FIRST[0])


def test_more_noise_than_values_is_refused() -> None:
    with pytest.raises(SparseError, match=r"sigma 25 is more than the whole range .* 25/255 = 0.09804"):
        uc.denoise(Image.fromarray(RGB), sigma=25)
    with pytest.raises(SparseError, match=r"sigma 900 is more than the whole range of the values, 0 to 255$"):
        uc.denoise(FIRST * 255, KERNELS, sigma=900)
    assert uc.denoise(torch.full((1, 9, 9), 0.5), KERNELS, sigma=0.1).image.shape == (1, 9, 9)
