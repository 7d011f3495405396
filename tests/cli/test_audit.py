"""``unconv audit`` as a user runs it: tables, files, exit codes, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unconv.cli.main import app, run as run_main
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
        (["--axes", "h h c"], "names h twice"),
        (["--axes", "t"], "one number for each axis"),
        (["--out", "audit.pdf"], ".html, .sarif or .json"),
        (["--ignore", "nothing"], "no rule 'nothing'"),
    ],
)
def test_bad_options_are_one_line(net: str, options: list[str], told: str) -> None:
    run = CliRunner().invoke(app, ["audit", net, "--input-size", "1x32x32", *options])
    assert isinstance(run.exception, UnconvError)
    assert told in str(run.exception)
    assert "\n" not in str(run.exception)


def test_axes_say_what_a_size_is(tmp_path: Path) -> None:
    file = tmp_path / "last.py"
    file.write_text(
        "from torch import nn\n\n\nclass Last(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 4, 5)\n\n    def forward(self, x):\n"
        "        return self.conv(x.permute(0, 3, 1, 2))\n"
    )
    options = [f"{file}:Last", "--input-size", "32x24x3", "--no-measure", "--json"]
    told = json.loads(CliRunner().invoke(app, ["audit", *options, "--axes", "NHWC"]).stdout)
    assert (told["axes"], told["axes_told"]) == (["h w c"], True)
    assert told["unchecked"] == ["misses-input", "misses-multiple", "only-some-sizes"]
    shown = [one for one in options if one != "--json"]
    text = CliRunner().invoke(app, ["audit", *shown, "--axes", "NHWC"]).stdout
    assert "not checked, for axes in another order: misses-input, misses-multiple, only-some-sizes" in text
    assert told["layers"][0]["receptive_field"]["size"] == [5, 5]
    sized = CliRunner().invoke(app, ["audit", *shown, "--axes", "NHWC", "--sizes", "--no-table"]).stdout
    assert "works for h n from 5 on, w n from 5 on\n" in sized
    assert "    AXES = ((1, 2),)\n" in sized
    guessed = json.loads(CliRunner().invoke(app, ["audit", *options]).stdout)
    assert not guessed["axes_told"]
    assert not guessed["layers"][0]["receptive_field"]["exact"]


def test_several_models_are_one_run(net: str, tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text("from torch import nn\ndef build():\n    return nn.Conv2d(1, 8, 3, padding=1)\n")
    options = ["--input-size", "1x32x32", "--no-table", "--no-measure"]
    models = [net, f"{good}:build"]
    run = CliRunner().invoke(app, ["audit", *models, *options, "-o", str(tmp_path / "a.sarif")])
    assert run.exit_code == 0
    assert "2 models: 2 audited, 0 refused" in run.stdout
    log = json.loads((tmp_path / "a.sarif").read_text())
    assert len(log["runs"]) == 1
    results = log["runs"][0]["results"]
    assert all(result["message"]["text"].startswith(tuple(models)) for result in results)
    assert len({result["partialFingerprints"]["rule/layer"] for result in results}) == len(results)
    schema = pytest.importorskip("pydantic_sarif.model").StaticAnalysisResultsFormatSarifVersion210JsonSchema
    schema.model_validate(log)
    # The exit code is the worst's: findings, then what cannot be audited.
    assert CliRunner().invoke(app, ["audit", *models, *options, "--fail-on", "warning"]).exit_code == 1
    broken = CliRunner().invoke(app, ["audit", *models, "nothing.py:build", *options, "-o", str(tmp_path / "b.sarif")])
    assert broken.exit_code == 2
    assert broken.stderr.startswith("unconv: nothing.py: no such file")
    assert "3 models: 2 audited, 1 refused" in broken.stdout
    (invocation,) = json.loads((tmp_path / "b.sarif").read_text())["runs"][0]["invocations"]
    assert not invocation["executionSuccessful"]
    assert "no such file" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    schema.model_validate_json((tmp_path / "b.sarif").read_text())


def test_several_models_as_json_and_as_a_page(net: str, tmp_path: Path) -> None:
    options = ["--input-size", "1x32x32", "--no-measure"]
    page = tmp_path / "a.html"
    run = CliRunner().invoke(app, ["audit", net, "nothing.py:build", *options, "--json", "-o", str(page)])
    told = json.loads(run.stdout)
    assert [one["model"] for one in told["audits"]] == [net]
    assert told["refused"] == [{"model": "nothing.py:build", "error": "nothing.py: no such file; name a Python file"}]
    text = page.read_text()
    assert "<title>Audit of 2 networks</title>" in text
    assert "Not audited: nothing.py: no such file" in text
    one = json.loads(CliRunner().invoke(app, ["audit", net, net, *options, "--json"]).stdout)
    assert {key: value for key, value in told["audits"][0].items() if key != "findings"} == {
        key: value for key, value in one.items() if key != "findings"
    }
    for option in (["--fix", str(tmp_path / "p.py")], ["--weights", "w.pt"]):
        refused = CliRunner().invoke(app, ["audit", net, "lenet5", *option])
        assert isinstance(refused.exception, UnconvError)
        assert "is for one MODEL" in str(refused.exception)


def test_findings_point_to_the_line_that_makes_the_layer(net: str, tmp_path: Path) -> None:
    options = ["--input-size", "1x32x32"]
    run = CliRunner().invoke(app, ["audit", net, *options, "--no-table", "-o", str(tmp_path / "a.sarif")])
    (line,) = (number for number, text in enumerate(NET.splitlines(), start=1) if "self.up = nn." in text)
    assert f"    at:  {tmp_path / 'net.py'}:{line}\n" in run.stdout
    found = json.loads((tmp_path / "a.sarif").read_text())["runs"][0]["results"][0]
    assert found["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": (tmp_path / "net.py").as_uri()},
        "region": {"startLine": line},
    }
    told = json.loads(CliRunner().invoke(app, ["audit", net, *options, "--json"]).stdout)
    assert told["findings"][0]["location"]["line"] == line


ENDINGS = """
import sys
from torch import nn

