"""Pictures are found wherever they lie; what is held out is not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.test_fashion import make
from unconv.errors import ImageError
from unconv.models.load.preprocess import Preprocess
from unconv.train.data.examples import PictureExamples, TensorExamples
from unconv.train.data.labelled import LabelledPictures
from unconv.train.data.unlabelled import framed, pictures_without_classes

SQUARE = Preprocess(size=(32, 32), resize=(32, 32), mean=(0.5,), std=(0.5,))


def draw(folder: Path, count: int, size: tuple[int, int] = (20, 24)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def names(part: TensorExamples | PictureExamples) -> set[str]:
    assert isinstance(part, PictureExamples)
    return {str(file.path) for file in part.items}


def test_a_tenth_of_a_folder_is_held_out_whatever_lies_where(tmp_path: Path) -> None:
    draw(tmp_path / "photos", 15)
    draw(tmp_path / "photos/more/deep", 15)
    one, two, other = (pictures_without_classes(tmp_path / "photos", seed) for seed in (0, 0, 1))
    assert (len(one.train), len(one.held_out), one.classes) == (27, 3, ())
    assert not names(one.train) & names(one.held_out)
    assert len(names(one.train) | names(one.held_out)) == 30
    assert names(one.held_out) == names(two.held_out) != names(other.held_out)


def test_train_and_test_are_taken_as_they_are(tmp_path: Path) -> None:
    draw(tmp_path / "train/a", 3)
    draw(tmp_path / "train", 2)
    draw(tmp_path / "val", 2)
    found = pictures_without_classes(tmp_path)
    assert (len(found.train), len(found.held_out)) == (5, 2)


def test_data_sets_by_name_lose_their_classes(tmp_path: Path) -> None:
    make(tmp_path, count=6)
    found = pictures_without_classes(tmp_path)
    assert (found.name, found.classes, len(found.train), len(found.held_out)) == ("Fashion-MNIST", (), 6, 6)
    assert pictures_without_classes("digits").classes == ()


@pytest.mark.parametrize(("side", "margin"), [(28, 2), (24, 4), (32, 0), (27, 0), (22, 0), (64, 0)])
def test_only_pictures_a_little_too_small_are_framed(side: int, margin: int) -> None:
    shades = torch.full((3, 1, side, side), 255, dtype=torch.uint8)
    few = TensorExamples(shades, torch.zeros(3))
    found, frame = framed(LabelledPictures("few", (), few, few), SQUARE)
    batch = found.held_out.fetch([0, 2]).inputs
    assert batch.shape == (2, 1, 32, 32)
    assert frame == margin
    inner = batch[..., margin : 32 - margin, margin : 32 - margin]
    assert torch.equal(inner, torch.ones_like(inner))
    assert (batch == -1).sum() == 2 * (32**2 - (32 - 2 * margin) ** 2)


def test_files_go_through_the_transform(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    found, margin = framed(pictures_without_classes(tmp_path), SQUARE)
    assert found.train.fetch([0, 1]).inputs.shape == (2, 1, 32, 32)
    assert margin == 0


@pytest.mark.parametrize(
    ("count", "told"), [(1, "1 pictures; give 4 at least, of which 2 are held out"), (3, "3 pictures; give 4")]
)
def test_a_folder_with_too_few_pictures_is_one_line(tmp_path: Path, count: int, told: str) -> None:
    draw(tmp_path / "few", count)
    with pytest.raises(ImageError, match=told) as caught:
        pictures_without_classes(tmp_path / "few")
    assert "\n" not in str(caught.value)


def test_other_data_that_will_not_do_is_one_line(tmp_path: Path) -> None:
    make(tmp_path / "fashion", count=1)
    with pytest.raises(ImageError, match="Fashion-MNIST, to train on: 1 pictures; give 2 at least"):
        pictures_without_classes(tmp_path / "fashion")
    draw(tmp_path / "split/train", 5)
    draw(tmp_path / "split/test", 1)
    with pytest.raises(ImageError, match="split/test: 1 pictures; give 2 at least"):
        pictures_without_classes(tmp_path / "split")
    with pytest.raises(ImageError, match="no such folder; it has pictures, or is one of digits"):
        pictures_without_classes(str(tmp_path / "nowhere"))
