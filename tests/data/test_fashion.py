"""Fashion-MNIST: where it is looked for, what of it comes with unconv; what is damaged is one line."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import FashionMNIST

from unconv.data import fashion as module
from unconv.data.fashion import (
    CLASSES,
    EMBEDDED,
    EMBEDDED_ONLY,
    MEAN,
    PUBLISHED,
    SHIPPED,
    STD,
    FashionSource,
    fashion,
    find_fashion,
    holds_fashion,
    whole_fashion,
)
from unconv.data.fashion_files.idx import write_idx
from unconv.errors import ImageError

DAMAGED = b"\x1f\x8b no gzip at all"


def make(folder: Path, count: int = 7, suffix: str = ".gz", splits: tuple[str, ...] = ("train", "t10k")) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    for split in splits:
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", rng.integers(0, 10, count, dtype=np.uint8))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A machine that may be looked on, with the folders of Debian and torchvision still to be made."""
    monkeypatch.setenv(EMBEDDED_ONLY, "0")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(module, "PLACE", tmp_path / "debian")
    return tmp_path / "debian", tmp_path / "torch/datasets/vision"


def test_the_order_is_named_debian_torchvision_embedded(tmp_path: Path, elsewhere: tuple[Path, Path]) -> None:
    debian, torchvision = elsewhere
    assert find_fashion() == FashionSource(None)
    make(torchvision / "FashionMNIST/raw", count=3)
    assert find_fashion() == FashionSource(torchvision)
    assert len(fashion("test").labels) == 3
    make(debian, count=4)
    assert find_fashion() == FashionSource(debian)
    assert len(fashion("test").labels) == 4
    make(tmp_path / "own", count=5)
    assert find_fashion(tmp_path / "own") == FashionSource(tmp_path / "own", named=True)
    assert len(fashion("test", tmp_path / "own").labels) == 5


@pytest.mark.parametrize(("value", "looks"), [("1", False), ("yes", False), ("0", True), ("", True), (None, True)])
def test_the_variable_turns_every_look_outside_off_but_that_at_a_named_folder(
    tmp_path: Path, elsewhere: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, value: str | None, looks: bool
) -> None:
    for place in elsewhere:
        make(place)
    if value is None:
        monkeypatch.delenv(EMBEDDED_ONLY)
    else:
        monkeypatch.setenv(EMBEDDED_ONLY, value)
    assert find_fashion().folder == (elsewhere[0] if looks else None)
    make(tmp_path / "own")
    assert find_fashion(tmp_path / "own").folder == tmp_path / "own"


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("how", ["damaged", "one split", "no labels"])
def test_a_place_that_is_broken_is_told_and_not_passed_by(elsewhere: tuple[Path, Path], place: int, how: str) -> None:
    make(elsewhere[place], splits=("train",) if how == "one split" else ("train", "t10k"))
    if how == "damaged":
        (elsewhere[place] / "t10k-images-idx3-ubyte.gz").write_bytes(DAMAGED)
    if how == "no labels":
        (elsewhere[place] / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ImageError, match="cannot be read" if how == "damaged" else "no t10k-images") as caught:
        fashion("test")
    assert str(elsewhere[place]) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_was_found_is_said_and_what_was_named_is_not(tmp_path: Path, elsewhere: tuple[Path, Path]) -> None:
    (embedded,) = find_fashion().notes
    assert "the part that comes with unconv, 6,000 of 60,000 garments to train on and 1,000 of 10,000" in embedded
    assert "the whole set: data=DIR, or apt install" in embedded
    make(elsewhere[0])
    assert find_fashion().notes == (f"Fashion-MNIST: the files in {elsewhere[0]}",)
    assert find_fashion(tmp_path).notes == ()
    assert {find_fashion(None).name, find_fashion(tmp_path).name} == {"Fashion-MNIST"}
    assert FashionSource(None).name == "Fashion-MNIST, 6,000 of 60,000 garments"


@pytest.mark.usefixtures("elsewhere")
def test_figures_that_are_published_are_of_the_whole_set_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImageError, match=r"6,000 of 60,000 garments are here; apt install .*data=DIR"):
        whole_fashion()
    monkeypatch.setenv(EMBEDDED_ONLY, "1")
    with pytest.raises(ImageError, match=r"are here \(UNCONV_EMBEDDED_ONLY is set\); apt install"):
        whole_fashion()
    make(tmp_path / "few")
    with pytest.raises(ImageError, match=r"7 of 60,000 garments are in .*few; apt install"):
        whole_fashion(tmp_path / "few")
    for prefix, split in (("train", "train"), ("t10k", "test")):
        write_idx(tmp_path / f"few/{prefix}-labels-idx1-ubyte.gz", np.zeros(PUBLISHED[split], np.uint8))
    assert whole_fashion(tmp_path / "few").folder == tmp_path / "few"


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_comes_with_unconv_is_balanced_and_what_was_published(split: module.Split) -> None:
    """The checksums were printed when it was packed from the published files."""
    embedded = fashion(split)
    assert embedded.source == FashionSource(None)
    assert embedded.labels.bincount().tolist() == [EMBEDDED[split] // 10] * 10
    assert len({image.numpy().tobytes() for image in embedded.images}) == EMBEDDED[split]
    content = embedded.images.numpy().tobytes() + embedded.labels.to(torch.uint8).numpy().tobytes()
    readme = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert f"`fashion-{split}.png`" in readme
    assert hashlib.sha256(content).hexdigest() in readme


def test_what_comes_with_unconv_is_small_and_like_the_whole_set() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 3_000_000
    pixels = fashion("train").images.double() / 255
    assert abs(pixels.mean().item() - MEAN) < 2e-3
    assert abs(pixels.std().item() - STD) < 2e-3


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "other"])
def test_a_damaged_sheet_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    content = (SHIPPED / "fashion-test.png").read_bytes()
    other = (SHIPPED / "fashion-test.png").read_bytes().replace(b"labels", b"lebals", 1)
    monkeypatch.setattr(module, "SHIPPED", tmp_path)
    if how != "missing":
        written = {"empty": b"", "cut": content[: len(content) // 2], "other": other}[how]
        (tmp_path / "fashion-test.png").write_bytes(written)
    with pytest.raises(ImageError, match=r"fashion-test.png: .*; install unconv again") as caught:
        fashion("test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("below", [".", "raw", "FashionMNIST/raw"])
@pytest.mark.parametrize("suffix", [".gz", ""])
def test_files_are_found_in_a_folder_and_where_torchvision_puts_them(tmp_path: Path, below: str, suffix: str) -> None:
    make(tmp_path / below, suffix=suffix)
    assert holds_fashion(tmp_path)
    images, labels = fashion("test", tmp_path)
    assert (images.shape, images.dtype, labels.dtype) == ((7, 1, 28, 28), torch.uint8, torch.int64)
    assert find_fashion(tmp_path) == FashionSource(tmp_path, named=True)


def test_equals_torchvision_on_the_same_files(tmp_path: Path) -> None:
    make(tmp_path / "FashionMNIST/raw", suffix="")
    for split in ("train", "test"):
        theirs = FashionMNIST(tmp_path, train=split == "train")
        images, labels = fashion(split, tmp_path)
        assert torch.equal(images[:, 0], theirs.data)
        assert torch.equal(labels, theirs.targets)
    assert tuple(theirs.classes) == CLASSES


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
    for way in ("apt install dataset-fashion-mnist", "data=DIR", "FashionMNIST(DIR, download=True)"):
        assert way in str(caught.value)
    assert not holds_fashion(tmp_path / "nowhere")
