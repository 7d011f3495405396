"""``unconv train segment`` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.train.loop.test_tensorboard import curves
from tests.train.segmenting import write_garments, write_masks, write_networks
from unconv.cli.main import app
from unconv.errors import UnconvError
from unconv.models.load.resolve import load_model

COMMAND = ["train", "segment", "--model", "net.py:tiny", "--data", "fashion", "--scenes", "16", "--batch-size", "8",
           "--epochs", "2", "--size", "32x48"]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unconv.train.data.segmented.TEST_COUNT", 6)
    write_networks(tmp_path)
    write_garments(tmp_path / "fashion")
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*COMMAND, *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_writes_weights_that_load_and_a_sheet(place: Path) -> None:
    told = run("-o", "w.safetensors", "--plot", "sheet.png")
    assert told.startswith(("note: ", "background"))
    assert "2 epochs in" in told
    assert "mean IoU" in told
    assert told.endswith("wrote w.safetensors\nwrote sheet.png\n")
    loaded = load_model("net.py:tiny", weights=place / "w.safetensors")
    assert (loaded.label(0), loaded.label(10), loaded.preprocess.size) == ("background", "Ankle boot", (32, 48))
    with Image.open(place / "sheet.png") as image:
        colours = np.asarray(image.convert("RGB")).reshape(-1, 3)
    # The legend shows every class in its colour.
    for colour in ((0xCC, 0x66, 0x77), (0x33, 0x22, 0x88), (0x8A, 0x8A, 0x8A)):
        assert (colours == colour).all(1).sum() > 50


def test_json_is_the_history(place: Path) -> None:
    told = json.loads(run("--json", "--no-flip", "--shift", 0.1, "--seed", 3, "--class-weights", "balanced"))
    assert [epoch["number"] for epoch in told["history"]] == [1, 2]
    assert {"loss", "pixel_accuracy", "miou", "iou/background"} <= set(told["history"][-1]["held_out"])
    assert (told["data"], told["pictures"], told["flip"], told["shift"]) == ("Fashion scenes", 16, False, 0.1)
    assert len(told["class_weights"]) == len(told["classes"]) == 11
    assert (told["settings"]["seed"], told["plot"], told["skipped"]) == (3, None, [])
    assert (place / told["out"]).is_file()


def test_resumed_training_writes_the_same_file(place: Path) -> None:
    run("-o", "one.safetensors")
    for _ in range(2):
        run("-o", "two.safetensors", "--checkpoint", "kept")
    assert (place / "one.safetensors").read_bytes() == (place / "two.safetensors").read_bytes()


def test_curves_by_class_are_logged(place: Path) -> None:
    run("--log", "curves")
    assert {"miou", "iou/background"} <= {name for _, name in curves(place / "curves")}


def test_help_names_the_options() -> None:
    told = CliRunner().invoke(app, ["train", "segment", "--help"]).output
    for option in ("--scenes", "--plot", "--start", "--class-weights", "--checkpoint"):
        assert option in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-o", "w.pth"), "files end in .safetensors"),
        (("--plot", "sheet.txt"), "--plot sheet.txt: files end in .png"),
        (("--plot", "nowhere/sheet.png"), "there is no folder nowhere"),
        (("--data", "nowhere"), "no such folder"),
        (("--data", "masks"), "p1.jpg: no mask p1.png"),
        (("--model", "fcn9s"), "unknown"),
        (("--class-weights", "1,x"), "--class-weights"),
        (("--start", "none.safetensors"), "none.safetensors: there is no such file"),
        (("--size", "4"), "size 4x4"),
    ],
)
def test_bad_input_is_one_line(place: Path, arguments: tuple[str, ...], told: str) -> None:
    write_masks(place / "masks")
    (place / "masks/masks/p1.png").unlink()
    with pytest.raises(UnconvError, match=told) as caught:
        CliRunner().invoke(app, [*COMMAND, *arguments], catch_exceptions=False)
    assert "\n" not in str(caught.value)
    assert not (place / "weights.safetensors").exists()
