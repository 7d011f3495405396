"""Images of every kind give the same projection; models and layers of every kind too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from unconv.data.read.items import Skipped
from unconv.errors import ImageError, ModelError, UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.network.trace.trace import trace
from unconv.network.windows import windows_of
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.project_units import Pick, project_units

SMALL = Preprocess(size=(32, 32), resize=(36, 36))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of different sizes, and a file that is none."""
    place = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number, size in enumerate([(40, 50), (60, 44), (48, 48)]):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(place / f"{number}.png")
    (place / "0.txt").write_text("no picture")
    return place


def opened(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.copy()


def as_given(folder: Path) -> Tensor:
    arrays = [np.asarray(opened(folder / f"{number}.png")) for number in range(3)]
    return torch.cat([SMALL(torch.from_numpy(array.copy()).permute(2, 0, 1) / 255) for array in arrays])


@pytest.mark.parametrize("kind", ["folder", "paths", "pillow", "arrays", "dataset", "loader", "tensors", "stream"])
def test_every_kind_of_images_gives_the_same(model: nn.Module, folder: Path, kind: str) -> None:
    batch = as_given(folder)
    files = [folder / f"{number}.png" for number in range(3)]
    kinds: dict[str, Any] = {
        "folder": folder,
        "paths": [str(file) for file in files],
        "pillow": [opened(file) for file in files],
        "arrays": [np.asarray(opened(file)) for file in files],
        "dataset": TensorDataset(batch, torch.zeros(3)),
        "loader": DataLoader(TensorDataset(batch, torch.zeros(3)), batch_size=2),
        "tensors": list(batch),
        "stream": (image for image in batch),
    }
    # Tensors by themselves would go through a transform that is given.
    transform = None if kind == "tensors" else SMALL
    found = project(model, kinds[kind], "3", 2, rule="guided", transform=transform)
    expected = project(model, batch, "3", 2, rule="guided")
    assert found.position == expected.position
    torch.testing.assert_close(found.image, expected.image, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.inputs, batch, atol=1e-5, rtol=1e-4)
    named = {"folder": ("0.png", "1.png", "2.png"), "paths": ("0.png", "1.png", "2.png")}
    assert found.names == named.get(kind, ("image 0", "image 1", "image 2"))
    if kind == "folder":
        assert found.skipped == (Skipped("0.txt", "not a picture in a known format", folder / "0.txt"),)


def test_one_image_without_a_batch_is_one(model: nn.Module, folder: Path) -> None:
    batch = as_given(folder)
    assert project(model, batch[0], "3", 2).image.shape == (1, 3, 32, 32)
    assert torch.equal(project(model, batch[0], "3", 2).image, project(model, batch[:1], "3", 2).image)
    one = project(model, folder / "1.png", "3", 2, transform=SMALL)
    torch.testing.assert_close(one.image, project(model, batch[1:2], "3", 2).image, atol=1e-5, rtol=1e-4)
    signal = project(
        nn.Sequential(nn.Conv1d(2, 3, 5)), np.random.default_rng(0).random((2, 40)).astype("float32"), "0", 1
    )
    assert signal.image.shape == (1, 2, 40)


def test_places_count_with_what_is_skipped(model: nn.Module, folder: Path) -> None:
    # The text is the first in the order of names: it has a place that counts for nothing.
    files = [folder / "0.png", folder / "0.txt", folder / "2.png"]
    found = project(model, files, "3", 2, [(1, 2), (9, 9), (3, 4)], transform=SMALL)
    assert found.position == ((1, 2), (3, 4))
    with pytest.raises(UnconvError, match="position: 2 positions for 3 images"):
        project(model, files, "3", 2, [(1, 2), (3, 4)], transform=SMALL)
    with pytest.raises(UnconvError, match="position: 4 positions for 3 images"):
        project(model, files, "3", 2, [(1, 2)] * 4, transform=SMALL)


def test_many_are_read_a_batch_at_a_time(model: nn.Module) -> None:
    rows: list[int] = []
    handle = model[0].register_forward_hook(lambda _m, inputs, _o: rows.append(len(inputs[0])))
    images = torch.rand(70, 3, 32, 32)
    found = project(model, TensorDataset(images), "3", 1)
    handle.remove()
    assert max(rows) <= 32
    assert found.image.shape == (70, 3, 32, 32)
    assert found.position == project(model, images, "3", 1).position


def test_nothing_to_read_is_one_line(model: nn.Module, folder: Path) -> None:
    with pytest.raises(ImageError, match=r"project: no image could be used: .*0.txt: not a picture") as refusal:
        project(model, folder / "0.txt", "3", 2)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UnconvError, match="images: tensors of 3×8×8 and 3×9×9; bring them to one size"):
        project(model, [torch.rand(3, 8, 8), torch.rand(3, 9, 9)], "3", 2)


def test_a_transform_that_was_assumed_is_said(model: nn.Module, folder: Path) -> None:
    found = project(model, folder / "0.png", "3", 2)
    assert found.notes == ("the network names no picture transform: ImageNet's at 224x224 assumed unless told",)
    assert found.image.shape == (1, 3, 224, 224)
    assert project(model, folder / "0.png", "3", 2, transform=SMALL).notes == ()
    loaded = LoadedModel("net", model, SMALL, None, "as given")
    assert project(loaded, folder / "0.png", "3", 2).image.shape == (1, 3, 32, 32)
    tiny = Preprocess(size=(24, 24), resize=(24, 24))
    assert project(loaded, folder / "0.png", "3", 2, transform=tiny).image.shape == (1, 3, 24, 24)


def test_models_and_layers_as_they_are_held(model: nn.Module) -> None:
    images = torch.rand(1, 3, 32, 32)
    expected = project(model, images, "3", 2).image
    loaded = LoadedModel("net", model, SMALL, None, "as given")
    for held, layer in ((model, model[3]), (loaded, "3"), (loaded, model[3]), (torch.compile(model), "3")):
        found = project(held, images, layer, 2)
        assert torch.equal(found.image, expected)
        assert found.layer == "3"
    assert project("zfnet-28", torch.rand(1, 28, 28), "features.conv2", 1).image.shape == (1, 1, 28, 28)
    with pytest.raises(ModelError):
        project(model, images, nn.Conv2d(6, 4, 3), 2)


def test_picks_are_read_from_files_when_they_are_needed(model: nn.Module, folder: Path) -> None:
    windows = windows_of(trace(model, (3, 32, 32)), "3")
    picks = [Pick(3, 1, (5, 6)), Pick(0, 2, (0, 0))]
    found = project_units(model, folder, windows, picks, transform=SMALL)
    batch = as_given(folder)
    expected = project_units(model, [batch[0], batch[1], batch[1], batch[2]], windows, picks)
    torch.testing.assert_close(found.image, expected.image, atol=1e-5, rtol=1e-4)
    with pytest.raises(ImageError, match=r"image 1: .*0.txt: not a picture"):
        project_units(model, folder, windows, [Pick(1, 1, (5, 6))], transform=SMALL)
