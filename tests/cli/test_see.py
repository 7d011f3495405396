"""``unconv see``: exit 0 with a page, exit 2 with one line, and never a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unconv.cli.main import run
from unconv.data.images import save_image

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.jpg"):
        save_image(torch.rand(3, 50, 40), tmp_path / "pictures" / name)
    return tmp_path


def unconv(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["unconv", *words])
    with pytest.raises(SystemExit) as end:
        run()
    return int(end.value.code or 0)


SMALL = ("--size", "32x48", "--mean", "0.5", "--std", "0.25,0.25,0.25")


def test_see_writes_a_page(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert unconv(monkeypatch, "see", "net.py:build", "pictures", "-o", "out", *SMALL) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("2 pictures, 2 layers, rule deconvnet (chosen because 1 max-pooling lies")
    assert out.splitlines()[-1] == "wrote out/index.html"
    assert "skipped" not in err
    assert "2 of 2 rectifiers reversed" in (place / "out" / "index.html").read_text()


def test_json_is_the_report(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "see",
        "net.py:build",
        "pictures/a.png",
        "--layers",
        "4,1",
        "--top-units",
        "2",
        "--rule",
        "guided",
        "--json",
    )
    assert unconv(monkeypatch, *words, *SMALL) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers == json.loads((place / "report" / "report.json").read_text())
    assert (numbers["layers"], numbers["rule"], numbers["input_size"]) == (["4", "1"], "guided", [3, 32, 48])
    assert [len(layer["units"]) for layer in numbers["pictures"][0]["layers"]] == [2, 2]


def test_weights_come_from_a_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from unconv.models.load.resolve import load_model

    state = load_model("net.py:build").module.state_dict()
    save_file({name: tensor * 0 + 1 for name, tensor in state.items()}, place / "ones.safetensors")
    words = ("see", "net.py:build", "pictures/a.png", "--weights", "ones.safetensors", "--json")
    assert unconv(monkeypatch, *words, *SMALL) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["weights"] == "from ones.safetensors"
    first, *others = numbers["pictures"][0]["layers"][0]["units"]
    assert all(unit["activation"] == first["activation"] for unit in others)


def test_unreadable_pictures_are_listed_and_the_others_done(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (place / "pictures" / "b.jpg").read_bytes()
    (place / "pictures" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (place / "pictures" / "notes.txt").write_text("no picture")
    assert unconv(monkeypatch, "see", "net.py:build", "pictures", "missing.png", *SMALL) == 0
    out, err = capsys.readouterr()
    assert out.startswith("2 pictures")
    skipped = [line for line in err.splitlines() if line.startswith("skipped ")]
    assert [line.split(":")[0] for line in skipped] == [
        "skipped pictures/cut.jpg",
        "skipped pictures/notes.txt",
        "skipped missing.png",
    ]
    text = (place / "report" / "index.html").read_text()
    assert "3 skipped" in text
    assert "pictures/cut.jpg" in text


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("net.py:build", "missing.png"), "see: no picture could be used: missing.png: no such file or folder"),
        (("net.py:build", "empty"), "see: no picture could be used: empty: no files in this folder"),
        (("net.py:build", "pictures", "--layers", "44"), "layer '44': Sequential has no layer of that name"),
        (("net.py:build", "pictures", "--layers", ","), "layers: an empty list was given"),
        (("net.py:build", "pictures", "--rule", "lrp"), "rule: 'lrp' is not one of auto, deconvnet, guided, gradient"),
        (("net.py:build", "pictures", "--size", "a4"), "--size 'a4' is not a size"),
        (("net.py:build", "pictures", "--mean", "dark"), "--mean 'dark' is not a number"),
        (("net.py:build", "pictures", "--weights", "nan.safetensors"), "weights are not finite: 0.bias has 6 NaN"),
        (("net.py:biuld", "pictures"), "net.py"),
        (("nosuchnet", "pictures"), "'nosuchnet': unknown"),
        (
            ("net.py:build", "pictures", "--units", "few"),
            "--units 'few' is not a list of indices; write 3 or 3,17,40",
        ),
        (
            ("net.py:build", "pictures", "--units", "3", "--top-units", "2"),
            "--units says which units, --top-units how many",
        ),
        (("net.py:build", "pictures", "--formats", "gif"), "format: 'gif' is not one of html, png, pdf"),
        (("net.py:build", "pictures", "--fidelity", "much"), "fidelity: 'much' units of each layer; give 0 or more"),
        (
            ("net.py:build", "pictures", "--scan", "nan.safetensors"),
            "top activations 'nan.safetensors': holds no top",
        ),
        (("net.py:build", "pictures", "--scan", "none.safetensors"), "top activations 'none.safetensors': cannot be"),
        (("net.py:build", "pictures", "--compare", "nosuchnet"), "'nosuchnet': unknown"),
        (("net.py:build", "pictures", "-o", "net.py"), "--out net.py: it is a file; name a folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    line: str,
) -> None:
    from unconv.models.load.resolve import load_model

    (place / "empty").mkdir()
    state = load_model("net.py:build").module.state_dict()
    state["0.bias"] = state["0.bias"] * float("nan")
    save_file(state, place / "nan.safetensors")
    assert unconv(monkeypatch, "see", *words, *(() if "--mean" in words or "--size" in words else SMALL)) == 2
    out, err = capsys.readouterr()
    told = [text for text in err.splitlines() if text.strip()]
    assert len(told) == 1
    assert told[0].startswith("unconv: ")
    assert line in told[0]
    assert out == ""


def test_a_scan_is_taken_up_and_units_are_chosen(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(14):
        save_image(torch.rand(3, 50, 40), place / "pictures" / f"{number}.png")
    assert unconv(monkeypatch, "scan", "net.py:build", "pictures", "-o", "top.safetensors", *SMALL) == 0
    words = ("--scan", "top.safetensors", "--layers", "all", "--units", "0,5", "--top", "4", "--formats", "png,pdf")
    assert unconv(monkeypatch, "see", "net.py:build", "pictures", *words, "--fidelity", "0", *SMALL) == 0
    out = capsys.readouterr().out
    assert "16 pictures, 2 layers, rule deconvnet" in out
    assert "4 of 14 units shown" in out
    assert [line for line in out.splitlines() if line.startswith("wrote report/")] == [
        "wrote report/sheets/0-0.png",
        "wrote report/sheets/3-0.png",
        "wrote report/report.pdf",
    ]
    numbers = json.loads((place / "report" / "report.json").read_text())
    assert numbers["layers"] == ["0", "3"]
    for layer in numbers["collection"]["layers"]:
        assert [unit["unit"] for unit in layer["units"]] == [0, 5]
        assert all(len(unit["places"]) == 4 and "fidelity" not in unit for unit in layer["units"])


def test_two_sets_of_weights_are_compared(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from unconv.models.load.resolve import load_model

    save_image(torch.rand(3, 50, 40), place / "pictures" / "c.png")
    save_file(load_model("net.py:build").module.state_dict(), place / "same.safetensors")
    words = ("--layers", "0", "--units", "all", "--compare", "same.safetensors")
    assert unconv(monkeypatch, "see", "net.py:build", "pictures", *words, *SMALL) == 0
    out = capsys.readouterr().out
    numbers = json.loads((place / "report" / "report.json").read_text())
    alive = 6 - len(numbers["collection"]["layers"][0]["dead"])
    assert f"0: {alive} same, 0 changed, 0 died, 0 born" in out
    assert numbers["compare"]["weights"] == "from same.safetensors"
    assert "verdict" in numbers["collection"]["layers"][0]["units"][0]["fidelity"]


@pytest.mark.usefixtures("place")
def test_nothing_but_the_refusal_is_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "see", "net.py:build", "pictures", "--layers", "nope", *SMALL) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("unconv: layer 'nope'")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("place")
def test_one_layer_is_one_layer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert unconv(monkeypatch, "see", "net.py:build", "pictures/a.png", "-o", "out", "--layers", "1", *SMALL) == 0
    assert capsys.readouterr().out.startswith("1 picture, 1 layer, rule ")


def test_a_model_that_fails_behind_the_layers_is_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (place / "late.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7, 2)\n"
        "    return nn.Sequential(*layers), {'classes': ['cat', 'dog']}\n"
    )
    assert unconv(monkeypatch, "see", "late.py:build", "pictures/a.png", "--layers", "1", *SMALL) == 2
    err = capfd.readouterr().err
    assert "forward: Sequential fails on images of shape 1×3×32×48" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("place")
def test_an_empty_name_is_not_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "see", "net.py:build", "", *SMALL) == 2
    assert "an empty name is no file or folder" in capsys.readouterr().err


def test_clips_and_their_slices(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "volume.py").write_text(NET.replace("Conv2d(3,", "Conv3d(1,").replace("2d(", "3d("))
    for number in range(6):
        (place / "frames").mkdir(exist_ok=True)
        save_image(torch.rand(1, 20, 24), place / f"frames/{number}.png")
    words = ("see", "volume.py:build", "frames", "--layers", "1", "--top-units", "1", "--json")
    assert unconv(monkeypatch, *words, "--slice", "2") == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["input_size"] == [1, 6, 20, 24]
    (unit,) = numbers["pictures"][0]["layers"][0]["units"]
    assert unit["slice"] == min(range(*unit["box"][0]), key=lambda one: abs(one - 2))
    assert numbers["pictures"][0]["notes"] == ["a clip of 6 frames, 0.png to 5.png"]
    assert unconv(monkeypatch, *words, "--force", "--size", "4x16x16") == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["input_size"] == [1, 4, 16, 16]
    assert "frames 1 to 4 of 6" in numbers["pictures"][0]["notes"]
    assert unconv(monkeypatch, "see", "net.py:build", "pictures", "--slice", "2", *SMALL) == 2
    assert "slice 2; the network is given pictures, 3×32×48, which have no slices" in capsys.readouterr().err
    assert unconv(monkeypatch, "audit", "volume.py:build") == 2
    assert "say input_size=(channels, *axes)" in capsys.readouterr().err
