"""All commands that write: bad places are refused alike, before anything is read, and nothing is destroyed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.errors import UnconvError

# A command, with what it reads; none of it can be read: a refusal that tells of it comes after work has begun.
READS = {
    "arithmetic": ["--all"],
    "arithmetic conv": ["-i", "5", "-k", "3"],
    "arithmetic transpose": ["-i", "5", "-k", "3"],
    "arithmetic maxpool": ["-i", "5", "-k", "3"],
    "arithmetic avgpool": ["-i", "5", "-k", "3"],
    "audit": ["net.py:build", "--weights", "w.safetensors"],
    "scan": ["net.py:build", "photos", "x.png", "--weights", "w.safetensors"],
    "see": ["net.py:build", "photos", "--weights", "w.safetensors", "--compare", "w.safetensors"],
    "experiment occlusion": ["net.py:build", "x.png", "--weights", "w.safetensors"],
    "experiment correspondence": ["net.py:build", "x.png", "photos", "--parts", "parts.json"],
    "experiment invariance": ["net.py:build", "x.png", "photos"],
    "experiment evolution": ["net.py:build", "x.png", "--layer", "1", "--weights", "w.safetensors"],
    "experiment first-layer": ["net.py:build", "x.png"],
    "experiment transfer": ["net.py:build", "photos"],
    "learn": ["photos", "x.png"],
    "encode": ["photos", "x.png", "-d", "w.safetensors"],
    "denoise": ["x.png", "-o", "free.png", "-d", "w.safetensors", "--reference", "photos/a.png"],
    "inpaint": ["x.png", "-o", "free.png", "--mask", "photos/a.png"],
    "train classify": ["--data", "photos", "--model", "net.py:build"],
    "train segment": ["--data", "photos", "--start", "w.safetensors"],
    "train generate": ["--data", "photos"],
    "sample": ["w.safetensors"],
    "demo": [],
}
# Options with a path: what is written, by the endings of its files; and what is read.
WRITES = {
    ("arithmetic", "--out"): "folder",
    **{(f"arithmetic {name}", "--out"): ".svg" for name in ("conv", "transpose", "maxpool", "avgpool")},
    ("audit", "--out"): ".json",
    ("audit", "--fix"): ".py",
    ("scan", "--out"): ".safetensors",
    ("scan", "--checkpoint"): "folder",
    ("see", "--out"): "folder",
    **{(name, "--out"): ".png" for name in READS if name.startswith("experiment")},
    ("learn", "--out"): ".safetensors",
    ("learn", "--checkpoint"): "folder",
    ("learn", "--plot"): ".png",
    ("encode", "--out"): ".safetensors",
    ("encode", "--plot"): ".png",
    **{(name, option): ".png" for name in ("denoise", "inpaint") for option in ("--out", "--plot")},
    **{(f"train {name}", "--out"): ".safetensors" for name in ("classify", "segment", "generate")},
    **{(f"train {name}", "--checkpoint"): "folder" for name in ("classify", "segment", "generate")},
    **{(f"train {name}", "--log"): "folder" for name in ("classify", "segment", "generate")},
    ("train classify", "--plot"): ".png",
    ("train segment", "--plot"): ".png",
    ("train generate", "--plot"): ".png",
    ("train generate", "--plot-kernels"): ".png",
    ("sample", "--out"): ".png",
    ("sample", "--plot-kernels"): ".png",
    ("demo", "--out"): "folder",
}
READ_BY = {"--weights", "--classes", "--scan", "--parts", "--mask", "--reference", "--start"}
FILES = sorted(key for key, kind in WRITES.items() if kind != "folder")
FOLDERS = sorted(key for key, kind in WRITES.items() if kind == "folder")
NET = "open('begun', 'w')\nWEIGHTS = 'own.json', 'own.png', 'own.svg', 'own.safetensors'\ndef build(): ...\n"


def commands(group: Any = None, above: str = "") -> Iterator[tuple[str, Any]]:
    """All commands of the program by name, groups that take options among them."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        full = f"{above} {name}".strip()
        yield full, command
        if hasattr(command, "commands"):
            yield from commands(command, full)


def test_every_option_with_a_path_is_known_here() -> None:
    for name, command in commands():
        for option in command.params:
            if option.param_type_name == "option" and "Path" in str(option.type_descriptor.annotation):
                longest = max(option.opts, key=len)
                read = longest in READ_BY or f"{name} {longest}" in READ_BY
                assert read or (name, longest) in WRITES, f"{name} {longest}: is it read or written? name it here"
    assert {name for name, _ in WRITES} == set(READS)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("x.png", "photos/a.png", "w.safetensors", "parts.json", "own.json", "own.png", "file"):
        (tmp_path / name).write_text(name)
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "/"
        for path in folder.rglob("*")
    }


