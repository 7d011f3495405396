"""Pictures read again by number are those that a scan counted."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import torch

import unconv as uc
from unconv.data.images import Skipped, save_image
from unconv.data.read.source import pictures_of
from unconv.errors import ImageError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.visualize.report.picture_view import picture_reader, show_picture

PREPARE = Preprocess((16, 16), (16, 16))


class Labelled(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """A dataset as torchvision's are: prepared tensors, classes and targets."""

    classes = ("cat", "dog")
    targets = (1, 0, 1)

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return torch.full((3, 16, 16), number / 10), self.targets[number]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, place in enumerate(("a", "b", "b")):
        (tmp_path / "pictures" / place).mkdir(parents=True, exist_ok=True)
        save_image(torch.full((3, 20, 20), 0.1 + number / 4), tmp_path / "pictures" / place / f"{number}.png")
    (tmp_path / "pictures" / "b" / "9.png").write_bytes(b"")
    return tmp_path / "pictures"


def sources(folder: Path) -> dict[str, object]:
    archive = folder.parent / "pictures.tar"
    with tarfile.open(archive, "w") as file:
        file.add(folder, arcname="")
    return {
        "folder": folder,
        "tar": archive,
        "tensor": torch.rand(4, 3, 20, 20),
        "dataset": Labelled(),
    }


@pytest.mark.parametrize("kind", ["folder", "tar", "tensor", "dataset"])
def test_a_scan_counts_the_same_pictures(folder: Path, kind: str) -> None:
    given = sources(folder)[kind]
    model = LoadedModel("net", torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), PREPARE, None, "random")
    found, pictures = uc.scan(model, given, ["0"], transform=PREPARE), pictures_of(given)
    assert found.count == len(pictures)
    assert found.names == {number: pictures.name(number) for number in found.names}
    for number, image in enumerate(found.images["0"][0].tolist()):
        if image < 0:
            continue
        shown = show_picture(pictures, image, PREPARE)
        assert not isinstance(shown, Skipped)
        peak = model.module(shown.image[None])[0, 0].max().detach()
        assert float(peak) == pytest.approx(float(found.values["0"][0, number]), rel=1e-4, abs=1e-5)


def test_classes_come_from_folders_and_datasets(folder: Path) -> None:
    assert [pictures_of(folder).label(number) for number in range(3)] == ["a", "b", "b"]
    assert [pictures_of(Labelled()).label(number) for number in range(3)] == ["dog", "cat", "dog"]
    assert not pictures_of(sorted(folder.rglob("*.png"))).labelled
    assert not pictures_of(torch.rand(2, 3, 8, 8)).labelled


def test_what_is_left_out_is_skipped_and_numbers_stay(folder: Path) -> None:
    pictures = pictures_of(folder).without([(0, Skipped("a/0.png", "not wanted"))])
    assert str(pictures[0]) == "a/0.png: not wanted"
    assert pictures.name(1) == "b/1.png"


def test_a_picture_that_is_gone_is_an_error_in_one_line(folder: Path) -> None:
    read = picture_reader(pictures_of(folder), PREPARE)
    assert read(0).name == "a/0.png"
    (folder / "b" / "1.png").unlink()
    with pytest.raises(ImageError, match=r"see: .*1.png: .*; it could be read when the pictures were scanned"):
        read(1)
