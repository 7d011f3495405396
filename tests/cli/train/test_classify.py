"""``unconv train classify`` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.data.test_fashion import make
from unconv.cli.main import app
from unconv.data.fashion import fashion
from unconv.errors import UnconvError
from unconv.models.load.resolve import load_model


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "fashion", count=30)
    (tmp_path / "fashion.safetensors").mkdir()
    return tmp_path


def run(*arguments: object) -> str:
    command = ["train", "classify", "--data", "fashion", "--batch-size", "10", "--epochs", "2", *map(str, arguments)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_writes_weights_that_load(place: Path) -> None:
    told = run("-o", "w.safetensors")
    assert "2 epochs in" in told
    assert "named rightly" in told
    assert told.endswith("wrote w.safetensors\n")
    loaded = load_model("zfnet-28", weights=place / "w.safetensors")
    assert loaded.label(9) == "Ankle boot"


def test_json_is_the_history(place: Path) -> None:
    told = json.loads(run("--json", "--no-flip", "--shift", 0, "--seed", 3))
    assert [epoch["number"] for epoch in told["history"]] == [1, 2]
    assert told["settings"] == {
        "epochs": 2,
        "batch_size": 10,
        "rate": 0.003,
        "weight_decay": 0.02,
        "seed": 3,
        "precision": "float32",
        "device": "auto",
        "patience": None,
        "optimiser": "adamw",
    }
    assert told["epoch"] == 2
    assert (told["flip"], told["shift"], told["data"], told["skipped"]) == (False, 0.0, "Fashion-MNIST", [])
    assert (place / told["out"]).is_file()


def test_resumed_training_writes_the_same_file(place: Path) -> None:
    run("-o", "one.safetensors")
    for _ in range(2):
        run("-o", "two.safetensors", "--checkpoint", "kept")
    assert (place / "one.safetensors").read_bytes() == (place / "two.safetensors").read_bytes()


def test_every_option_of_the_loop_arrives(place: Path) -> None:
    options = ("--precision", "bfloat16", "--device", "cpu", "--patience", 1, "--log", "curves", "--weight-decay", 0)
    told = json.loads(run("--json", "--rate", 0.01, *options))
    expected = {"precision": "bfloat16", "device": "cpu", "patience": 1, "rate": 0.01, "weight_decay": 0.0}
    assert expected.items() <= told["settings"].items()
    assert told["notes"][0].endswith("the best on the examples held out")
    assert sorted(path.name for path in (place / "curves").iterdir()) == ["held_out", "steps", "train"]


def test_json_tells_every_class_and_what_it_is_taken_for(place: Path) -> None:
    told = json.loads(run("--json", "--plot", "kernels.png"))
    table = torch.tensor(told["confusion"])
    assert table.sum() == 30
    assert table.diagonal().sum() / 30 == pytest.approx(told["accuracy"])
    right = (table.diagonal() / table.sum(1)).tolist()
    assert list(told["by_class"].values()) == pytest.approx(right)
    assert list(told["by_class"])[9] == "Ankle boot"
    with Image.open(place / "kernels.png") as picture:
        assert picture.size == (6 * 55 - 5, 6 * 55 - 5)


@pytest.mark.usefixtures("place")
def test_classes_are_listed_the_worst_first() -> None:
    parts = [float(line.split("%")[0].split()[-1]) for line in run().splitlines()[:10]]
    assert len(parts) == 10
    assert parts == sorted(parts)


def test_the_accuracy_told_is_that_of_the_weights_written(place: Path) -> None:
    told = json.loads(run("--json", "--patience", 1, "--rate", 0.5, "--epochs", 6))
    loaded = load_model("zfnet-28", weights=place / told["out"])
    images, labels = fashion("test", place / "fashion")
    with torch.no_grad():
        outputs = loaded.module(loaded.preprocess.normalise(images.float() / 255))
    accuracy = (outputs.argmax(1) == labels).double().mean().item()
    assert told["history"][told["epoch"] - 1]["held_out"]["accuracy"] == pytest.approx(accuracy)


def test_help_names_the_options() -> None:
    told = CliRunner().invoke(app, ["train", "classify", "--help"]).output
    assert "--checkpoint" in told
    assert CliRunner().invoke(app, ["train", "--help"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-o", "w.pth"), "files end in .safetensors"),
        (("-o", "nowhere/w.safetensors"), "there is no folder"),
        (("--data", "nowhere"), "no such folder"),
        (("--model", "zfnet29"), "did you mean .*zfnet-28"),
        (("--rate", "0"), "rate 0.0"),
        (("--rate", "nan"), "rate nan"),
        (("--shift", "1"), "shift 1.0"),
        (("--precision", "half"), "precision 'half' is unknown"),
        (("--device", "gpu"), "device 'gpu': cannot be used"),
        (("--plot", "kernels.txt"), "files end in .png or .jpg"),
        (("--plot", "nowhere/k.png"), "there is no folder nowhere"),
        (("-o", "fashion.safetensors"), "it is a folder"),
        (("--size", "x"), "--size"),
        (("--mean", "x"), "--mean"),
        (("--size", "12"), "zfnet-28: input 12x12"),
    ],
)
def test_bad_input_is_one_line(place: Path, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        CliRunner().invoke(app, ["train", "classify", "--data", "fashion", *arguments], catch_exceptions=False)
    assert "\n" not in str(caught.value)
    assert not (place / "weights.safetensors").exists()
