"""``--weights FILE`` of every command: what was done to fit the weights is told in the text and in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.errors import UnconvError

NET = """
from torch import nn
def build():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4 * 8 * 8, 3))
    return net, {"size": 12, "mean": 0.5, "std": 0.5}
"""
SAID = (
    "weights taken from model of the file",
    "prefix module. stripped from its names",
    "averaged weights are there too (ema), not taken: last.pt:ema takes them",
    "1 other tensor of the file not taken: optimizer 1",
)
COMMANDS = (
    ["audit", "net.py:build"],
    ["scan", "net.py:build", "photos"],
    ["see", "net.py:build", "photos/0.png", "--layers", "2", "--force"],
    ["experiment", "occlusion", "net.py:build", "photos/0.png", "--square", "4", "--stride", "4"],
    ["experiment", "invariance", "net.py:build", "photos/0.png", "--transform", "rotation", "--values", "90"],
    ["experiment", "first-layer", "net.py:build"],
    ["experiment", "evolution", "net.py:build", "photos", "--layer", "2", "--units", "0"],
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    Path("photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(2):
        Image.fromarray(rng.integers(0, 256, (14, 15, 3), dtype=np.uint8)).save(f"photos/{number}.png")
    names: dict[str, object] = {}
    exec(NET, names)
    state = names["build"]()[0].state_dict()  # type: ignore[operator]
    saved = {
        "model": {f"module.{name}": tensor for name, tensor in state.items()},
        "ema": {name: 2 * tensor for name, tensor in state.items()},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
    }
    torch.save(saved, "last.pt")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code in (0, 1), result.output
    return result.stdout


def refused(*arguments: str) -> str:
    with pytest.raises(UnconvError) as caught:
        run(*arguments)
    return str(caught.value)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[: 2 if words[0] == "experiment" else 1]))
def test_notes_are_in_the_text_and_in_json(command: list[str]) -> None:
    begin = "last: " if "evolution" in command else ""
    text = run(*command, "--weights", "last.pt")
    assert [note for note in SAID if f"note: {begin}{note}" not in text.splitlines()] == []
    told = json.loads(run(*command, "--weights", "last.pt", "--json"))
    assert set(told["notes"]) >= {f"{begin}{note}" for note in SAID}


@pytest.mark.usefixtures("place")
def test_a_part_of_the_file_is_taken_by_its_name() -> None:
    told = json.loads(run("audit", "net.py:build", "--weights", "last.pt:ema", "--json"))
    assert told["weights"] == "from last.pt:ema"
    assert told["notes"] == [
        "weights taken from ema of the file",
        "these are averages of the weights over the training",
    ]
    assert refused("audit", "net.py:build", "--weights", "last.pt:best") == (
        "weights last.pt: no part 'best' in the file; it holds model (6 tensors), ema (6 tensors), optimizer (1 tensor)"
    )


@pytest.mark.usefixtures("place")
def test_what_is_read_is_not_written_over() -> None:
    Path("last.pt").rename("top.safetensors")
    told = refused("scan", "net.py:build", "photos", "--weights", "top.safetensors:ema", "-o", "top.safetensors")
    assert told == "--out top.safetensors: is read by this command; name another place"
