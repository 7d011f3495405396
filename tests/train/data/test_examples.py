"""Examples come by number, the same whenever they are asked for; what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image
from sklearn.model_selection import StratifiedShuffleSplit

from unconv.data.images import ImageFile
from unconv.errors import ImageError, UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.train.data.examples import PictureExamples, TensorExamples, check_readable, folder_examples, split_off

SMALL = Preprocess(size=(8, 8), resize=(8, 8))


def write(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 12, 3), value, np.uint8)).save(path)


def test_bytes_stand_for_the_range_from_black_to_white() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    examples = TensorExamples(images, torch.arange(4), prepare=lambda batch: 2 * batch)
    batch = examples.fetch([3, 0, 3])
    assert torch.equal(batch.inputs, 2 * images[[3, 0, 3]].float() / 255)
    assert batch.targets.tolist() == [3, 0, 3]
    assert examples.fetch([]).inputs.shape == (0, 1, 8, 8)


def test_another_number_of_targets_is_refused() -> None:
    with pytest.raises(UnconvError, match="3 inputs, 2 targets"):
        TensorExamples(torch.zeros(3, 1), torch.zeros(2))


def test_folders_are_classes_and_sub_folders_belong_to_them(tmp_path: Path) -> None:
    for number, name in enumerate(["dog/b.png", "cat/a.png", "cat/far/below.png", "dog/a.png"]):
        write(tmp_path / name, 60 * number)
    write(tmp_path / "loose.png", 1)
    examples, classes = folder_examples(tmp_path)
    assert classes == ("cat", "dog")
    assert [(file.name, int(target)) for file, target in zip(examples.items, examples.targets, strict=True)] == [
        ("cat/a.png", 0),
        ("cat/far/below.png", 0),
        ("dog/a.png", 1),
        ("dog/b.png", 1),
    ]


def test_pictures_are_as_the_network_wants_them_and_the_unreadable_are_named(tmp_path: Path) -> None:
    write(tmp_path / "cat/a.png", 0)
    (tmp_path / "cat/broken.jpg").write_bytes(b"no picture")
    write(tmp_path / "dog/white.png", 255)
    Image.new("RGB", (40_000, 1)).save(tmp_path / "dog/strip.png")
    found, _ = folder_examples(tmp_path)
    examples = PictureExamples(found.items, found.targets, Preprocess(size=(3000, 3000), resize=(3000, 3000)))
    assert len(examples) == 4
    batch = PictureExamples(found.items, found.targets, SMALL).fetch([3, 1, 0])
    assert batch.inputs.shape == (2, 3, 8, 8)
    assert torch.allclose(batch.inputs[0], SMALL(torch.ones(3, 4, 4))[0], atol=1e-5)
    assert batch.targets.tolist() == [1, 0]
    assert batch.skipped[0].endswith("broken.jpg: not a picture in a known format")
    strip = examples.fetch([2])
    assert len(strip.inputs) == len(strip.targets) == 0
    assert "strip.png: picture 1x40000: covering" in strip.skipped[0]


def test_less_than_two_classes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "cat/a.png", 0)
    with pytest.raises(ImageError, match="1 folders with files in them"):
        folder_examples(tmp_path)


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(2, 40), min_size=1, max_size=5), part=st.floats(0.01, 0.5), seed=st.integers(0, 9))
def test_a_part_of_each_class_is_held_out(counts: list[int], part: float, seed: int) -> None:
    targets = torch.cat([torch.full((count,), number) for number, count in enumerate(counts)])
    files = tuple(ImageFile(Path(f"{n}.png"), f"{n}.png") for n in range(len(targets)))
    train, held_out = split_off(PictureExamples(files, targets), part, seed, "abcde")
    assert {file.name for file in train.items} | {file.name for file in held_out.items} == {file.name for file in files}
    assert len(train) + len(held_out) == len(files)
    for number, count in enumerate(counts):
        assert (held_out.targets == number).sum() == max(1, round(part * count))
    for examples in (train, held_out):
        for file, target in zip(examples.items, examples.targets, strict=True):
            assert targets[int(file.path.stem)] == target
    again = split_off(PictureExamples(files, targets), part, seed, "abcde")[1]
    assert [file.name for file in again.items] == [file.name for file in held_out.items]


def test_as_many_are_held_out_as_scikit_learn_would() -> None:
    targets = torch.arange(300) % 3
    files = tuple(ImageFile(Path(f"{n}.png"), f"{n}.png") for n in range(300))
    theirs = next(StratifiedShuffleSplit(1, test_size=0.1, random_state=0).split(np.zeros(300), targets.numpy()))[1]
    held_out = split_off(PictureExamples(files, targets), 0.1, 0, "abc")[1]
    assert torch.equal(held_out.targets.bincount(), targets[theirs].bincount())


def test_the_class_of_one_picture_is_named(tmp_path: Path) -> None:
    for name in ("cat/a.png", "cat/b.png", "dog/a.png"):
        write(tmp_path / name, 0)
    examples, classes = folder_examples(tmp_path)
    with pytest.raises(UnconvError, match=r"class 1 \(dog\) has 1 pictures, 1 of them held out; give more"):
        split_off(examples, 0.1, 0, classes)


def test_a_class_without_files_is_named(tmp_path: Path) -> None:
    for name in ("cat/a.png", "dog/a.png"):
        write(tmp_path / name, 0)
    for name in ("mouse", ".hidden"):
        (tmp_path / name).mkdir()
    with pytest.raises(ImageError, match="no files for class mouse; add pictures, or remove the folder"):
        folder_examples(tmp_path)


def test_a_class_without_a_readable_picture_is_named(tmp_path: Path) -> None:
    write(tmp_path / "cat/a.png", 0)
    write(tmp_path / "dog/c.png", 0)
    (tmp_path / "dog/a.png").write_bytes(b"")
    examples, classes = folder_examples(tmp_path)
    check_readable(examples, classes, "data")
    (tmp_path / "dog/c.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"class dog has no picture that can be read, of 2 \(.*a.png: empty file"):
        check_readable(examples, classes, "data")
