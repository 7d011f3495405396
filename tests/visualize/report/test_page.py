"""The units of a network over a collection of pictures: every number of the report against brute force."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import unconv as uc
from unconv.data.images import save_image
from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.visualize.display import show_projection

SMALL = Preprocess(size=(32, 48), resize=(32, 48), fit="stretch")
COUNT, TOP = 20, 9


def network(seed: int = 0) -> nn.Sequential:
    """Two convolutions; unit 2 of the first is dead, and units 1 and 4 say the same."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    )
    with torch.no_grad():
        model[0].weight[2], model[0].bias[2] = 0, -1
        model[0].weight[4], model[0].bias[4] = 2 * model[0].weight[1], 2 * model[0].bias[1]
    return model


def loaded(module: nn.Module, weights: str = "random, for a test") -> LoadedModel:
    return LoadedModel("tiny", module, SMALL, ("cat", "<dog>", "bird"), weights)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in two classes, whose names are markup."""
    generator = torch.Generator().manual_seed(3)
    for number in range(COUNT):
        place = tmp_path / "pictures" / ("<i>cats&" if number % 2 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        save_image(torch.rand(3, 32, 48, generator=generator), place / f"{number:02d}<img src=x>.png")
    (tmp_path / "pictures" / "dogs" / "torn.png").write_bytes(b"\x89PNG")
    return tmp_path / "pictures"


def prepared(folder: Path) -> tuple[list[str], Tensor, Tensor]:
    """Names, pictures and what the network is given, in the order of the report's numbers."""
    found = uc.read_images(folder)
    pictures = torch.stack([SMALL.picture(image.tensor) for image in found])
    return [image.name for image in found], pictures, SMALL.normalise(pictures)


def maps_of(model: nn.Sequential, images: Tensor, layer: str) -> Tensor:
    with torch.no_grad():
        return model[: int(layer) + 1](images)


def test_every_number_equals_brute_force(folder: Path, tmp_path: Path) -> None:
    model = network()
    report = uc.see(loaded(model), folder, ["1", "4"], tmp_path / "out", rule="guided", units="all")
    numbers = json.loads((tmp_path / "out" / "report.json").read_text())["collection"]
    names, _, images = prepared(folder)
    assert (numbers["pictures"], numbers["used"], numbers["sample"]) == (COUNT + 1, COUNT, COUNT)
    assert [Path(item.name).name for item in report.skipped] == ["torn.png"]
    assert [layer["layer"] for layer in numbers["layers"]] == ["1", "4"]
    for layer in numbers["layers"]:
        maps = maps_of(model, images, layer["layer"])
        peaks = maps.amax((2, 3))
        assert [unit["unit"] for unit in layer["units"]] == list(range(maps.shape[1]))
        assert layer["dead"] == [unit for unit in range(maps.shape[1]) if not (maps[:, unit] > 0).any()]
        for unit in layer["units"]:
            column = peaks[:, unit["unit"]]
            assert unit["dead"] == (unit["unit"] in layer["dead"])
            assert sum(unit["histogram"]["counts"]) == COUNT
            assert unit["histogram"]["active"] == int((column > 0).sum())
            order = sorted(range(COUNT), key=lambda image: (-column[image].item(), image))[:TOP]
            told = [numbers["images"][str(place["image"])]["name"] for place in unit["places"]]
            assert told == [names[image] for image in order]
            for place, image in zip(unit["places"], order, strict=True):
                assert place["activation"] == pytest.approx(column[image].item(), rel=1e-5, abs=1e-7)
                best = np.unravel_index(int(maps[image, unit["unit"]].argmax()), maps.shape[2:])
                assert tuple(place["position"]) == tuple(int(axis) for axis in best)
                assert place["box"] == seen_by(model, images[image], layer["layer"], unit["unit"], best)


def seen_by(model: nn.Sequential, image: Tensor, layer: str, unit: int, position: Any) -> list[list[int]]:
    """The pixels on which a linear twin of the network depends at a position: its field, by derivative."""
    del unit
    linear = nn.Sequential()
    for part in model[: int(layer) + 1]:
        if isinstance(part, nn.Conv2d):
            twin = nn.Conv2d(part.in_channels, part.out_channels, 3, padding=1, bias=False)
            nn.init.ones_(twin.weight)
            linear.append(twin)
        elif isinstance(part, nn.MaxPool2d):
            linear.append(nn.AvgPool2d(2))
    x = image[None].clone().requires_grad_()
    (back,) = torch.autograd.grad(linear(x)[0, 0][tuple(position)], x)
    used = back[0].abs().sum(0) > 0
    rows, columns = used.any(1).nonzero().flatten(), used.any(0).nonzero().flatten()
    return [[int(rows[0]), int(rows[-1]) + 1], [int(columns[0]), int(columns[-1]) + 1]]


