"""Tensors of floats go in as they are and bytes are pictures, in all that looks into a network: one rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from torch import Tensor, nn

import unconv as uc
from unconv.data.images import save_image
from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.visualize.experiments.occlusion import occlusion
from unconv.visualize.fidelity.measure import fidelity
from unconv.visualize.reverse.project_units import Pick
from unconv.visualize.scan.top_activations import TopActivations

PREPARE = Preprocess((20, 20), (20, 20), (0.5,) * 3, (0.2,) * 3)
GENERATOR = torch.Generator().manual_seed(0)
BYTES = torch.randint(0, 256, (2, 3, 20, 20), generator=GENERATOR, dtype=torch.uint8)
NORMALISED = (BYTES / 255 - 0.5) / 0.2


def network() -> LoadedModel:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return LoadedModel("net", layers.eval(), PREPARE, None, "as given")


def files(folder: Path) -> list[str]:
    for number, picture in enumerate(BYTES):
        save_image(picture / 255, folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(len(BYTES))]


def held(folder: Path) -> dict[str, Any]:
    """The same pictures, in every form."""
    array = BYTES.permute(0, 2, 3, 1).numpy()
    return {
        "tensor": NORMALISED,
        "tensors": list(NORMALISED),
        "bytes": BYTES,
        "list of bytes": list(BYTES),
        "bytes, channels last": BYTES.permute(0, 2, 3, 1).contiguous(),
        "files": files(folder),
        "arrays": list(array),
        "pillow": [PillowImage.fromarray(one) for one in array],
    }


FORMS = ("tensor", "tensors", "bytes", "list of bytes", "bytes, channels last", "files", "arrays", "pillow")


@pytest.mark.parametrize("form", FORMS)
def test_all_give_the_values_of_the_network(tmp_path: Path, form: str) -> None:
    model, images = network(), held(tmp_path)[form]
    with torch.no_grad():
        maps = model.module[:4](NORMALISED)
    peaks = maps.amax((2, 3))
    scanned = uc.scan(model, images, "3", top=2)
    torch.testing.assert_close(scanned.values["3"], peaks.T.sort(1, descending=True).values)
    projected = uc.project(model, images, "3", 2)
    torch.testing.assert_close(projected.activation, peaks[:, 2])
    unit = scanned.unit("3", 2)
    torch.testing.assert_close(unit.project().activation.sort(descending=True).values, scanned.values["3"][2])
    picks = [Pick(number, 2, (1, 1)) for number in range(2)]
    assert fidelity(model, images, "3", picks)[2].verdict == fidelity(model, NORMALISED, "3", picks)[2].verdict
    first = images[:1] if isinstance(images, Tensor) else images[0]
    maps_of = occlusion(model, first, layer="3", square=10, stride=10)
    torch.testing.assert_close(maps_of.image, NORMALISED[0])


@pytest.mark.parametrize("form", ["tensor", "bytes", "files"])
def test_a_report_shows_what_the_network_is_given(tmp_path: Path, form: str) -> None:
    report = uc.see(network(), held(tmp_path)[form], ["3"], tmp_path / "out", fidelity=0, top_units=2)
    scanned = uc.scan(network(), NORMALISED, "3")
    shown = report.numbers["collection"]["layers"][0]["units"][0]
    assert shown["places"][0]["activation"] == pytest.approx(float(scanned.values["3"][shown["unit"], 0]), rel=1e-4)


@pytest.mark.parametrize("single", [NORMALISED[0], BYTES[0]])
def test_one_image_needs_no_batch(single: Tensor) -> None:
    model = network()
    assert uc.scan(model, single, "3").count == 1
    assert uc.project(model, single, "3", 0).image.shape == (1, 3, 20, 20)
    assert fidelity(model, single, "3", [Pick(0, 1, (2, 2))])[1].pictures == 1


def test_a_transform_that_is_given_is_applied_to_tensors_too() -> None:
    model, pictures = network(), BYTES / 255
    expected = uc.scan(model, NORMALISED, "3").values["3"]
    torch.testing.assert_close(uc.scan(model.module, pictures, "3", transform=PREPARE).values["3"], expected)
    projected = uc.project(model.module, pictures, "3", 1, transform=PREPARE)
    torch.testing.assert_close(projected.activation.max(), expected[1, 0])


def test_signals_in_bytes_are_brought_to_one() -> None:
    signal = nn.Sequential(nn.Conv1d(1, 2, 3))
    values = torch.randint(0, 256, (2, 1, 16), dtype=torch.uint8)
    torch.testing.assert_close(
        uc.project(signal, values, "0", 0).activation, uc.project(signal, values / 255, "0", 0).activation
    )


def test_whole_numbers_of_no_known_white_are_refused() -> None:
    with pytest.raises(UnconvError, match="int64"):
        uc.project(network(), BYTES.long(), "3", 0)


def test_a_scan_brings_its_transform(tmp_path: Path) -> None:
    """Made with another size, kept in a file, read where nobody says the transform again."""
    small = Preprocess((14, 14), (14, 14), (0.5,) * 3, (0.2,) * 3)
    paths, module = files(tmp_path), network().module
    found = uc.scan(module, paths, "3", transform=small)
    found.save(tmp_path / "top.safetensors")
    kept = TopActivations.load(tmp_path / "top.safetensors")
    assert kept.unit("3", 1).project(module).windows.image_size == (14, 14)
    report = uc.see(module, paths, out=tmp_path / "out", scan=kept, fidelity=0, top_units=1)
    assert report.numbers["input_size"] == [3, 14, 14]
    with pytest.raises(UnconvError, match=r"its transform is .Preprocess.*; scan again, or give transform=Preprocess"):
        uc.see(module, paths, out=tmp_path / "two", scan=kept, transform=PREPARE)


def test_a_scan_and_a_report_of_tensors_fit(tmp_path: Path) -> None:
    model = network()
    found = uc.scan(model, NORMALISED, "3")
    assert uc.see(model, NORMALISED, out=tmp_path, scan=found, fidelity=0, top_units=1).layers == ("3",)


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_any_number_of_channels_is_shown(tmp_path: Path, channels: int) -> None:
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU()), torch.rand(2, channels, 16, 16)
    plain = uc.see(model, images, ["1"], tmp_path / "a", fidelity=0, top_units=1)
    assert any("the mean of the" in note for note in plain.numbers["notes"]) == (channels not in (1, 3))
    if channels > 3:
        bands = uc.see(model, images, ["1"], tmp_path / "b", fidelity=0, top_units=1, bands=[3, 2, 1])
        assert any("the channels 3, 2, 1 of" in note for note in bands.numbers["notes"])
        drawn = next((tmp_path / "b").rglob("*000-picture*"))
        pixels = np.asarray(PillowImage.open(drawn).convert("RGB"), dtype=np.float32) / 255
        shown = images[0, [3, 2, 1]].permute(1, 2, 0).numpy()
        assert np.abs(pixels - shown).mean() < 0.02


@pytest.mark.parametrize("bands", [[4, 0, 1], [0, 1], [], [-1]])
def test_impossible_bands_are_refused(tmp_path: Path, bands: list[int]) -> None:
    with pytest.raises(UnconvError, match="one or three channels of 0 to 3"):
        uc.see(nn.Sequential(nn.Conv2d(4, 4, 3)), torch.rand(1, 4, 9, 9), ["0"], tmp_path, bands=bands)


def test_normalised_tensors_of_a_bare_network_are_shown_stretched(tmp_path: Path) -> None:
    report = uc.see(network().module, NORMALISED[:1], ["3"], tmp_path, fidelity=0, top_units=1)
    assert any("shown stretched" in note for note in report.numbers["pictures"][0]["notes"])
    assert any("what they were normalised with is not known" in note for note in report.numbers["notes"])
