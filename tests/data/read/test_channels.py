"""Pictures of other numbers of channels than one and three, from files and arrays: every channel where it belongs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from torch import nn

import unconv as uc
from unconv.data.read.items import Skipped
from unconv.data.read.read_item import read_item
from unconv.data.read.reading import Reading
from unconv.data.read.source import pictures_of
from unconv.models.load.preprocess import Preprocess

SHAPE = (14, 18)


def planes(channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (channels, *SHAPE), dtype=np.uint8)


def save(path: Path, values: np.ndarray, layout: str = "last") -> Path:
    array = np.moveaxis(values, 0, -1) if layout == "last" else values
    if path.suffix == ".tif":
        first, *rest = [PillowImage.fromarray(plane) for plane in values]
        first.save(path, save_all=True, append_images=rest)
    elif path.suffix == ".png":
        PillowImage.fromarray(array).save(path)
    else:
        (np.save if path.suffix == ".npy" else np.savez)(path, array)
    return path


def read(path: Path, channels: int) -> uc.data.images.Image | Skipped:
    (item,) = pictures_of(path)
    return read_item(item, Reading(channels=channels))


@pytest.mark.parametrize("channels", [2, 4, 5, 12])
@pytest.mark.parametrize(("ending", "layout"), [("npy", "last"), ("npy", "first"), ("npz", "last"), ("tif", "first")])
def test_every_channel_of_a_file_is_read(channels: int, ending: str, layout: str, tmp_path: Path) -> None:
    values = planes(channels)
    found = read(save(tmp_path / f"bands.{ending}", values, layout), channels)
    assert torch.equal(found.tensor, torch.from_numpy(values).float() / 255)
    assert found.notes


@pytest.mark.parametrize("channels", [2, 4])
def test_opacity_is_a_channel_for_a_network_that_takes_so_many(channels: int, tmp_path: Path) -> None:
    values = planes(channels)
    path = save(tmp_path / "clear.png", values)
    found = read(path, channels)
    assert torch.equal(found.tensor, torch.from_numpy(values).float() / 255)
    assert "the last of them opacity" in found.notes[0]
    assert len(read(path, 3).tensor) == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_in_files_are_read_as_arrays_are(channels: int, tmp_path: Path) -> None:
    values = planes(channels)
    (found,) = uc.read_images(save(tmp_path / "picture.npy", values), mode="keep")
    (given,) = uc.read_images([np.moveaxis(values, 0, -1)], mode="keep")
    assert torch.equal(found.tensor, given.tensor)


@pytest.mark.parametrize(
    ("channels", "ending", "reason"),
    [
        (3, "png", "3 channels, and the network takes 4; give RGBA, .npy of 4 channels, or so many pages"),
        (3, "npy", "no channel axis; the first or the last axis must have 4 entries"),
        (2, "tif", "1 channel and 2 pages, and the network takes 4"),
    ],
)
def test_other_numbers_of_channels_are_refused_with_the_way_out(channels, ending, reason, tmp_path: Path) -> None:
    found = read(save(tmp_path / f"bands.{ending}", planes(channels)), 4)
    assert isinstance(found, Skipped)
    assert reason in found.reason


def test_networks_of_four_channels_look_at_files_and_arrays_alike(tmp_path: Path) -> None:
    values = planes(4)
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU())
    plain = Preprocess(SHAPE, SHAPE, (0.0,) * 4, (1.0,) * 4)
    image = torch.from_numpy(values)[None].float() / 255
    expected = uc.project(model, image, "0", 2).image
    for given in (save(tmp_path / "a.png", values), save(tmp_path / "a.npy", values), np.moveaxis(values, 0, -1)):
        assert torch.equal(uc.project(model, given, "0", 2, transform=plain).image, expected)
        found = uc.scan(model, [given], ["0"], transform=plain)
        torch.testing.assert_close(found.values["0"], uc.scan(model, image, ["0"]).values["0"])
    report = uc.see(model, tmp_path, ["1"], tmp_path / "report", transform=plain, bands=[3, 0, 1], fidelity=0)
    assert report.pictures == ("a.npy", "a.png")