def test_redundant_units_name_each_other(folder: Path, tmp_path: Path) -> None:
    report = uc.see(loaded(network()), folder, ["1"], tmp_path / "out", units="all")
    (layer,) = report.numbers["collection"]["layers"]
    like = {unit["unit"]: unit["redundant"] for unit in layer["units"]}
    assert [twin["unit"] for twin in like[1]] == [4]
    assert [twin["unit"] for twin in like[4]] == [1]
    assert (like[1][0]["correlation"], like[1][0]["shared"]) == (pytest.approx(1), TOP)
    assert layer["redundant"] == [1, 4]
    assert not like[2]


def test_sprites_hold_the_right_pixels(folder: Path, tmp_path: Path) -> None:
    model = network()
    report = uc.see(loaded(model), folder, ["4"], tmp_path / "out", rule="gradient", top_units=3)
    collection = report.numbers["collection"]
    (layer,) = collection["layers"]
    names, pictures, images = prepared(folder)
    height, width = layer["tile"]
    assert layer["coarse"]
    assert (height, width) == (2 * 8, 2 * 8)
    for kind in ("patches", "projections"):
        sheet = np.asarray(Image.open(tmp_path / "out" / layer["sheets"][kind][0]["image"])).astype(float) / 255
        checked = 0
        for unit in layer["units"]:
            for rank, place in enumerate(unit["places"]):
                (top, bottom), (left, right) = place["box"]
                if (bottom - top, right - left) != (8, 8):
                    continue
                image = names.index(collection["images"][str(place["image"])]["name"])
                signal = uc.project(model, images[image][None], "4", unit["unit"], place["position"], "gradient").image[
                    0
                ]
                inside = signal[:, top:bottom, left:right]
                expected = pictures[image][:, top:bottom, left:right] if kind == "patches" else show_projection(inside)
                down = (unit["row"] * collection["side"] + rank // 3) * height
                across = (unit["column"] * collection["side"] + rank % 3) * width
                tile = sheet[down : down + height : 2, across : across + width : 2].transpose(2, 0, 1)
                assert np.allclose(tile, expected.detach().numpy(), atol=1.01 / 255)
                checked += 1
        assert checked > TOP


def test_names_are_text_and_the_page_fetches_nothing(folder: Path, tmp_path: Path) -> None:
    report = uc.see(loaded(network()), folder, out=tmp_path / "out")
    text = report.path.read_text()
    assert not re.search(r"https?://", text)
    assert "<img src=x>" not in text
    assert "<i>cats" not in text
    assert html.escape("dogs/torn.png") in text
    inlined = re.search(r'<script type="application/json" id="numbers">(.*?)</script>', text, re.S)
    assert inlined is not None
    (part,) = json.loads(inlined[1])["parts"]
    assert {row["label"] for row in part["images"].values()} == {"<i>cats&", "dogs"}
    assert any("<img src=x>" in row["name"] for row in part["images"].values())
    sheets = [*part["thumbnails"], *part["first_layer"]["sheets"]]
    sheets += [sheet for layer in part["layers"] for kind in layer["sheets"].values() for sheet in kind]
    assert all((tmp_path / "out" / sheet["image"]).is_file() for sheet in sheets)


def test_a_single_file_holds_its_pictures(folder: Path, tmp_path: Path) -> None:
    report = uc.see(loaded(network()), folder, ["4"], tmp_path / "out", top_units=2, single_file=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "report.json", ".unconv.json"}
    text = report.path.read_text()
    pictures = re.findall(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]+)", text)
    assert len(pictures) == 4  # patches, projections, thumbnails, filters: each once
    assert all(base64.b64decode(picture) for picture in pictures)
    assert "base64" not in (tmp_path / "out" / "report.json").read_text()


def test_a_single_file_that_would_be_too_large_is_refused_before_the_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unconv.visualize.report.collection_report.MOST_BYTES", 10_000)
    with pytest.raises(UnconvError, match=r"single file: 2 units would make a page of about \d+ MB; show fewer"):
        uc.see(loaded(network()), folder, ["4"], tmp_path / "out", top_units=2, single_file=True)


