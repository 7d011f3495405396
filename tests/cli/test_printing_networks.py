"""Networks that print in their forward pass: what they say goes to the standard error, whatever the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from unconv.cli.command import ResultsOutput
from unconv.cli.main import app

SOURCE = """
import sys
import torch
from torch import nn

class Talking(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        self.conv.register_forward_hook(lambda module, given, output: print("hooked"))

    def forward(self, x):
        print("shape", tuple(x.shape), flush=True)
        sys.stdout.write("written\\n")
        return self.head(self.conv(x).relu().mean((2, 3)))

def build():
    return Talking(), {"size": 12}
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(SOURCE)
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(tmp_path / "grey.png")
    return f"{tmp_path / 'net.py'}:build"


@pytest.mark.parametrize(
    "words",
    [
        ["audit", "MODEL", "--json"],
        ["audit", "MODEL", "--sizes", "--json"],
        ["scan", "MODEL", "FOLDER/grey.png", "-o", "FOLDER/top.safetensors", "--layers", "conv", "--json"],
        ["experiment", "occlusion", "MODEL", "FOLDER/grey.png", "--size", "12", "--stride", "6", "--json"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_json_stays_json(words: list[str], model: str, tmp_path: Path) -> None:
    words = [word.replace("MODEL", model).replace("FOLDER", str(tmp_path)) for word in words]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    json.loads(result.stdout)
    assert {"hooked", "written"} <= set(result.stderr.splitlines())
    assert "shape (" in result.stderr


def test_quiet_is_quiet(model: str) -> None:
    result = CliRunner().invoke(app, ["audit", model, "--quiet"], catch_exceptions=False)
    assert (result.stdout, result.stderr) == ("", "")


def test_all_else_is_the_stream_itself() -> None:
    output = ResultsOutput(sys.stdout)
    assert (output.encoding, output.isatty()) == (sys.stdout.encoding, sys.stdout.isatty())
    with pytest.raises(TypeError):
        output.write(b"bytes")  # type: ignore[arg-type]
