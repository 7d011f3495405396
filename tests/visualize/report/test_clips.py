"""Reports about videos and volumes: projections in all three axes, shown in a slice that is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from torch import nn
from torchvision.models.video import R3D_18_Weights

import unconv as uc
from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.visualize.display import show_projection


def volumes(channels: int = 1) -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv3d(channels, 6, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(6, 4, 3), nn.ReLU())
    return nn.Sequential(*layers).eval()


def clips(channels: int = 1, count: int = 2) -> torch.Tensor:
    return torch.rand(count, channels, 10, 20, 24, generator=torch.Generator().manual_seed(1))


def pixels(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(PillowImage.open(path))).permute(2, 0, 1).float() / 255


def units_of(report) -> list[dict]:
    return [unit for picture in report.numbers["pictures"] for layer in picture["layers"] for unit in layer["units"]]


@pytest.mark.parametrize("asked", [None, 0, 7])
def test_what_is_shown_is_the_projections_slice(asked: int | None, tmp_path: Path) -> None:
    model, images = volumes(3), clips(3, 1)
    report = uc.see(model, images, ["4"], tmp_path / "r", rule="guided", slice=asked, units=[0, 1, 2, 3], fidelity=0)
    assert units_of(report)
    for unit in units_of(report):
        whole = uc.project(model, images, "4", unit["unit"], tuple(unit["position"]), rule="guided").image[0]
        depth, rows, columns = (slice(*axis) for axis in unit["box"])
        energy = whole.square().sum((0, 2, 3))
        seen = range(*unit["box"][0])
        if unit["silent"]:
            assert not energy.any()
            continue
        wanted = int(energy.argmax()) if asked is None else min(seen, key=lambda one: abs(one - asked))
        assert unit["slice"] == wanted
        assert depth.start <= unit["slice"] < depth.stop
        drawn = pixels(tmp_path / "r" / unit["projection"])
        shown = show_projection(whole[:, unit["slice"], rows, columns])
        # Whole bytes; large ones are kept with losses.
        assert (drawn - shown).abs().mean() < 0.02
        patch = pixels(tmp_path / "r" / unit["patch"])
        assert (patch - images[0, :, unit["slice"], rows, columns]).abs().mean() < 0.05
    assert report.numbers["pictures"][0]["slice"] == (5 if asked is None else asked)


def test_a_collection_of_clips_tells_slices_too(tmp_path: Path) -> None:
    model, images = volumes(), clips(count=4)
    report = uc.see(model, images, out=tmp_path / "r", fidelity=1, formats=("html", "png"))
    (first, *_), page = report.numbers["collection"]["layers"], report.path.read_text()
    places = [place for unit in first["units"] for place in unit["places"]]
    assert all(place["box"][0][0] <= place["slice"] < place["box"][0][1] for place in places)
    assert len(places[0]["position"]) == 3
    assert "of 10 slices one is shown" in page
    assert f"slice {units_of(report)[0]['slice']}" in page
    assert first["units"][0]["fidelity"]["verdict"]


def test_pictures_have_no_slices(tmp_path: Path) -> None:
    report = uc.see(nn.Sequential(nn.Conv2d(3, 4, 3)), torch.rand(2, 3, 9, 9), ["0"], tmp_path / "r", fidelity=0)
    assert '"slice"' not in (tmp_path / "r" / "report.json").read_text()
    assert "slice" not in " ".join(report.numbers["notes"])


@pytest.mark.parametrize(
    ("model", "images", "options", "line"),
    [
        (volumes(), clips(), {"slice": 10}, "slice 10; the network is given slices 0 to 9"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), torch.rand(1, 3, 9, 9), {"slice": 0}, "which have no slices"),
        (volumes(), torch.rand(2, 3, 10, 20, 24), {}, "expected input"),
        (volumes(), torch.rand(20, 24), {}, "of networks of three axes clips"),
        (nn.Sequential(nn.Conv1d(2, 4, 3)), torch.rand(1, 2, 50), {}, "project and scan take signals too"),
        (volumes(), "nowhere.gif", {}, "nowhere.gif: no such file or folder"),
    ],
)
def test_what_cannot_be_shown_is_one_line(model, images, options, line: str, tmp_path: Path) -> None:
    with pytest.raises(UnconvError, match=line) as refusal:
        uc.see(model, images, out=tmp_path / "r", **options)
    assert "\n" not in str(refusal.value)


def test_clips_of_files_are_seen_as_tensors_are(tmp_path: Path) -> None:
    model, images = volumes(), clips()
    for number, clip in enumerate(images):
        np.save(tmp_path / f"{number}.npy", clip[0].numpy())
    (tmp_path / "torn.npy").write_bytes(b"torn")
    options = {"layers": ["4"], "fidelity": 0}
    here = uc.see(model, tmp_path, out=tmp_path / "a", **options)
    there = uc.see(model, images, out=tmp_path / "b", **options)
    assert units_of(here) == units_of(there)
    assert [one.name for one in here.skipped] == ["torn.npy"]
    found = uc.scan(model, tmp_path / "0.npy", ["4"])
    again = uc.see(model, tmp_path / "0.npy", ["4"], tmp_path / "c", scan=found, fidelity=0)
    assert again.numbers["collection"]["used"] == 1
    assert torch.equal(uc.project(model, tmp_path / "1.npy", "4", 2).image, uc.project(model, images[1:], "4", 2).image)


def test_a_video_networks_transform_equals_torchvisions() -> None:
    clip = torch.rand(3, 18, 140, 180)
    transform = R3D_18_Weights.DEFAULT.transforms()
    loaded = uc.load_model("torchvision:r3d_18", random_weights=True)
    assert loaded.input_size == (3, 16, 112, 112)
    expected = transform(clip[:, 1:17].transpose(0, 1))
    torch.testing.assert_close(loaded.preprocess(clip)[0], expected, atol=1e-5, rtol=1e-5)
    ours = uc.load_model("torchvision:r3d_18", random_weights=True, transform=transform)
    torch.testing.assert_close(ours.preprocess(clip[:, 1:17])[0], expected, atol=1e-5, rtol=1e-5)


def test_clips_are_cut_to_the_middle_frames_and_refused_where_they_are_too_short() -> None:
    preprocess = Preprocess((4, 8, 8), (8, 8), (0.0,), (1.0,))
    clip = torch.arange(7.0).reshape(1, 7, 1, 1).expand(1, 7, 8, 8) / 10
    assert (preprocess(clip)[0, 0, :, 0, 0] * 10).round().tolist() == [1, 2, 3, 4]
    with pytest.raises(UnconvError, match="a clip of 3 frames, and the network is given 4"):
        preprocess(clip[:, :3])
    with pytest.raises(UnconvError, match=r"\(1 or 3, frames, height, width\)"):
        preprocess(clip[:, 0])
    assert Preprocess().changed(size=(16, 112, 112)).resize == (128, 128)
    assert preprocess.changed(size=(6, 6)).size == (4, 6, 6)