def test_formats_are_written(folder: Path, tmp_path: Path) -> None:
    report = uc.see(loaded(network()), folder, ["1", "4"], tmp_path / "out", top_units=2, formats=("png", "pdf"))
    out = tmp_path / "out"
    assert set(report.files) == {out / "sheets" / "1-0.png", out / "sheets" / "4-0.png", out / "report.pdf"}
    assert not (out / "index.html").exists()
    assert (out / "report.json").is_file()
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (out / "report.pdf").read_bytes().count(b"/Type /Page\n") == 2
    with Image.open(out / "sheets" / "4-0.png") as sheet:
        assert min(sheet.size) > 3 * 64


def test_a_finished_scan_gives_the_same_report(folder: Path, tmp_path: Path) -> None:
    model = loaded(network())
    path = uc.scan(model, folder, ["1", "4"], top=12).save(tmp_path / "top.safetensors")
    before, modes = [len(part._forward_hooks) for part in model.module.modules()], model.module.training
    alone = uc.see(model, folder, ["1", "4"], tmp_path / "one", top_units=3)
    given = uc.see(model, folder, None, tmp_path / "two", top_units=3, scan=path)
    assert given.layers == ("1", "4")
    assert given.numbers["collection"] == alone.numbers["collection"]
    assert ([len(part._forward_hooks) for part in model.module.modules()], model.module.training) == (before, modes)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"model": "weights"}, r"scan: its weights is 'random, for a test', here it is 'others'"),
        ({"model": "changed"}, r"scan: unit \d+ of layer '4' is \S+ in it and \S+ here; the weights or the pictures"),
        ({"layers": ["0"]}, r"scan: layer '0' is not in it; it holds 4; scan with layers=\['0'\]"),
        ({"top": 10}, r"scan: it holds 9 places of each unit, 10 are asked for; scan with top=10"),
        ({"images": "fewer"}, r"scan: it is of 21 pictures, here are 20"),
        ({"images": "renamed"}, r"scan: its picture \d+ is '\S+.*', here it is "),
        ({"scan": "text"}, r"top activations .* cannot be read"),
    ],
)
def test_a_scan_of_something_else_is_refused_in_one_line(
    folder: Path, tmp_path: Path, change: dict[str, Any], line: str
) -> None:
    model = network()
    found: Any = uc.scan(loaded(model), folder, ["4"])
    subject, layers, top = loaded(model), change.get("layers"), change.get("top", 9)
    if change.get("model") == "weights":
        subject = loaded(model, "others")
    elif change.get("model") == "changed":
        subject = loaded(network(1))
    first = sorted((folder / "<i>cats&").iterdir())[0]
    if change.get("images") == "fewer":
        first.unlink()
    elif change.get("images") == "renamed":
        for path in sorted((folder / "<i>cats&").iterdir()):
            path.rename(path.with_name("x" + path.name))
    if "scan" in change:
        found = tmp_path / "top.safetensors"
        found.write_text("no scan")
    with pytest.raises(UnconvError, match=line) as refusal:
        uc.see(subject, folder, layers, tmp_path / "out", scan=found, top=top)
    assert "\n" not in str(refusal.value)


def permuted(model: nn.Sequential, order: list[int]) -> nn.Sequential:
    """The same function with the first layer's units in another order."""
    other = network()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other[0].weight.copy_(model[0].weight[order])
        other[0].bias.copy_(model[0].bias[order])
        other[3].weight.copy_(model[3].weight[:, order])
    return other