def refusal(name: str, *words: str) -> str:
    """The line with which a command refuses, before and after which the folder is the same."""
    before = contents(Path())
    result = CliRunner().invoke(app, [*name.split(), *READS[name], *words])
    assert isinstance(result.exception, UnconvError), (result.output, result.exception)
    assert contents(Path()) == before
    line = str(result.exception)
    assert "\n" not in line
    return line


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("name", "option"), FILES)
def test_files_that_cannot_be_written_are_refused_before_the_work(name: str, option: str) -> None:
    ending = WRITES[name, option]
    Path(f"folder{ending}").mkdir()
    Path(f"full{ending}").symlink_to("/dev/full")
    for path, told in (
        (f"nowhere/y{ending}", "there is no folder nowhere; make it first"),
        (f"file/y{ending}", "file is no folder"),
        (f"folder{ending}", "it is a folder; name a file"),
        (f"full{ending}", "it is no ordinary file"),
        (f"/proc/y{ending}", "/proc cannot be written to"),
        ("y.xyz", f"{ending}"),
        ("y", f"{ending}"),
    ):
        line = refusal(name, option, path)
        assert line.startswith(f"{option} {path}: "), line
        assert told in line, line


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("name", "option"), FOLDERS)
def test_folders_that_cannot_be_written_are_refused_before_the_work(name: str, option: str) -> None:
    for path, told in (
        ("file", "it is a file; name a folder"),
        ("file/y", "file is a file"),
        ("/proc/y", "/proc cannot"),
    ):
        line = refusal(name, option, path)
        assert line.startswith(f"{option} {path}: "), line
        assert told in line, line


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("name", "option"), [key for key in FILES if WRITES[key] != ".py"])
def test_endings_in_capitals_are_taken(name: str, option: str) -> None:
    # The folder, not the ending, is what is refused.
    assert "there is no folder" in refusal(name, option, f"nowhere/y{WRITES[name, option].upper()}")


def inputs_of(name: str) -> list[str]:
    """The files that a command is given, and those behind them."""
    words = [word for word in READS[name] if not word.startswith("-") and word != "free.png"]
    return [
        *words,
        *(["own.json", "own.png"] if "net.py:build" in words else []),
        *(["photos/a.png"] * ("photos" in words)),
    ]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "option", "given"),
    [
        (name, option, given)
        for name, option in FILES
        for given in dict.fromkeys(inputs_of(name))
        if given.endswith(WRITES[name, option])
    ],
)
def test_inputs_are_never_outputs(name: str, option: str, given: str) -> None:
    ending = WRITES[name, option]
    Path(f"soft{ending}").symlink_to(given)
    Path(f"hard{ending}").hardlink_to(given)
    # A file is replaced, not written into: another name of a picture in a folder leaves the picture.
    linked = () if "/" in given else (f"hard{ending}",)
    for path in (given, f"./photos/../{given}", f"soft{ending}", *linked):
        line = refusal(name, option, path)
        assert line.startswith(f"{option} "), line
        assert "read" in line, line


PAIRS = [
    (name, one, other)
    for name, one in FILES
    for also, other in FILES
    if name == also and one < other and WRITES[name, one] == WRITES[name, other]
]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("name", "one", "other"), PAIRS)
def test_two_outputs_are_two_files(name: str, one: str, other: str) -> None:
    ending = WRITES[name, one]
    Path(f"soft{ending}").symlink_to(f"y{ending}")
    for first, second in ((f"y{ending}", f"./y{ending}"), (f"y{ending}", f"soft{ending}")):
        assert "writes there too; name two files" in refusal(name, one, first, other, second)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("name", "option", "taken"), [
    ("see", "--out", "index.html"),
    ("see", "--out", "images/mine.png"),
    ("demo", "--out", "network/index.html"),
    ("arithmetic", "--out", "dilation.svg"),
])  # fmt: skip
def test_files_of_others_in_a_folder_are_not_replaced(name: str, option: str, taken: str) -> None:
    path = Path("mine") / taken
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    assert f"holds {taken}, not written by this command" in refusal(name, option, "mine")


@pytest.mark.usefixtures("place")
def test_pictures_of_a_report_are_not_read_and_replaced() -> None:
    path = Path("report/images/a.png")
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    Path("report/.unconv.json").write_text('{"files": ["images/a.png"]}')
    for given in ("report", "report/images", "report/images/a.png", "."):
        result = CliRunner().invoke(app, ["see", "net.py:build", given, "-o", "report"])
        assert "would replace what is read" in str(result.exception) or "is read" in str(result.exception)
    assert path.read_text() == "mine"
