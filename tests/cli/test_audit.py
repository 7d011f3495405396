"""``unconv audit`` as a user runs it: tables, files, exit codes, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.errors import UnconvError

NET = """
import torch
from torch import nn

class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(1, 8, 3, padding=1)
        self.down = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x):
        skip = self.enter(x)
        return self.up(self.down(skip)) + skip

def build():
    return Skip()
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET)
    return f"{tmp_path / 'net.py'}:build"


def test_table_findings_and_exit_codes(net: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["audit", net, "--input-size", "1x32x32"])
    assert run.exit_code == 0
    assert "warning up: kernel 3 with stride 2" in run.stdout
    assert "conv_transpose" in run.stdout
    for level, code in (("warning", 1), ("hint", 1), ("never", 0), ("error", 0)):
        assert CliRunner().invoke(app, ["audit", net, "--input-size", "1x32x32", "--fail-on", level]).exit_code == code
    quiet = CliRunner().invoke(
        app,
        ["audit", net, "--input-size", "1x32x32", "--ignore", "uneven-overlap", "--fail-on", "warning", "--no-table"],
    )
    assert quiet.exit_code == 0
    assert "uneven" not in quiet.stdout
    failing = CliRunner().invoke(app, ["audit", net, "--input-size", "1x33x32", "-o", str(tmp_path / "a.sarif")])
    assert failing.exit_code == 1
    assert "sizes-do-not-meet" in failing.stdout
    assert json.loads((tmp_path / "a.sarif").read_text())["version"] == "2.1.0"


def test_json_has_layers_and_findings(net: str) -> None:
    run = CliRunner().invoke(app, ["audit", net, "--input-size", "1x32x32", "--json", "--no-measure"])
    told = json.loads(run.stdout)
    assert told["model"] == net
    assert told["findings"][0]["rule"] == "uneven-overlap"
    assert [layer["name"] for layer in told["layers"]] == ["enter", "down", "up", "add"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--input-size", "3x"], "--input-size '3x'"),
        (["--fail-on", "fatal"], "is not one of"),
        (["--out", "audit.pdf"], ".html, .sarif or .json"),
        (["--ignore", "nothing"], "no rule 'nothing'"),
    ],
)
def test_bad_options_are_one_line(net: str, options: list[str], told: str) -> None:
    run = CliRunner().invoke(app, ["audit", net, "--input-size", "1x32x32", *options])
    assert isinstance(run.exception, UnconvError)
    assert told in str(run.exception)
    assert "\n" not in str(run.exception)
