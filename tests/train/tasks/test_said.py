"""Which garments a training was on is in its result, in its file, in its checkpoint and on the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.train.segmenting import write_garments, write_networks
from unconv.cli.main import app
from unconv.data import fashion
from unconv.data.fashion import EMBEDDED_ONLY
from unconv.errors import JobError
from unconv.models.load.trained import about_trained

PART = "6,000 of 60,000 garments"
NAMES = {"classify": "Fashion-MNIST", "segment": "Fashion scenes", "generate": "Fashion-MNIST"}
TASKS = {
    "classify": ("--model", "net.py:flat", "--size", "28", "--mean", "0.3", "--std", "0.3", "--batch-size", "1000"),
    "segment": ("--model", "net.py:tiny", "--scenes", "8", "--batch-size", "8", "--size", "32"),
    "generate": ("--model", "dcgan-32:2", "--batch-size", "1000", "--samples", "30"),
}
FLAT = """

def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 784, 10))
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with networks that learn in no time."""
    monkeypatch.chdir(tmp_path)
    net = write_networks(tmp_path)
    net.write_text(net.read_text() + FLAT)
    return tmp_path


def train(task: str, *words: str) -> str:
    command = ["train", task, "-o", "w.safetensors", "--epochs", "1", *TASKS[task], *words]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("task", TASKS)
def test_embedded_garments_are_said(task: str, place: Path) -> None:
    """By a line, by JSON and by the file, whose words differ from those for the whole set."""
    told = train(task)
    assert f"note: Fashion-MNIST: the part that comes with unconv, {PART} to train on" in told
    about = about_trained(place / "w.safetensors")
    assert about["data"].startswith(NAMES[task])
    assert about["data"].endswith(PART)


@pytest.mark.parametrize("task", TASKS)
def test_garments_that_were_found_are_said_and_others_are_no_way_on(
    task: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint of one set is not gone on with by another."""
    monkeypatch.setenv(EMBEDDED_ONLY, "0")
    monkeypatch.setattr(fashion, "PLACE", write_garments(place / "debian"))
    told = json.loads(train(task, "--json", "--checkpoint", "run"))
    assert told["data"] == NAMES[task]
    assert told["notes"][0] == f"Fashion-MNIST: the files in {place / 'debian'}"
    monkeypatch.setenv(EMBEDDED_ONLY, "1")
    with pytest.raises(JobError, match="data"):
        train(task, "--checkpoint", "run")
