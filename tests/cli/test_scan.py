"""``unconv scan`` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.errors import UnconvError
from unconv.visualize.scan.top_activations import TopActivations

NET = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 5, 3))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    Path("photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)).save(f"photos/{number}.png")
    Path("photos/notes.txt").write_text("no picture")
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["scan", "net.py:build", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_scan_writes_the_strongest_places(place: Path) -> None:
    told = run("photos", "--size", 20, "--top", 3)
    assert "4 pictures, 2 layers, 13 units" in told
    found = TopActivations.load(place / "top.safetensors")
    assert found.layers == ("0", "3")
    assert found.values["0"].shape == (8, 3)
    assert found.about["model"] == "net.py:build"


def test_json_and_options(place: Path) -> None:
    told = json.loads(
        run(
            "photos/0.png",
            "photos/2.png",
            "--size",
            20,
            "--layers",
            "1",
            "--batch-size",
            1,
            "--precision",
            "bfloat16",
            "--json",
            "-o",
            "x.safetensors",
        )
    )
    assert told["pictures"] == 2
    assert told["layers"]["1"]["units"] == 8
    found = TopActivations.load(place / "x.safetensors")
    assert set(found.names.values()) == {"0.png", "2.png"}
    assert found.about["dtype"] == "bfloat16"


def test_resumed_scan_is_the_same(place: Path) -> None:  # noqa: ARG001
    run("photos", "--size", 20, "-o", "one.safetensors")
    for _ in range(2):
        run("photos", "--size", 20, "-o", "two.safetensors", "--checkpoint", "kept", "--batch-size", 32)
    assert Path("one.safetensors").read_bytes() == Path("two.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("photos", "-o", "top.json"), "files end in .safetensors"),
        (("photos", "-o", "nowhere/top.safetensors"), "there is no folder"),
        (("photos", "--layers", "9"), "no layer of that name"),
        (("photos", "--size", "x"), "--size"),
        (("photos", "--mean", "x"), "--mean"),
        (("nowhere",), "no such file"),
        (("photos/notes.txt",), "not a picture"),
    ],
)
def test_bad_input_is_one_line(place: Path, arguments: tuple[str, ...], told: str) -> None:  # noqa: ARG001
    with pytest.raises(UnconvError, match=told) as caught:
        CliRunner().invoke(app, ["scan", "net.py:build", *arguments], catch_exceptions=False)
    assert "\n" not in str(caught.value)