def exits():
    sys.exit(1)

def raises():
    raise KeyError("x")

class Ends(nn.Module):
    def forward(self, x):
        sys.exit(1)

class Locked(nn.Sequential):
    def __init__(self):
        super().__init__(nn.ConvTranspose2d(1, 8, 3, stride=2))
        self.kept = (one for one in [])
"""


@pytest.mark.parametrize(
    ("function", "told"),
    [("exits", "SystemExit: 1"), ("raises", "KeyError"), ("Ends", "ended the program"), ("Locked", "cannot be copied")],
)
def test_code_that_ends_or_fails_is_no_finding(function: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(ENDINGS)
    options = ["--input-size", "1x8x8", "--no-measure", "--fix", str(tmp_path / "patched.py")]
    run = CliRunner().invoke(app, ["audit", f"{tmp_path / 'net.py'}:{function}", *options])
    assert isinstance(run.exception, UnconvError)
    assert told in str(run.exception)
    assert "\n" not in str(run.exception)


def test_a_fault_of_our_own_is_one_line_and_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("unconv.network.audit.audit.build_graph", {}.__getitem__)
    monkeypatch.setattr("sys.argv", ["unconv", "audit", "lenet5", "--no-measure"])
    with pytest.raises(SystemExit) as end:
        run_main()
    assert end.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "a fault of unconv itself" in line
    assert "audit.py" in line


def test_a_fix_is_audited_again_and_told_as_data(net: str, tmp_path: Path) -> None:
    options = ["--input-size", "1x32x32", "--no-measure", "--json", "--fix", str(tmp_path / "patched.py")]
    run = CliRunner().invoke(app, ["audit", net, *options])
    fix = json.loads(run.stdout)["fix"]
    assert [(one["layer"], one["rule"]) for one in fix["changes"]] == [("up", "uneven-overlap")]
    assert "uneven-overlap" not in {one["rule"] for one in fix["findings"]}
    assert fix["refused"] == []
    assert Path(fix["file"]).exists()
    again = fix["audited_again"]
    assert again["gone"] == [{"layer": "up", "rule": "uneven-overlap"}]
    assert again["new"] == again["unmeasured"] == []
    assert {one["rule"] for one in again["same"]} == {one["rule"] for one in fix["findings"]}
    assert "audited again: " in run.stderr
    assert "1 finding gone; as before: " in run.stderr


def test_sizes_that_work_are_told_with_code(net: str) -> None:
    run = CliRunner().invoke(app, ["audit", net, "--input-size", "1x33x32", "--no-table", "--no-measure", "--sizes"])
    assert run.exit_code == 1
    assert "works for rows 2n, columns 2n\n" in run.stdout
    assert "    def any_size(model, *inputs):\n" in run.stdout
    told = CliRunner().invoke(app, ["audit", net, "--input-size", "1x32x32", "--no-measure", "--sizes", "--json"])
    found = json.loads(told.stdout)["working_sizes"]
    assert [(axis["axis"], axis["multiple"], axis["starts"]) for axis in found["axes"]] == [
        ("rows", 2, [2]),
        ("columns", 2, [2]),
    ]
    assert "any_size" in found["code"]
