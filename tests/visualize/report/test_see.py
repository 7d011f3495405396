"""The whole job: a page with every picture that could be used, and a list of the others."""

from __future__ import annotations

import hashlib
import html
import importlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unconv as uc
from unconv.data.images import save_image
from unconv.errors import ImageError, ModelError, UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel

SMALL = Preprocess(size=(32, 48), resize=(32, 48))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    )


def loaded(module: nn.Module) -> LoadedModel:
    return LoadedModel("tiny", module, SMALL, ("cat", "<dog>", "bird"), "random, for a test", ("assumed",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    save_image(torch.rand(3, 40, 60), pictures / "a.png")
    save_image(torch.rand(1, 70, 50), pictures / "<b onload=alert(1)>&.png")
    (pictures / "cut.png").write_bytes((pictures / "a.png").read_bytes()[:200])
    (pictures / "notes.txt").write_text("no picture")
    return pictures


class Page(HTMLParser):
    """Tags and what they link to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href") and value]


@pytest.mark.parametrize("single_file", [False, True])
def test_report_holds_every_readable_picture(folder: Path, tmp_path: Path, single_file: bool) -> None:
    report = uc.see(loaded(network()), folder, out=tmp_path / "out", top_units=2, single_file=single_file)
    assert report.path == tmp_path / "out" / "index.html"
    assert sorted(report.pictures) == ["<b onload=alert(1)>&.png", "a.png"]
    assert {item.name for item in report.skipped} == {"cut.png", "notes.txt"}
    assert (report.rule, report.layers) == ("deconvnet", ("1", "4"))
    text = report.path.read_text()
    page = Page(text)
    # Names of files and classes are text: the only <b> are the page's own.
    assert page.tags.count("b") == text.count("<b>unit") > 0
    assert html.escape("<b onload=alert(1)>&.png") in text
    assert "&lt;dog&gt;" in text
    assert "2 of 2 rectifiers reversed (relu ×2); 1 max-pooling unpooled with its switches" in text
    assert not re.search(r"https?://", text)
    files = [source for source in page.sources if not source.startswith(("#", "data:"))]
    assert bool(files) != single_file
    assert all((tmp_path / "out" / source).is_file() for source in files)
    assert (tmp_path / "out" / "images").exists() != single_file


def test_json_holds_what_the_page_shows(folder: Path, tmp_path: Path) -> None:
    model = network()
    report = uc.see(loaded(model), folder, ["4"], tmp_path, rule="guided", top_units=3)
    numbers = json.loads((tmp_path / "report.json").read_text())
    assert numbers["rule"] == "guided"
    assert [item["reason"] for item in numbers["skipped"]] == [item.reason for item in report.skipped]
    assert len(numbers["pictures"]) == 2
    for picture in numbers["pictures"]:
        image = SMALL(uc.read_images(folder / picture["name"])[0].tensor)
        (layer,) = picture["layers"]
        assert layer["coverage"]["reversed"] == layer["coverage"]["total"] == 2
        assert [unit["activation"] for unit in layer["units"]] == sorted(
            (unit["activation"] for unit in layer["units"]), reverse=True
        )
        for unit in layer["units"]:
            alone = uc.project(model, image, "4", unit["unit"], rule="guided")
            assert alone.position == (tuple(unit["position"]),)
            assert alone.activation.item() == pytest.approx(unit["activation"])
            shown = f"<b>unit {unit['unit']}</b> · {unit['activation']:.4g} at"
            assert shown in report.path.read_text()


class Recorded:
    """A progress that keeps what it is told: by start the total, how many were counted, and the texts."""

    def __init__(self) -> None:
        self.counted: list[tuple[int | None, int, list[str]]] = []
        self.open = 0

    def __enter__(self) -> Recorded:
        assert self.open == 0
        self.open += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.open -= 1

    def start(self, total: int | None, text: str = "") -> None:
        assert self.open == 1
        self.counted.append((total, 0, [text] if text else []))

    def advance(self, count: int = 1, text: str | None = None) -> None:
        total, done, texts = self.counted[-1]
        self.counted[-1] = (total, done + count, [*texts, *([text] if text else [])])


def test_a_picture_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: Tensor) -> Tensor:
            if x.max() > 2:
                raise RuntimeError("too bright\nsecond line")
            return self.inner(x)

    images = [torch.zeros(3, 20, 20), torch.ones(3, 20, 20), torch.zeros(1, 30, 20)]
    progress = Recorded()
    report = uc.see(Picky(), images, out=tmp_path, transform=SMALL, progress=progress)
    assert report.pictures == ("image 0", "image 2")
    (skipped,) = report.skipped
    assert skipped.name == "image 1"
    assert re.fullmatch(r"forward: Picky fails on images of shape 1×3×32×48, torch.float32: too bright", skipped.reason)
    # The network, the pictures, the batches of the scan, the units: each counted to its end.
    assert [(total, done) for total, done, _ in progress.counted] == [(None, 0), (3, 3), (1, 1), (14, 14)]
    assert progress.counted[1][2] == ["pictures", "image 0", "image 1", "image 2"]
    assert progress.open == 0
    assert report.numbers["collection"]["used"] == 2


NAMES = ("scan 3: torn.png", "two\nlines.png", "a: b: c.png", os.fsdecode(b"caf\xe9.png"))


@pytest.mark.parametrize(("count", "scanned"), [(2, False), (13, False), (13, True)])
def test_a_skipped_file_keeps_its_name_and_its_reason_whatever_the_name(
    tmp_path: Path, count: int, scanned: bool
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(count):
        save_image(torch.rand(3, 32, 48), pictures / f"{number}: {NAMES[number % len(NAMES)]}")
    for name in NAMES:
        (pictures / name).write_bytes(b"")
    model = loaded(network())
    scan = uc.scan(model, pictures, ["4"]).save(tmp_path / "top.safetensors") if scanned else None
    report = uc.see(model, pictures, ["4"], tmp_path / "out", top_units=1, fidelity=0, scan=scan)
    assert {item.name for item in report.skipped} == set(NAMES)
    expected = {str(pictures / name): "empty file (0 bytes)" for name in NAMES}
    assert {str(item.path): item.reason for item in report.skipped} == expected
    numbers = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {row["name"]: row["reason"] for row in numbers["skipped"]} == expected
    text = report.path.read_text()
    for name in (*expected, *report.pictures):
        assert html.escape(name).encode(errors="backslashreplace").decode() in text


@pytest.mark.parametrize(
    ("arguments", "error", "line"),
    [
        ({"layers": ["44"]}, ModelError, r"layer '44': Sequential has no layer of that name; the nearest names are 4"),
        ({"layers": []}, UnconvError, r"layers: an empty list was given"),
        ({"layers": ["6"]}, ModelError, r"layer '6': returns shape \(1, 8\), not feature maps"),
        ({"top_units": 0}, UnconvError, r"units: 0 units of each layer"),
        ({"rule": "lrp"}, UnconvError, r"rule: 'lrp' is not one of auto, deconvnet, guided, gradient"),
        ({"images": "nowhere"}, ImageError, r"no picture could be used: nowhere: no such file or folder"),
        ({"images": []}, ImageError, r"no picture could be used: none given"),
    ],
)
def test_bad_input_ends_in_one_line(
    tmp_path: Path, arguments: dict[str, object], error: type[Exception], line: str
) -> None:
    given = {"model": network(), "images": torch.rand(1, 3, 30, 30), "transform": SMALL, "out": tmp_path / "out"}
    with pytest.raises(error, match=line) as refusal:
        uc.see(**(given | arguments))
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out" / "index.html").exists()


def test_weights_that_are_not_numbers_are_refused_before_any_picture(tmp_path: Path) -> None:
    model = network()
    nn.init.constant_(model[3].bias, float("nan"))
    with pytest.raises(ModelError, match=r"weights are not finite: 3.bias has 8 NaN"):
        uc.see(model, "nowhere", out=tmp_path, transform=SMALL)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UnconvError, match="is a file; name a folder"):
        uc.see(network(), torch.rand(1, 3, 30, 30), out=tmp_path / "out", transform=SMALL)
    assert (tmp_path / "out").read_text() == "mine"


def contents(folder: Path) -> dict[str, str]:
    """What a folder holds, with a hash for each file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "/"
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("step", ["picture_rows", "report_collection", "page_row", "write_report"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, RuntimeError])
def test_a_report_that_fails_midway_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: type[BaseException]
) -> None:
    out = tmp_path / "out"
    uc.see(network(), torch.rand(2, 3, 30, 30), ["0"], out, transform=SMALL, fidelity=0, top_units=1)
    (out / "images" / "mine.png").write_text("mine")
    before = contents(out)
    module = importlib.import_module("unconv.visualize.report.see")
    work = getattr(module, step)

    def fail(*arguments: Any, **named: Any) -> None:
        work(*arguments, **named)
        raise error("midway")

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(UnconvError if error is OSError else error, match="midway"):
        uc.see(network(), torch.rand(3, 3, 30, 30), ["3"], out, transform=SMALL, fidelity=0, top_units=2, force=True)
    assert contents(out) == before


@pytest.mark.parametrize("given", ["out", "out/images", "out/images/a.png", ".", "link"])
def test_pictures_that_are_read_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out/images").mkdir(parents=True)
    save_image(torch.rand(3, 30, 30), Path("out/images/a.png"))
    Path("link").symlink_to("out/images")
    before = contents(tmp_path)
    for images in (given, Path(given), [torch.rand(3, 30, 30), [given]]):
        with pytest.raises(UnconvError, match=r"^report out: (is read|would replace what is read)") as refused:
            uc.see(network(), images, out="out", transform=SMALL, force=True)
        assert "\n" not in str(refused.value)
    assert contents(tmp_path) == before


def test_grey_and_double_precision_networks(tmp_path: Path) -> None:
    grey = Preprocess(size=(24, 24), resize=(24, 24), mean=(0.5,), std=(0.5,))
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU6(), nn.Conv2d(4, 4, 3), nn.ReLU()).double()
    report = uc.see(model, torch.rand(2, 3, 30, 30), out=tmp_path, transform=grey)
    assert (report.rule, len(report.pictures)) == ("guided", 2)


def test_a_compiled_model_is_looked_into_as_what_it_was_made_from(folder: Path, tmp_path: Path) -> None:
    plain = uc.see(network(), folder / "a.png", out=tmp_path / "plain", transform=SMALL)
    compiled = uc.see(torch.compile(network()), folder / "a.png", out=tmp_path / "compiled", transform=SMALL)
    assert compiled.layers == plain.layers
    assert compiled.numbers["pictures"] == plain.numbers["pictures"]
