"""``unconv arithmetic``: what it prints, what it writes, and what it refuses with one line and exit code 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from unconv.cli.arithmetic.commands import app


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def facts(*arguments: str) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert isinstance(found, dict)
    return found


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in a process of its own."""
    code = "from unconv.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, "arithmetic", *arguments], capture_output=True, text=True, encoding="utf-8"
    )


def test_sizes_relation_and_picture_are_printed() -> None:
    lines = call("conv", "-i", "5", "-k", "3", "-s", "2", "-p", "1").output.splitlines()
    assert lines[:3] == [
        "Convolution: kernel 3 × 3, stride 2, padding 1",
        "5 × 5 → 3 × 3",
        "Relation 6:  o = ⌊(i + 2p − k)/s⌋ + 1 = ⌊(5 + 2·1 − 3)/2⌋ + 1 = 3",
    ]
    assert "· □ ■ ■ ■ □ ·            □ ■ □" in "\n".join(lines) or "· □ ■ ■ ■ □ ·" in lines
    assert "C is 9 × 25 with 49 non-zeros and 9 distinct weights" in "\n".join(lines)


def test_json_of_a_non_square_convolution() -> None:
    found = facts("conv", "-i", "7x5", "-k", "3x2")
    assert (found["output_size"], found["relation"]) == ([5, 4], [1, 1])
    assert found["formula"] == ["o = i − k + 1"] * 2
    assert found["working"] == ["o = 7 − 3 + 1 = 5", "o = 5 − 2 + 1 = 4"]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_json_sizes_equal_torch(dims: int) -> None:
    conv = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[dims - 1](1, 1, 3, 2, 1)
    up = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)[dims - 1](1, 1, 3, 2, 1, 1)
    pool = (torch.nn.MaxPool1d, torch.nn.MaxPool2d, torch.nn.MaxPool3d)[dims - 1](3, 2, 1, ceil_mode=True)
    mean = (torch.nn.AvgPool1d, torch.nn.AvgPool2d, torch.nn.AvgPool3d)[dims - 1](2)
    x = torch.zeros(1, 1, *(6,) * dims)
    common = ("-i", "6", "--dims", str(dims))
    for module, arguments in (
        (conv, ("conv", *common, "-k", "3", "-s", "2", "-p", "1")),
        (up, ("transpose", *common, "-k", "3", "-s", "2", "-p", "1", "-a", "1")),
        (pool, ("maxpool", *common, "-k", "3", "-s", "2", "-p", "1", "--ceil-mode")),
        (mean, ("avgpool", *common, "-k", "2")),
    ):
        assert facts(*arguments)["output_size"] == list(module(x).shape[2:])


@pytest.mark.parametrize(
    ("spelling", "pairs"),
    [
        ("1", [[1, 1], [1, 1]]),
        ("1x0", [[1, 1], [0, 0]]),
        ("1:2x0:1", [[1, 2], [0, 1]]),
        ("1:0x2", [[1, 0], [2, 2]]),
        ("same", [[0, 1], [0, 1]]),
        ("same_upper", [[0, 1], [0, 1]]),
        ("same_lower", [[1, 0], [1, 0]]),
        ("valid", [[0, 0], [0, 0]]),
    ],
)
def test_paddings_are_understood(spelling: str, pairs: list[list[int]]) -> None:
    assert facts("conv", "-i", "6", "-k", "2", "-p", spelling)["padding"] == pairs


def test_the_matrix_is_the_guide_s() -> None:
    output = call("conv", "-i", "4", "-k", "3", "--matrix").output
    assert "C, 4 × 16:\n⎡ w₀₀ w₀₁ w₀₂ 0   w₁₀" in output
    assert "Cᵀ, 16 × 4:\n⎡ w₀₀ 0   0   0   ⎤" in output
    entries = facts("conv", "-i", "4", "-k", "3", "--matrix")["matrix_entries"]
    assert (len(entries), len(entries[0]), entries[3][5]) == (4, 16, "w_{0,0}")


