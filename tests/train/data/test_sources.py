"""Data sets by name are those of scikit-learn and torchvision, read from where they lie, never fetched."""

from __future__ import annotations

import pickle
import socket
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision import datasets

from tests.data.test_fashion import make
from tests.train.data.test_examples import SMALL
from unconv.data.fashion_files.idx import write_idx
from unconv.errors import ImageError
from unconv.train.data.labelled import pictures_of
from unconv.train.loop.loop import Settings
from unconv.train.tasks.classify import classify


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was to be fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_digits_are_scikit_learns_and_a_quarter_of_each_is_held_out() -> None:
    whole, pictures = load_digits(), pictures_of("digits", seed=1)
    assert (len(pictures.train), len(pictures.held_out)) == (1347, 450)
    parts = [part.fetch(range(len(part))) for part in (pictures.train, pictures.held_out)]
    inputs, targets = torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts])
    mine = sorted([*(16 * image).int().flatten().tolist(), int(t)] for image, t in zip(inputs, targets, strict=True))
    theirs = sorted([*map(int, image), int(t)] for image, t in zip(whole.data, whole.target, strict=True))
    assert mine == theirs
    held = parts[1].targets.bincount() / torch.as_tensor(whole.target).bincount()
    assert (held - 0.25).abs().max() < 0.006
    assert not torch.equal(parts[1].targets, pictures_of("digits", seed=2).held_out.targets)


def make_cifar(root: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> np.ndarray[Any, Any]:
    """Files as torchvision's download leaves them, with noise in place of the pictures, and their checksums."""
    loader, rng = getattr(datasets, kind), np.random.default_rng(0)
    folder = root / loader.base_folder
    folder.mkdir()
    names = [f"class {n}" for n in range(10)]

    def write(name: str, content: dict[str, Any]) -> str:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return md5(data).hexdigest()

    pixels = rng.integers(0, 256, (60, 3072), dtype=np.uint8)
    labels = "labels" if kind == "CIFAR10" else "fine_labels"
    count = 0
    for part in ("train_list", "test_list"):
        listed = []
        for name, _ in getattr(loader, part):
            batch = {"data": pixels[count : count + 10], labels: [n % 10 for n in range(count, count + 10)]}
            listed.append([name, write(name, batch)])
            count += 10
        monkeypatch.setattr(loader, part, listed)
    meta = {**loader.meta, "md5": write(loader.meta["filename"], {loader.meta["key"]: names})}
    monkeypatch.setattr(loader, "meta", meta)
    return pixels.reshape(-1, 3, 32, 32)


@pytest.mark.parametrize("kind", ["CIFAR10", "CIFAR100"])
def test_torchvisions_colour_pictures_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    pixels = make_cifar(tmp_path, monkeypatch, kind)
    pictures = pictures_of(f"{kind.lower()}:{tmp_path}")
    held_out = pictures.held_out.fetch([3, 7])
    first = len(pictures.train)
    assert torch.equal(held_out.inputs, torch.from_numpy(pixels[[first + 3, first + 7]]).float() / 255)
    assert held_out.targets.tolist() == [3, 7]
    assert pictures.classes[1] == "class 1"
    assert pictures.prepared(SMALL).train.fetch([0]).inputs.shape == (1, 3, 8, 8)
    broken = next((tmp_path / getattr(datasets, kind).base_folder).iterdir())
    broken.write_bytes(b"")
    with pytest.raises(ImageError, match=r"cannot be read: .*; torchvision.datasets"):
        pictures_of(f"{kind.lower()}:{tmp_path}")


def test_torchvisions_handwritten_digits_are_read_and_not_mirrored(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for split, count in (("train", 30), ("t10k", 20)):
        write_idx(raw / f"{split}-images-idx3-ubyte", np.arange(count * 784, dtype=np.uint8).reshape(count, 28, 28))
        write_idx(raw / f"{split}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10)
    pictures = pictures_of(f"mnist:{tmp_path}")
    assert (len(pictures.train), len(pictures.held_out), pictures.mirror) == (30, 20, False)
    assert torch.equal(pictures.train.fetch([1]).inputs[0, 0], (torch.arange(784, 1568) % 256).reshape(28, 28) / 255)
    assert not classify(data=f"mnist:{tmp_path}", settings=Settings(1)).about["flip"]
    assert classify(data=f"mnist:{tmp_path}", settings=Settings(1), flip=True).about["flip"]


def test_fashion_is_read_by_name_too(tmp_path: Path) -> None:
    make(tmp_path)
    by_name, by_folder = pictures_of(f"fashion-mnist:{tmp_path}"), pictures_of(tmp_path)
    assert by_name.name == by_folder.name
    assert torch.equal(by_name.train.inputs, by_folder.train.inputs)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("cifar10", r"data cifar10: in which folder\? torchvision.datasets.CIFAR10\(DIR, download=True\) fetches it"),
        ("cifar100:nowhere", "data cifar100:nowhere: no cifar-100-python in it; "),
        ("mnist:", "data mnist: in which folder"),
        ("digits:here", "the digits come with scikit-learn; say digits alone"),
        ("cifar11:here", "no such folder; .* or is one of digits, fashion-mnist, cifar10"),
        ("digits", "the data set or the folder of that name"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, told: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    with pytest.raises(ImageError, match=told) as caught:
        pictures_of(data)
    assert "\n" not in str(caught.value)
    assert len(pictures_of("digits:").classes) == 10
