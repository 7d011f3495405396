"""``unconv experiment`` as people type it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.errors import MissingExtraError, UnconvError

NET = """
from torch import nn
def build():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4),
    )
"""
MODEL = "net.py:build"
SMALL = ("--size", "32")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    rng = np.random.default_rng(0)
    for folder in ("photos/a", "photos/b"):
        Path(folder).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(f"{folder}/{number}.png")
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["experiment", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def told_by(*arguments: object) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json"))


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_occlusion(place: Path, suffix: str) -> None:
    arguments = ("occlusion", MODEL, "photos/a/0.png", *SMALL, "--square", 10, "--stride", 6, "--target", 2)
    told = run(*arguments, "-o", f"map.{suffix}")
    assert told.startswith("class 2: ")
    assert (place / f"map.{suffix}").stat().st_size > 5000


def test_occlusion_as_json(place: Path) -> None:  # noqa: ARG001
    told = told_by("occlusion", MODEL, "photos/a/0.png", *SMALL, "--square", 10, "--stride", 6)
    grid = (len(told["rows"]), len(told["columns"]))
    for name in ("probability", "score", "activation", "label"):
        assert np.shape(told[name]) == grid
    assert told["layer"] == "4"
    assert told["target"] == told["clean_label"]
    assert told["output"].startswith("softmax of the 4 outputs")


@pytest.mark.parametrize("word", ["score", "sigmoid"])
def test_outputs_are_read_as_told(place: Path, word: str) -> None:  # noqa: ARG001
    arguments = (MODEL, "photos/a/0.png", *SMALL, "--output", word)
    told = told_by("occlusion", *arguments, "--square", 10, "--stride", 10)
    assert told["output"].startswith(word)
    assert (told["clean_probability"] is None) == (word == "score")
    assert f"outputs read as {word}" in run("occlusion", *arguments, "--square", 10, "--stride", 10, "-o", "map.png")
    curves = ("invariance", *arguments, "--values", "0,4")
    assert told_by(*curves)["output"].startswith(word)
    assert f"outputs read as {word}" in run(*curves, "-o", "curves.png")


def test_classes_come_from_a_file(place: Path) -> None:
    (place / "names.txt").write_text("ant\nbee\ncow\ndog\n")
    arguments = ("occlusion", MODEL, "photos/a/0.png", *SMALL, "--square", 16, "--stride", 16, "--classes", "names.txt")
    told = told_by(*arguments, "--target", "cow")
    assert (told["target"], told["target_name"]) == (2, "cow")


def test_correspondence(place: Path) -> None:
    boxes = {"eye": {f"{number}.png": [4, 6, 8, 8] for number in range(3)}}
    (place / "parts.json").write_text(json.dumps(boxes))
    arguments = ("correspondence", MODEL, "photos/a", *SMALL, "--parts", "parts.json", "--layers", "1,4")
    assert "eye 0." in run(*arguments, "-o", "bars.png")
    told = told_by(*arguments, "--draws", 3)
    assert set(told["layers"]) == {"1", "4"}
    assert set(told["layers"]["1"]) == {"eye", "random"}
    assert (place / "bars.png").is_file()


@pytest.mark.parametrize("transform", ["translation", "scale", "rotation"])
def test_invariance(place: Path, transform: str) -> None:
    arguments = ("invariance", MODEL, "photos/a", *SMALL, "--transform", transform, "--layers", "1,7")
    assert "1: normalised distance" in run(*arguments, "-o", "curves.png")
    told = told_by(*arguments, "--values", "1,2")
    assert told["values"] == [1.0, 2.0]
    assert np.shape(told["distance"]["7"]) == (3, 2)
    assert (place / "curves.png").is_file()


def test_evolution(place: Path) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("net", "net.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for epoch in (1, 2):
        torch.save(module.build().state_dict(), f"epoch{epoch}.pt")
    checkpoints = ("--weights", "epoch1.pt", "--weights", "epoch2.pt")
    arguments = ("evolution", MODEL, "photos/a", *SMALL, "--layer", "4", *checkpoints, "--units", "0,5")
    assert "unit 5: " in run(*arguments, "-o", "evolution.png")
    told = told_by(*arguments)
    assert told["checkpoints"] == ["epoch1", "epoch2"]
    assert told["units"] == [0, 5]
    assert told["moved"][0] == [None, None]
    assert (place / "evolution.png").is_file()


def test_first_layer(place: Path) -> None:
    told = run("first-layer", MODEL, "-o", "filters.png")
    assert "0: 8 filters 3x3, stride 2x2" in told
    assert "no pictures given" in told
    numbers = told_by("first-layer", MODEL, "photos/a", *SMALL)
    assert numbers["images"] == 3
    assert len(numbers["filters"]) == 8
    assert 0 < numbers["total_aliasing"] < 1
    assert (place / "filters.png").is_file()


def test_transfer(place: Path) -> None:
    arguments = ("transfer", MODEL, "photos", *SMALL, "--folds", 3, "--layers", "1,4")
    assert "6 pictures, 2 classes; the most frequent is 50.0% of them" in run(*arguments, "-o", "depth.png")
    told = told_by(*arguments)
    assert told["classes"] == ["a", "b"]
    assert list(told["layers"]) == ["pixels", "1", "4"]
    assert (place / "depth.png").is_file()


PICTURE = ("photos/a/0.png", "--size", "32")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("occlusion", MODEL, *PICTURE, "-o", "map.txt"), "files end in"),
        (("occlusion", MODEL, *PICTURE, "-o", "nowhere/map.png"), "there is no folder"),
        (("occlusion", MODEL, *PICTURE, "--square", "99"), "larger than the image"),
        (("occlusion", MODEL, *PICTURE, "--target", "tabby"), "no class of that name"),
        (("occlusion", MODEL, *PICTURE, "--square", "8", "--target", "9"), "classes 0 to 3"),
        (("occlusion", MODEL, *PICTURE, "--square", "8", "--output", "logits"), "output 'logits' is unknown"),
        (("occlusion", MODEL, "nowhere.png"), "no such file"),
        (("correspondence", MODEL, *PICTURE, "--parts", "parts.json"), "1 pictures; give 2"),
        (("correspondence", MODEL, "photos/a", "--size", "32", "--parts", "parts.json"), "cannot be read"),
        (("correspondence", MODEL, "photos/a", "--parts", "list.json"), "write {"),
        (("correspondence", MODEL, "photos/a", "--parts", "part.json"), "no box in 1.png, 2.png"),
        (("correspondence", MODEL, "photos/a", "--parts", "three.json"), "write .top, left, height, width"),
        (("invariance", MODEL, *PICTURE, "--transform", "shear"), "shear"),
        (("invariance", MODEL, *PICTURE, "--values", "a"), "--values 'a'"),
        (("evolution", MODEL, *PICTURE, "--layer", "4", "--weights", "x.pt"), "there is no such file"),
        (("evolution", MODEL, *PICTURE, "--layer", "4", "--weights", "x.pt", "--units", "a"), "--units 'a'"),
        (("first-layer", MODEL, "--layer", "1"), "is a ReLU"),
        (("transfer", MODEL, "nowhere"), "no such folder"),
        (("transfer", MODEL, "photos/a"), "0 sub-folders"),
        (("transfer", MODEL, "photos", "--size", "32", "--folds", "4"), "3 images for 4 folds"),
    ],
)
def test_bad_input_is_one_line(place: Path, arguments: tuple[str, ...], told: str) -> None:
    (place / "list.json").write_text("[]")
    (place / "part.json").write_text('{"eye": {"0.png": [0, 0, 4, 4]}}')
    three = {f"{number}.png": [0, 0, 4] for number in range(3)}
    (place / "three.json").write_text(json.dumps({"eye": three}))
    with pytest.raises(UnconvError, match=told) as caught:
        CliRunner().invoke(app, ["experiment", *arguments], catch_exceptions=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "command", ["occlusion", "correspondence", "invariance", "evolution", "first-layer", "transfer"]
)
def test_help_has_examples(command: str) -> None:
    assert f"unconv experiment {command}" in run(command, "--help")


def test_a_figure_without_matplotlib_names_the_extra(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ["experiment", "first-layer", MODEL, "-o", "filters.png", *SMALL]
    with pytest.raises(MissingExtraError, match=r"--out filters.png: needs matplotlib; pip install 'unconv\[demo\]'"):
        CliRunner().invoke(app, words, catch_exceptions=False)