def test_channels_and_groups_enter_the_numbers() -> None:
    matrix = facts("conv", "-i", "32", "-k", "5", "--channels", "3x2")["matrix"]
    assert matrix == {
        "shape": [2 * 28 * 28, 3 * 32 * 32],
        "nonzeros": 6 * 25 * 28 * 28,
        "distinct_weights": 150,
        "dense_weights": 2 * 28 * 28 * 3 * 32 * 32,
    }
    assert facts("conv", "-i", "8", "-k", "3", "--channels", "4", "--groups", "4")["matrix"]["distinct_weights"] == 36


def test_a_large_geometry_is_described_though_not_drawn() -> None:
    result = call("conv", "-i", "224", "-k", "7", "-s", "2", "-p", "3", "--channels", "3x64")
    assert result.exit_code == 0
    assert "224 × 224 × 3 → 112 × 112 × 64" in result.output
    assert "No picture: draw: 3 → 64 channels are more than the 8 maps" in result.output


@pytest.mark.parametrize("ending", ["svg", "gif", "png", "html"])
def test_pictures_are_written(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"up.{ending}"
    result = call(
        "transpose", "-i", "3", "-k", "3", "-s", "2", "-p", "1", "--output-padding", "1", "-o", str(path),
        "--view", "zeros", "--numbers", "7", "--theme", "dark",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"Wrote {path}: zeros view" in result.output
    assert path.stat().st_size > 1000
    if ending == "gif":
        with Image.open(path) as image:
            assert image.n_frames == 36


def test_a_still_is_written_in_any_size(tmp_path: Path) -> None:
    arguments = ("conv", "-i", "5", "-k", "3", "--frame", "2", "-o", str(tmp_path / "x.png"))
    assert "gather view, one frame" in call(*arguments).output
    with Image.open(tmp_path / "x.png") as small:
        size = small.size
    call(*arguments, "--scale", "3")
    with Image.open(tmp_path / "x.png") as large:
        assert large.size == (3 * size[0], 3 * size[1])
    assert "Output (2, 0) collects" in call("conv", "-i", "5", "-k", "3", "--frame", "6").output


def test_json_names_the_file_and_what_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "long.svg"
    found = facts("conv", "-i", "28", "-k", "5", "-o", str(path))
    assert (found["written"], found["frames"], found["note"]) == (str(path), 120, "120 of 576 steps are shown.")


def test_solutions_are_listed_the_best_first() -> None:
    lines = call("solve", "--from", "44", "--to", "88").output.splitlines()
    assert lines[1].split() == ["kernel", "stride", "padding", "output", "padding", "overlap"]
    assert lines[2].split() == ["2", "2", "0", "0", "even"]
    solutions = facts("solve", "--from", "7x5", "--to", "14x11")["solutions"]
    for solution in solutions:
        layer = torch.nn.ConvTranspose2d(
            1, 1, solution["kernel_size"], solution["stride"], [pair[0] for pair in solution["padding"]],
            solution["output_padding"],
        )  # fmt: skip
        assert layer(torch.zeros(1, 1, 7, 5)).shape[2:] == (14, 11)
    assert solutions


def test_all_writes_the_nineteen_and_their_page(tmp_path: Path) -> None:
    result = call("--all", "-o", str(tmp_path / "gallery"))
    assert result.exit_code == 0, result.output
    endings = [path.suffix for path in (tmp_path / "gallery").iterdir()]
    assert (endings.count(".svg"), endings.count(".gif"), endings.count(".html")) == (19, 19, 1)
    assert "19 animations as SVG and GIF" in result.output


def test_all_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("--all", "--json").exit_code == 0
    assert (tmp_path / "gallery" / "index.html").exists()


def test_alone_it_shows_its_help() -> None:
    result = call()
    assert result.exit_code == 0
    assert "unconv arithmetic --all -o gallery/" in result.output


@pytest.mark.parametrize("command", ["conv", "transpose", "maxpool", "avgpool", "solve"])
def test_help_has_examples(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Examples" in result.output
    assert f"unconv arithmetic {command}" in result.output


REFUSED = [
    (["conv", "-i", "5xx", "-k", "3"], "-i '5xx' is not a size"),
    (["conv", "-i", "0", "-k", "3"], "input size 0 must be at least 1"),
    (["conv", "-i", "-3", "-k", "3"], "-i '-3' is not a size"),
    (["conv", "-i", "a", "-k", "3"], "-i 'a' is not a size"),
    (["conv", "-i", "٣", "-k", "3"], "is not a size"),
    (["conv", "-i", "5", "-k", "3", "-p", "1:"], "-p '1:' is not a padding"),
    (["conv", "-i", "5x5", "-k", "3", "--dims", "3"], "-i 5x5 has 2 axes, --dims says 3"),
    (["conv", "-i", "5", "-k", "7"], "kernel 7 is larger than the padded input 5"),
    (["conv", "-i", "5", "-k", "3x3x3"], "arguments speak of 2 and 3 spatial axes"),
    (["conv", "-i", "5", "-k", "3", "-s", "2", "-p", "same"], "padding 'same' with stride (2, 2)"),
    (["transpose", "-i", "3", "-k", "3", "-a", "1"], "output padding 1 on axis 0 must be smaller"),
    (["conv", "-i", "5", "-k", "3", "--view", "zeros"], "conv has no view 'zeros'"),
    (["conv", "-i", "5", "-k", "3", "--theme", "pink", "--json"], "theme 'pink' is not known"),
    (["conv", "-i", "5", "-k", "3", "--numbers", "some"], "numbers 'some' is not known"),
    (["conv", "-i", "5", "-k", "3", "--channels", "3x2x1"], "must be channels in and out"),
    (["conv", "-i", "5", "-k", "3", "--channels", "3x2", "--groups", "2"], "groups 2 must divide"),
    (["conv", "-i", "5", "-k", "3", "-o", "x.jpg"], "--out x.jpg: files end in .svg"),
    (["conv", "-i", "5", "-k", "3", "-o", "missing/x.gif"], "there is no folder missing; make it first"),
    (["conv", "-i", "4096", "-k", "3", "-o", "x.gif"], "a picture holds 6,000"),
    (["conv", "-i", "224", "-k", "3", "--matrix"], "are more than the 4,096 that are written out"),
    (["conv", "-i", "5", "-k", "3", "--frame", "9"], "frame 9 is outside the 9 frames"),
    (["conv", "-i", "5", "-k", "3", "-o", "x.gif", "--frame", "1"], "frame 1 chooses a still"),
    (["conv", "-i", "5", "-k", "3", "-o", "x.svg", "--scale", "2"], "scale 2 multiplies pixels"),
    (["solve", "--from", "44", "--to", "8x8x"], "--to '8x8x' is not a size"),
    (["--all", "--theme", "pink"], "theme 'pink' is not known"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_refusals_name_the_trouble(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code != 0
    assert words in str(result.exception)
    assert "\n" not in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["conv", "-k", "3"], ["nothing"], ["-o", "x"], ["--all", "conv", "-i", "5", "-k", "3"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2


def test_a_refusal_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    result = shell("conv", "-i", "5", "-k", "7")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "unconv: conv: kernel 7 is larger than the padded input 5 on axis 0; increase padding or the input size"
    ]
    result = shell("conv", "-i", "5", "-k", "3", "-o", str(tmp_path))
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = shell("conv", "-i", "5", "-k", "3", "-o", str(tmp_path / "x.svg"))
    assert (result.returncode, "Permission denied" in result.stderr) == (2, True)


def test_the_command_runs_as_a_user_runs_it() -> None:
    result = shell("conv", "-i", "7x5", "-k", "3x2", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["output_size"] == [5, 4]
