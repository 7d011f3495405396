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
        uc.read_images(tmp_path / "x.png"),
        [Image.fromarray(RGB)],
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


@pytest.mark.parametrize("name", RESTORES)
def test_several_pictures_are_refused(name: str, tmp_path: Path) -> None:
    for file in ("x.png", "y.png"):
        Image.fromarray(RGB).save(tmp_path / file)
    for several in (tmp_path, uc.read_images(tmp_path), [Image.fromarray(RGB)] * 2):
        with pytest.raises(SparseError, match=f"^{name}: 2 images; give one at a time$"):
            RESTORES[name](several)


def test_a_learner_takes_one_picture_at_a_time() -> None:
    learner = uc.DictionaryLearner(n_kernels=2, kernel_size=3, max_iter=1, random_state=0).fit([FIRST])
    with pytest.raises(SparseError, match="2 images; give one at a time"):
        learner.denoise([Image.fromarray(RGB)] * 2)
    with pytest.raises(SparseError, match=r"channels last\? give image.transpose"):
        learner.denoise(RGB)


def test_grey_pictures_have_the_channels_of_the_kernels() -> None:
    kernels = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    grey = Image.fromarray(RGB[..., 0])
    wanted = uc.denoise(FIRST[:1].expand(3, -1, -1), kernels, sigma=0.1).image
    torch.testing.assert_close(uc.denoise(grey, kernels, sigma=0.1).image, wanted)
    with pytest.raises(SparseError, match=r"image of 1 channels, dictionary of 3; use a dictionary of 1$"):
        uc.denoise(FIRST[:1], kernels, sigma=0.1)


LAST = [RGB, RGB / 255, torch.from_numpy(RGB), np.stack([RGB, RGB]), np.stack([RGB, RGB])[..., :1]]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image", LAST, ids=lambda image: f"{type(image).__name__}{tuple(image.shape)}")
def test_coding_refuses_channels_at_the_end(image: Any, channels: int) -> None:
    kernels = torch.ones(2, channels, 3, 3)
    turn = "permute" if isinstance(image, Tensor) else "transpose"
    for function in (uc.encode, uc.penalty_max):
        with pytest.raises(SparseError, match=rf"^{function.__name__}: images .* channels last\? give .*\.{turn}\("):
            function(image, kernels)
    if image.ndim == 3:
        with pytest.raises(SparseError, match=rf"image 0 .* channels last\? give image\.{turn}\(2, 0, 1\)"):
            uc.encode([image, FIRST], kernels)


def test_kernels_of_as_many_channels_say_that_they_are_first() -> None:
    kernels = torch.randn(2, 24, 2, 2)
    images = torch.rand(2, 24, 20, 3)
    assert uc.encode(images, kernels, "0.5max").codes.shape == (2, 2, 21, 4)
    assert uc.encode(list(images), kernels, "0.5max").codes[0].shape == (2, 21, 4)
    assert uc.denoise(images[0], kernels, sigma=0.1).image.shape == (24, 20, 3)
    assert uc.encode(torch.rand(9, 20, 3), torch.randn(2, 20, 2), 5.0).codes.shape == (9, 2, 4)


@pytest.mark.parametrize("kernel_size", [3, (3, 3)])
@pytest.mark.parametrize("image", LAST, ids=lambda image: f"{type(image).__name__}{tuple(image.shape)}")
def test_learners_refuse_channels_at_the_end(image: Any, kernel_size: Any) -> None:
    learner = uc.DictionaryLearner(2, kernel_size, max_iter=1)
    for learn in (learner.fit, learner.partial_fit, learner.fit_transform):
        with pytest.raises(SparseError, match=r"learn: images .* channels last\? .* channel_axis=1 says"):
            learn(image)
    fitted = uc.DictionaryLearner(2, 3, max_iter=1, mode="grey").fit([FIRST[:1]])
    for use in (fitted.transform, fitted.encode, fitted.reconstruct, fitted.score):
        with pytest.raises(SparseError, match=r"channels last\?"):
            use(image)


def test_data_sets_and_streams_to_learn_from_are_refused_too() -> None:
    class Pairs:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            return RGB, index

    learner = uc.DictionaryLearner(2, 3, max_iter=1, batch_size=2)
    for source in (Pairs(), iter([RGB, RGB]), [RGB, Image.fromarray(RGB)], [RGB.astype(int)] * 2):
        with pytest.raises(SparseError, match=r"learn: image 0 of shape \(24, 20, 3\): channels last"):
            learner.fit(source)


def test_what_a_channel_axis_tells_is_taken_for_it() -> None:
    def learned(images: Any, axis: int | None, size: Any = 2) -> tuple[int, ...]:
        learner = uc.DictionaryLearner(2, size, max_iter=1, random_state=0, channel_axis=axis)
        return tuple(learner.fit(images).dictionary_.shape)

    images = np.random.default_rng(0).random((5, 24, 20, 3))
    assert learned(images, 1) == learned(list(images), 1) == (2, 24, 2, 2)
    assert learned(images, -1) == learned(list(images), -1) == (2, 3, 2, 2)
    assert learned(images[0], 1) == (2, 20, 2)
    assert learned(images[0], None) == (2, 1, 2, 2)
    assert uc.DictionaryLearner(2, (2,), max_iter=1).fit(images[0]).dictionary_.shape == (2, 20, 2)


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


def test_a_learner_of_grey_kernels_has_pictures_read_grey() -> None:
    learner = uc.DictionaryLearner(n_kernels=2, kernel_size=3, max_iter=1, random_state=0).fit([FIRST[:1]])
    picture = Image.fromarray(RGB)
    assert uc.penalty_max(picture, learner) == uc.penalty_max(picture, learner.dictionary_)
    for ask in (uc.encode, uc.penalty_max, uc.denoise):
        with pytest.raises(SparseError, match="DictionaryLearner has learned no dictionary yet; call fit first"):
            ask(picture, uc.DictionaryLearner())


def test_two_axes_without_a_dictionary_say_what_they_are_taken_for() -> None:
    with pytest.raises(SparseError, match=r"two axes is 24 signals, .* a grey picture is image\[None\]"):
        uc.denoise(FIRST[0])
    with pytest.raises(SparseError, match=r"a grey picture is image\[None\]"):
        uc.denoise(FIRST[0], KERNELS)
    with pytest.raises(SparseError, match=r"one of one channel is images\[None, None\]"):
        uc.encode(FIRST[0], KERNELS)


def test_more_noise_than_values_is_refused() -> None:
    with pytest.raises(SparseError, match=r"sigma 25 is more than the whole range .* 25/255 = 0.09804"):
        uc.denoise(Image.fromarray(RGB), sigma=25)
    with pytest.raises(SparseError, match=r"sigma 900 is more than the whole range of the values, 0 to 255$"):
        uc.denoise(FIRST * 255, KERNELS, sigma=900)
    assert uc.denoise(torch.full((1, 9, 9), 0.5), KERNELS, sigma=0.1).image.shape == (1, 9, 9)
    # Noise of a few hundredths leaves [0, 1], and opacity is no value of the picture.
    with pytest.raises(SparseError, match="25/255"):
        uc.denoise(1.2 * FIRST - 0.1, sigma=25)
    with pytest.raises(SparseError, match=r"range of the values, 0 to 0\.2$"):
        uc.denoise(torch.cat([0.2 * FIRST, torch.ones(1, 24, 20)]), KERNELS, sigma=0.5)
    with pytest.raises(SparseError, match="leave it out for noise='impulse'"):
        uc.denoise(FIRST, noise="impulse", sigma=25)