def test_a_permuted_copy_matches_in_every_unit(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    model = network()
    with torch.no_grad():
        # No two alike, none dead: the match is one to one.
        model[0].weight.normal_()
        model[0].bias.zero_()
    order = [3, 5, 0, 1, 4, 2]
    report = uc.see(
        loaded(model), folder, ["1", "4"], tmp_path / "out", units="all", compare=loaded(permuted(model, order))
    )
    first, second = report.numbers["compare"]["layers"]
    assert {pair["unit"]: pair["other"] for pair in first["pairs"]} == {unit: order.index(unit) for unit in range(6)}
    assert {pair["verdict"] for pair in first["pairs"] + second["pairs"]} == {"same"}
    assert all(pair["unit"] == pair["other"] for pair in second["pairs"])
    assert not first["died"] + first["born"] + second["died"] + second["born"]
    shown = {unit["unit"]: unit["counterpart"]["unit"] for unit in report.numbers["collection"]["layers"][0]["units"]}
    assert shown == {unit: order.index(unit) for unit in range(6)}
    assert "Compared with tiny" in report.path.read_text()


def test_units_that_go_and_come_are_told(folder: Path, tmp_path: Path) -> None:
    model, other = network(), network()
    with torch.no_grad():
        for each in (model, other):
            each[0].weight.normal_(generator=torch.Generator().manual_seed(1))
            each[0].bias.zero_()
        model[0].weight[3], model[0].bias[3] = 0, -1
        other[0].weight[5], other[0].bias[5] = 0, -1
    report = uc.see(loaded(model), folder, ["1"], tmp_path / "out", units="all", compare=loaded(other))
    (layer,) = report.numbers["compare"]["layers"]
    assert (layer["died"], layer["born"]) == ([5], [3])
    assert {pair["unit"]: pair["other"] for pair in layer["pairs"]} == {unit: unit for unit in (0, 1, 2, 4)}
    verdicts = {
        unit["unit"]: unit["counterpart"]["verdict"] for unit in report.numbers["collection"]["layers"][0]["units"]
    }
    assert verdicts == {0: "same", 1: "same", 2: "same", 3: "dead", 4: "same", 5: "died"}


def test_first_layer_is_drawn_with_its_figures(folder: Path, tmp_path: Path) -> None:
    model = network()
    report = uc.see(loaded(model), folder, ["0"], tmp_path / "out")
    first = report.numbers["collection"]["first_layer"]
    assert (first["layer"], first["watched"], first["dead"]) == ("0", True, [2])
    sheet = np.asarray(Image.open(tmp_path / "out" / first["sheets"][0]["image"])).astype(float) / 255
    side = first["tile"][0]
    for row in first["filters"]:
        weight = model[0].weight[row["filter"]].detach()
        assert row["norm"] == pytest.approx(float(weight.norm()), rel=1e-5)
        shown = 0.5 + weight / (2 * weight.abs().max().clamp(min=1e-9))
        tile = sheet[row["row"] * side : (row["row"] + 1) * side, row["column"] * side : (row["column"] + 1) * side]
        assert np.allclose(tile[:: side // 3, :: side // 3][:3, :3].transpose(2, 0, 1), shown.numpy(), atol=1.01 / 255)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"units": "some"}, r"units: 'some' is no choice; give indices, as"),
        ({"units": [9]}, r"units: 9 is not in layer '4', which has units 0 to 7"),
        ({"units": []}, r"units: an empty list was given"),
        ({"top": 0}, r"top: 0 places of each unit"),
        ({"formats": ("gif",)}, r"format: 'gif' is not one of html, png, pdf"),
        ({"formats": ()}, r"format: an empty list was given"),
        (
            {"images": torch.utils.data.DataLoader(torch.rand(4, 3, 32, 48), shuffle=True)},
            r"a loader that shuf",
        ),
    ],
)
def test_choices_that_are_not_there_are_refused_in_one_line(
    folder: Path, tmp_path: Path, arguments: dict[str, Any], line: str
) -> None:
    given = {"model": loaded(network()), "images": folder, "layers": ["4"], "out": tmp_path / "out"}
    with pytest.raises(UnconvError, match=line) as refusal:
        uc.see(**(given | arguments))
    assert "\n" not in str(refusal.value)


def test_layers_of_tokens_say_which_are_left_out(tmp_path: Path) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.norm = nn.Conv2d(3, 8, 4, stride=4), nn.LayerNorm(8)
            self.first = nn.Parameter(torch.rand(1, 1, 8))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            places = self.patches(images).flatten(2).transpose(1, 2)
            return self.norm(torch.cat([self.first.expand(len(images), -1, -1), places], 1))

    images, line = torch.rand(2, 3, 16, 24), "units along the last axis; tokens without a place left out"
    report = uc.see(Tokens(), images, ["patches", "norm"], tmp_path / "r", fidelity=0)
    for layers in (report.numbers["collection"]["layers"], *(one["layers"] for one in report.numbers["pictures"])):
        assert [layer["axes"] for layer in layers] == ["", line]
        assert layers[1]["size"] == [4, 6]
    # Once over the collection, and once in each picture.
    assert report.path.read_text().count(f"· {line}<") == 3
    assert uc.scan(Tokens(), images, ["norm"]).about["notes"] == [f"norm: {line}"]
