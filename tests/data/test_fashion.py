"""Fashion-MNIST from idx files: what is read is what was written, and what is damaged is one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torchvision.datasets import FashionMNIST

from unconv.data.fashion import CLASSES, MEAN, PLACE, STD, fashion, find_fashion, holds_fashion, read_idx, write_idx
from unconv.errors import ImageError

real = pytest.mark.skipif(not PLACE.is_dir(), reason="needs the package dataset-fashion-mnist")


def make(folder: Path, count: int = 7, suffix: str = ".gz", splits: tuple[str, ...] = ("train", "t10k")) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    for split in splits:
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", rng.integers(0, 10, count, dtype=np.uint8))


@pytest.mark.parametrize("below", [".", "raw", "FashionMNIST/raw"])
@pytest.mark.parametrize("suffix", [".gz", ""])
def test_files_are_found_in_a_folder_and_where_torchvision_puts_them(tmp_path: Path, below: str, suffix: str) -> None:
    make(tmp_path / below, suffix=suffix)
    assert holds_fashion(tmp_path)
    images, labels = fashion("test", tmp_path)
    assert (images.shape, images.dtype, labels.dtype) == ((7, 1, 28, 28), torch.uint8, torch.int64)
    assert find_fashion("test", tmp_path)[0].parent == tmp_path / below


def test_equals_torchvision_on_the_same_files(tmp_path: Path) -> None:
    make(tmp_path / "FashionMNIST/raw", suffix="")
    for split in ("train", "test"):
        theirs = FashionMNIST(tmp_path, train=split == "train")
        images, labels = fashion(split, tmp_path)
        assert torch.equal(images[:, 0], theirs.data)
        assert torch.equal(labels, theirs.targets)
    assert tuple(theirs.classes) == CLASSES


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4), packed=st.booleans())
def test_idx_comes_back(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], packed: bool) -> None:
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if packed else "x")
    values = np.random.default_rng(sum(sizes)).integers(0, 256, sizes, dtype=np.uint8)
    write_idx(path, values)
    assert np.array_equal(read_idx(path, len(sizes)).numpy(), values)


def damaged(content: bytes, how: str) -> bytes:
    raw = gzip.decompress(content)
    return {
        "empty": b"",
        "not gzip": b"no idx file at all",
        "cut": content[: len(content) // 2],
        "bit": content[:200] + bytes([content[200] ^ 255]) + content[201:],
        "no head": gzip.compress(raw[:7]),
        "magic": gzip.compress(b"\0\0\x0d" + raw[3:]),
        "axes": gzip.compress(b"\0\0\x08\x01" + raw[4:]),
        "short": gzip.compress(raw[:-1]),
        "long": gzip.compress(raw + b"\0"),
        "huge": gzip.compress(raw[:4] + b"\xff" * 12 + raw[16:]),
        "side": gzip.compress(raw[:8] + b"\0\0\0\x1b" + raw[12:16] + raw[16 : 16 + 7 * 27 * 28]),
        "count": gzip.compress(raw[:4] + b"\0\0\0\x06" + raw[8 : 16 + 6 * 784]),
    }[how]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("empty", "0 bytes are no idx file"),
        ("not gzip", "cannot be read: Not a gzipped file"),
        ("cut", "cannot be read"),
        ("bit", "cannot be read"),
        ("no head", "7 bytes are no idx file of 3 axes"),
        ("magic", "magic number 0x00000d03, 0x00000803"),
        ("axes", "magic number 0x00000801, 0x00000803"),
        ("short", "5487 values, its head says 7x28x28"),
        ("long", "more than 5488 values"),
        ("huge", "says it holds"),
        ("side", "pictures of 27x28, not 28x28"),
        ("count", "6 pictures, and 7 labels in t10k-labels"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, how: str, told: str) -> None:
    make(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(ImageError, match=told) as caught:
        fashion("test", tmp_path)
    assert "\n" not in str(caught.value)
    assert "t10k-images-idx3-ubyte.gz" in str(caught.value)


def test_a_label_of_no_class_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.full(7, 10, np.uint8))
    with pytest.raises(ImageError, match="label 10, where 9 is the last"):
        fashion("train", tmp_path)


def test_missing_files_are_one_line_that_says_how_to_get_them(tmp_path: Path) -> None:
    make(tmp_path, splits=("train",))
    with pytest.raises(ImageError, match="no t10k-images") as caught:
        fashion("test", tmp_path)
    for way in ("apt install dataset-fashion-mnist", "--data DIR", "FashionMNIST(DIR, download=True)"):
        assert way in str(caught.value)
    assert not holds_fashion(tmp_path / "nowhere")


@real
def test_mean_and_deviation_are_those_of_the_training_pictures() -> None:
    images, labels = fashion("train")
    assert images.shape == (60_000, 1, 28, 28)
    assert labels.bincount().tolist() == [6000] * 10
    pixels = images.double() / 255
    assert abs(pixels.mean().item() - MEAN) < 1e-4
    assert abs(pixels.std().item() - STD) < 1e-4
    assert fashion("test").images.shape == (10_000, 1, 28, 28)
