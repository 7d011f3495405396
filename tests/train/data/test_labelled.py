"""Pictures with their classes are found where users have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.test_fashion import make
from tests.train.data.test_examples import SMALL, write
from unconv.data.fashion import find_fashion
from unconv.errors import ImageError
from unconv.models.load.preprocess import Preprocess
from unconv.models.zfnet28 import zfnet28_recipe
from unconv.train.data.labelled import pictures_of


def test_fashion_is_known_by_its_files(tmp_path: Path) -> None:
    make(tmp_path / "FashionMNIST/raw")
    pictures = pictures_of(tmp_path)
    assert (pictures.name, len(pictures.classes), len(pictures.train), len(pictures.held_out)) == (
        "Fashion-MNIST",
        10,
        7,
        7,
    )


def test_whole_batches_are_prepared_as_single_pictures_are(tmp_path: Path) -> None:
    make(tmp_path)
    raw = pictures_of(tmp_path)
    for preprocess in (zfnet28_recipe().preprocess, SMALL, Preprocess(size=(28, 28), resize=(32, 32))):
        batch = raw.prepared(preprocess).train.fetch([4, 2])
        one = raw.train.fetch([4]).inputs[0]
        assert batch.inputs.shape == (2, *preprocess.input_size)
        assert torch.allclose(batch.inputs[0], preprocess(one)[0], atol=1e-6)


@pytest.mark.parametrize("test", ["test", "val"])
def test_folders_for_training_and_measuring_are_taken_as_they_are(tmp_path: Path, test: str) -> None:
    for number, name in enumerate(
        ["train/a/1.png", "train/a/2.png", "train/b/1.png", f"{test}/a/1.png", f"{test}/b/1.png"]
    ):
        write(tmp_path / name, 40 * number)
    pictures = pictures_of(tmp_path).prepared(SMALL)
    assert pictures.classes == ("a", "b")
    assert (len(pictures.train), len(pictures.held_out)) == (3, 2)
    assert np.isclose(pictures.held_out.fetch([1]).inputs.max().item(), (160 / 255 - 0.406) / 0.225, atol=0.5)


def test_a_tenth_is_held_out_of_one_folder(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path / "ab"[number % 2] / f"{number}.png", number)
    pictures = pictures_of(tmp_path)
    assert (len(pictures.train), len(pictures.held_out)) == (36, 4)


def test_what_has_no_pictures_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere: no such folder"):
        pictures_of(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="0 folders with files"):
        pictures_of(tmp_path)
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"):
        write(tmp_path / name, 0)
    with pytest.raises(ImageError, match=r"classes of train and test differ \(b, c\)"):
        pictures_of(tmp_path)
    make(tmp_path / "half", splits=("train",))
    with pytest.raises(ImageError, match="no t10k-images"):
        pictures_of(tmp_path / "half")


def test_without_a_folder_it_is_the_embedded_fashion_and_says_so() -> None:
    pictures = pictures_of()
    assert (len(pictures.train), len(pictures.held_out)) == (6_000, 1_000)
    assert pictures.name == "Fashion-MNIST, 6,000 of 60,000 garments"
    assert pictures.notes == find_fashion().notes != ()


def test_named_pictures_need_no_note(tmp_path: Path) -> None:
    make(tmp_path / "Fashion-MNIST")
    assert (pictures_of(tmp_path / "Fashion-MNIST").notes, pictures_of("digits").notes) == ((), ())
