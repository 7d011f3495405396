"""The places of a unit: what a scan has found goes on to patches, projections and a figure."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import load_model
from unconv.visualize.reverse.project import project
from unconv.visualize.scan.scan import scan
from unconv.visualize.scan.top_activations import TopActivations


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3, padding=1)).eval()


IMAGES = torch.rand(20, 3, 48, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found(model: nn.Module) -> TopActivations:
    return scan(model, IMAGES, ["1", "3"], top=9)


def test_places_are_those_of_the_scan(found: TopActivations) -> None:
    unit = found.unit("3", 2)
    assert unit.images == tuple(found.images["3"][2].tolist())
    assert unit.names == tuple(f"image {number}" for number in unit.images)
    assert torch.equal(unit.values, found.values["3"][2])
    assert unit.positions == tuple(map(tuple, found.positions["3"][2].tolist()))
    frame = unit.to_dataframe()
    assert list(frame.columns) == ["rank", "value", "image", "name", "position"]
    assert len(found.to_dataframe()) == 9 * (6 + 4)


def test_projections_are_those_of_whole_images(model: nn.Module, found: TopActivations) -> None:
    unit = found.unit("3", 2)
    sent = unit.project(model, IMAGES)
    assert sent.coverage.rule == "deconvnet"
    whole = project(model, IMAGES[list(unit.images)], "3", 2, unit.positions)
    for number in range(9):
        torch.testing.assert_close(sent.whole(number), whole.image[number], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(sent.activation, unit.values, atol=1e-4, rtol=1e-4)
    assert unit.project(model, IMAGES, rule="guided").coverage.rule == "guided"


def test_patches_are_receptive_fields(model: nn.Module, found: TopActivations) -> None:
    unit = found.unit("1", 3)
    for patch, image, (y, x) in zip(unit.patches(IMAGES, model=model), unit.images, unit.positions, strict=True):
        assert torch.equal(patch, IMAGES[image, :, y : y + 3, x : x + 3])
    edge = found.unit("3", 2)
    for patch, (y, x) in zip(edge.patches(IMAGES, model=model), edge.positions, strict=True):
        rows, columns = (len(range(max(0, 2 * (at - 1)), min(48, 2 * (at + 1) + 4))) for at in (y, x))
        assert patch.shape == (3, rows, columns)


def test_figure_has_nine_beside_nine(model: nn.Module, found: TopActivations) -> None:
    figure = found.unit("3", 2).plot(model, IMAGES)
    assert len(figure.axes) == 18
    assert figure.get_suptitle() == "Sequential, 3, unit 2: the 9 strongest of 20 images"
    assert [part.get_suptitle() for part in figure.subfigs] == [
        "patches, with the unit's value",
        "projections, deconvnet",
    ]


@pytest.mark.parametrize(
    ("layer", "unit", "told"),
    [
        ("4", 0, "scan: layer '4' is not in it; it holds 1, 3"),
        ("3", 4, "scan: unit 4 is not in layer '3', which has units 0 to 3"),
        ("3", -1, "scan: unit -1 is not in layer '3'"),
    ],
)
def test_what_is_not_there_is_one_line(found: TopActivations, layer: str, unit: int, told: str) -> None:
    with pytest.raises(UnconvError, match=told) as refusal:
        found.unit(layer, unit)
    assert "\n" not in str(refusal.value)


def test_other_models_and_images_are_refused(model: nn.Module, found: TopActivations) -> None:
    unit = replace(found.unit("3", 2), scanned=None)
    with pytest.raises(UnconvError, match=r"the scan was of a module, Sequential, .*; give it: unit\.plot\(model\)"):
        unit.project(images=IMAGES)
    with pytest.raises(UnconvError, match="where its images can be read again; give images="):
        unit.project(model)
    with pytest.raises(UnconvError, match="the scan was of 20 images, here are 19"):
        unit.project(model, IMAGES[:19])
    with pytest.raises(UnconvError, match="the weights or the pictures have changed since: scan again"):
        unit.project(model, 1 - IMAGES)
    with pytest.raises(UnconvError, match="the transform in the scan was none"):
        unit.project(model, IMAGES, transform=Preprocess(size=(48, 48), resize=(48, 48)))
    assert "Unit 2 of 3: its 9 strongest places in 20 images" in repr(unit)
    # No model to draw with: a notebook gets the table.
    assert "<img" not in unit._repr_html_()


def test_files_are_read_again_from_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8)).save(tmp_path / "pictures" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    found = scan("zfnet-28", "pictures", ["features.conv2"], top=3)
    monkeypatch.chdir("/")
    found = TopActivations.load(found.save(tmp_path / "top.safetensors"))
    unit = found.unit("features.conv2", 5)
    sent = unit.project()
    assert sent.image.shape[:2] == (3, 1)
    assert unit._repr_html_().startswith("<div><img")
    loaded = load_model("zfnet-28")
    given = unit.project(loaded, [tmp_path / "pictures" / f"{number}.png" for number in range(4)])
    assert torch.equal(sent.image, given.image)
    assert all(float(patch.min()) >= 0 and float(patch.max()) <= 1 for patch in unit.patches())
    # Random weights are drawn again, and are the same.
    drawn = scan(load_model("zfnet-28", random_weights=True), tmp_path / "pictures", "features.conv2", top=3)
    assert drawn.unit("features.conv2", 5).project().image.shape == sent.image.shape
    # Two scans together know the pictures of both.
    both = found.merge(found).unit("features.conv2", 5)
    assert both.project().activation[0] == both.project().activation[1] == sent.activation[0]
    (tmp_path / "pictures" / "1.png").rename(tmp_path / "pictures" / "9.png")
    with pytest.raises(UnconvError, match="give the same"):
        unit.project()
    with pytest.raises(UnconvError, match="the weights in the scan was"):
        replace(unit, about={**unit.about, "weights": "others"}).project()


def test_text_of_a_scan_is_short(found: TopActivations) -> None:
    assert repr(found).splitlines()[0] == "The 9 strongest places of every unit in 20 images"
    many = TopActivations.of({f"layer{n}": torch.rand(3, 5, 4, 4) for n in range(100)}, top=2)
    assert len(repr(many).splitlines()) <= 25
    assert "88 layers" in repr(many)


def test_a_bare_module_sees_files_as_everywhere_by_imagenet_s_transform(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3))
    random = np.random.default_rng(0)
    for number, size in enumerate([(240, 300), (512, 512), (97, 60)]):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    found = scan(model, tmp_path, "3", top=3)
    given = scan(model, tmp_path, "3", top=3, transform=Preprocess())
    assert torch.equal(found.values["3"], given.values["3"])
    assert found.about["preprocess"] == given.about["preprocess"] == repr(Preprocess())
    assert "ImageNet's at 224x224 assumed" in str(found)
    assert "assumed" not in str(given)
    unit = found.unit("3", 5)
    whole = project(model, sorted(tmp_path.iterdir()), "3", 5)
    assert any("ImageNet" in note for note in whole.notes)
    torch.testing.assert_close(unit.values, whole.activation.sort(descending=True).values)
    torch.testing.assert_close(unit.project(model).activation, unit.values)
    assert unit.patches(model=model)[0].amin() >= 0
    # Tensors, and what is no picture, go in as they are; nothing is assumed then.
    dataset = torch.utils.data.TensorDataset(torch.rand(3, 3, 30, 30))
    assert "assumed" not in str(scan(model, dataset, "3"))
    assert scan(model, torch.rand(2, 3, 30, 30), "3").about["preprocess"] == "none"
    signals = scan(nn.Sequential(nn.Conv1d(2, 3, 5)), torch.utils.data.TensorDataset(torch.rand(4, 2, 40)), "0")
    assert signals.about["preprocess"] == "none"


def test_right_after_a_scan_nothing_has_to_be_given_again(model: nn.Module, tmp_path: Path) -> None:
    model = copy.deepcopy(model)
    images = torch.rand(20, 3, 40, 44, generator=torch.Generator().manual_seed(3))
    dataset = torch.utils.data.TensorDataset(images)
    for given in (images, dataset, list(images)):
        found = scan(model, given, ["3"], top=3)
        unit = found.unit(model[3], 2)
        assert torch.equal(unit.project().image, unit.project(model, given).image)
        assert len(unit.patches()) == 3
        assert unit._repr_html_().startswith("<div><img")
    # What was saved, pickled or merged with another network's has forgotten the network.
    again = TopActivations.load(found.save(tmp_path / "top.safetensors"))
    for forgotten in (again, pickle.loads(pickle.dumps(found)), found.merge(again)):
        assert forgotten.scanned is None
        with pytest.raises(UnconvError, match=r"give it: unit\.plot\(model\)"):
            forgotten.unit("3", 2).project()
    both = found.merge(scan(model, images, ["3"], top=3)).unit("3", 2)
    with pytest.raises(UnconvError, match="give images=, the same"):
        both.project()
    # A stream is over.
    with pytest.raises(UnconvError, match="give images=, the same"):
        scan(model, iter(images), ["3"], top=3).unit("3", 2).project()
    with torch.no_grad():
        model[3].weight.mul_(3)
    with pytest.raises(UnconvError, match="have changed since: scan again"):
        unit.project()
