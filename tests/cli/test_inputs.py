"""``--input``: what a network takes beside its images, in every command, as ``inputs=`` and ``kwargs=`` have it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import unconv as uc
from unconv.cli.inputs import read_inputs
from unconv.cli.main import run
from unconv.data.images import save_image
from unconv.errors import UnconvError
from unconv.visualize.scan.top_activations import TopActivations

NET = """
import torch
from torch import nn

class Conditioned(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, image, step, *, shift):
        return self.last((self.conv(image) * step + shift.mean()).relu())

def build():
    return Conditioned(), {"size": 16, "mean": 0.0, "std": 1.0}
"""
HELD = ("--input", "0.5", "--input", "shift=shift.npy")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    np.save(tmp_path / "shift.npy", np.full((1, 4), 0.3, dtype=np.float32))
    for folder in ("a", "b"):
        (tmp_path / "pictures" / folder).mkdir(parents=True)
        for number in range(2):
            save_image(torch.rand(3, 16, 16), tmp_path / "pictures" / folder / f"{number}.png")
    (tmp_path / "parts.json").write_text(
        json.dumps({"eye": {f"{folder}/{number}.png": [1, 1, 4, 4] for folder in "ab" for number in range(2)}})
    )
    save_file(uc.load_model("net.py:build").module.state_dict(), tmp_path / "w.safetensors")
    return tmp_path


def unconv(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["unconv", *words])
    with pytest.raises(SystemExit) as end:
        run()
    return int(end.value.code or 0)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "words",
    [
        "audit net.py:build --input-size 3x16x16 --no-measure --sizes",
        "scan net.py:build pictures",
        "see net.py:build pictures --fidelity 0 --compare w.safetensors",
        "experiment occlusion net.py:build pictures/a/0.png --output class --layer conv",
        "experiment correspondence net.py:build pictures --parts parts.json --draws 2",
        "experiment invariance net.py:build pictures --values 1,2 --layers last",
        "experiment evolution net.py:build pictures --layer last --weights w.safetensors",
        "experiment first-layer net.py:build pictures",
        "experiment transfer net.py:build pictures --folds 2",
    ],
)
def test_every_command_holds_what_is_told(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, *words.split(), "--json", *HELD) == 0, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)
    assert unconv(monkeypatch, *words.split()) == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert "step" in line


def test_the_shell_computes_what_python_does(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "scan", "net.py:build", "pictures", "--layers", "last", *HELD) == 0
    capsys.readouterr()
    found = TopActivations.load(place / "top.safetensors")
    held: dict[str, Any] = {"inputs": 0.5, "kwargs": {"shift": torch.full((1, 4), 0.3)}}
    expected = uc.scan("net.py:build", "pictures", "last", **held)
    assert torch.equal(found.values["last"], expected.values["last"])
    # A scan read from its file has to be told again what was held, and the same.
    back = found.unit("last", 2).project(**held)
    assert torch.equal(back.image, expected.unit("last", 2).project().image)
    for other in ({}, {"inputs": 0.6, "kwargs": held["kwargs"]}):
        with pytest.raises(UnconvError, match=r"beside its images the scan held inputs 0.5; shift float32 1×4"):
            found.unit("last", 2).project(**other)


def test_experiments_hold_inputs_as_a_network_with_these_built_in(place: Path) -> None:
    class Alone(torch.nn.Module):
        def __init__(self, inside: torch.nn.Module) -> None:
            super().__init__()
            self.conv, self.last = inside.conv, inside.last

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.last((self.conv(image) * 0.5 + 0.3).relu())

    model = uc.load_model(f"{place}/net.py:build").module
    alone, images = Alone(model), torch.rand(4, 3, 12, 12)
    held: dict[str, Any] = {"kwargs": {"image": ..., "step": 0.5, "shift": torch.full((1, 4), 0.3)}}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    parts = {"eye": [(1, 1, 4, 4)] * 4}
    for experiment, arguments in (
        (uc.experiments.correspondence, (images, parts, ["last"])),
        (uc.experiments.evolution, ([state], images, "last", [1])),
        (uc.experiments.transfer, (images, [0, 0, 1, 1], ["last"])),
    ):
        options = {"folds": 2} if experiment is uc.experiments.transfer else {}
        here = experiment(model, *arguments, **options, **held)
        there = experiment(alone, *arguments, **options)
        assert str(here) == str(there)
        for name in ("projections", "accuracy", "activations"):
            if hasattr(here, name):
                torch.testing.assert_close(getattr(here, name), getattr(there, name))


def test_values_as_they_are_written(tmp_path: Path) -> None:
    save_file({"context": torch.ones(1, 2), "other": torch.zeros(3)}, tmp_path / "two.safetensors")
    np.save(tmp_path / "mask.npy", np.arange(3))
    told = {
        "10": 10,
        "-0.5": -0.5,
        "1e-3": 0.001,
        "true": True,
        "null": None,
        "image": ...,
        "[1, 2]": torch.tensor([1, 2]),
        "zeros:1x3": torch.zeros(1, 3),
        "ones:2": torch.ones(2),
        f"{tmp_path}/two.safetensors:context": torch.ones(1, 2),
        f"{tmp_path}/mask.npy": torch.arange(3),
    }
    for text, value in told.items():
        for read in (read_inputs([text])["inputs"][0], read_inputs([f"name={text}"])["kwargs"]["name"]):
            assert torch.equal(read, value) if isinstance(value, torch.Tensor) else read == value
    assert read_inputs(["random:1x4"])["inputs"][0].equal(read_inputs(["random:1x4"])["inputs"][0])


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (["3x224x224"], "zeros:3x224x224 is a tensor of it, --input-size the image's own"),
        (["step=soon"], "--input 'step=soon' is no value; write 10, [10], true"),
        (["[[1], [2, 3]]"], "is no value"),
        (['{"a": 1}'], "is no value"),
        (["step=1", "step=2"], "step is told twice"),
        (["nowhere.npy"], "--input 'nowhere.npy': no such file"),
        (["zeros:big"], "'big' is not a size"),
    ],
)
def test_what_is_no_value_is_one_line(texts: list[str], line: str) -> None:
    with pytest.raises(UnconvError) as refusal:
        read_inputs(texts)
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("place")
def test_a_patch_is_of_networks_of_images_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "audit", "net.py:build", "--fix", "p.py", *HELD) == 2
    assert "--fix is for networks that take images alone" in capsys.readouterr().err


def test_a_scan_with_other_inputs_is_refused_by_see(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "scan", "net.py:build", "pictures", "--layers", "last", *HELD) == 0
    words = ("see", "net.py:build", "pictures", "--scan", str(place / "top.safetensors"), "--fidelity", "0")
    assert unconv(monkeypatch, *words, *HELD) == 0
    capsys.readouterr()
    assert unconv(monkeypatch, *words, "--input", "0.6", "--input", "shift=shift.npy") == 2
    assert "beside its pictures it held inputs 0.5; shift float32" in capsys.readouterr().err
