"""Files as they lie about, through ``unconv see`` and ``unconv scan``: a picture, or one line that says why not."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.visualize.scan.top_activations import TopActivations

NET = """
import torch
from torch import nn
def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 5, 3), nn.ReLU())
"""
SMALL = ("--size", "20", "--mean", "0.5", "--std", "0.25")


class Trap:
    """Unpickling this leaves a file behind."""

    def __reduce__(self) -> tuple[object, ...]:
        return (open, ("trapped", "w"))


def photograph(height: int = 40, width: int = 60) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    memory = io.BytesIO()
    image.save(memory, kind, **options)
    return memory.getvalue()


def pickled_array() -> bytes:
    memory = io.BytesIO()
    np.save(memory, np.array([Trap()], dtype=object), allow_pickle=True)
    return memory.getvalue()


def torch_file() -> bytes:
    memory = io.BytesIO()
    torch.save(Trap(), memory)
    return memory.getvalue()


def deep(bits: int = 16) -> Image.Image:
    return Image.fromarray((np.arange(48 * 64).reshape(48, 64) * (2**bits // 3072)).astype(np.uint16))


READABLE: dict[str, Callable[[], bytes]] = {
    "cmyk.jpg": lambda: encoded(photograph().convert("CMYK"), "JPEG"),
    "cmyk.tif": lambda: encoded(photograph().convert("CMYK"), "TIFF"),
    "sixteen.png": lambda: encoded(deep(), "PNG"),
    "sixteen.tif": lambda: encoded(deep(), "TIFF"),
    "one-pixel.png": lambda: encoded(photograph(1, 1), "PNG"),
    "one-pixel.gif": lambda: encoded(photograph(1, 1).convert("P"), "GIF"),
    "alpha.png": lambda: encoded(photograph().convert("RGBA"), "PNG"),
    "wide.png": lambda: encoded(Image.new("L", (20_000, 16), 90), "PNG"),
    "high.png": lambda: encoded(Image.new("L", (16, 20_000), 90), "PNG"),
    "<img src=x onerror=alert(1)>.png": lambda: encoded(photograph(), "PNG"),
}
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "zero.jpg": (lambda: b"", "empty file (0 bytes)"),
    "truncated.jpg": (lambda: encoded(photograph(), "JPEG")[:900], "truncated"),
    "truncated.png": (lambda: encoded(photograph(), "PNG")[:900], "truncated"),
    "corrupt.jpg": (lambda: b"\xff\xd8\xff\xe0" + bytes(range(200)), "not a picture"),
    "noise.tif": (lambda: b"II*\0" + bytes(range(200)), "not a picture"),
    "huge.png": (lambda: encoded(Image.new("1", (20_000, 20_000)), "PNG"), "20000×20000 pixels are more than"),
    "hair.png": (lambda: encoded(Image.new("L", (2_000_000, 1)), "PNG"), "crop it first"),
    "objects.npy": (pickled_array, "it holds Python objects, which are not loaded"),
    "objects.pt": (torch_file, "not a picture in a known format"),
    "postscript.png": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n", "not a picture"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "net.py").write_text(NET)
    (folder / "files").mkdir()
    for name, make in READABLE.items():
        (folder / "files" / name).write_bytes(make())
    for name, (make, _) in REFUSED.items():
        (folder / "files" / name).write_bytes(make())
    return folder


@pytest.fixture
def place(written: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(written)
    return written


def files_in(held: str) -> str:
    """The folder with all files, or a tar of it."""
    if held == "tar":
        with tarfile.open("files.tar", "w") as archive:
            archive.add("files")
        return "files.tar"
    return "files"


def passed_over(held: str) -> set[str]:
    """No name in a tar but that of a picture is opened."""
    return {"objects.npy", "objects.pt"} if held == "tar" else set()


def check_skipped(lines: list[str], not_opened: set[str]) -> None:
    refused = {name: reason for name, (_, reason) in REFUSED.items() if name not in not_opened}
    assert len(lines) == len(refused)
    for name, reason in refused.items():
        (line,) = (line for line in lines if name in line.partition(":")[0])
        assert reason in line
        assert "\n" not in line


@pytest.mark.parametrize("held", ["folder", "tar"])
def test_see_shows_what_can_be_read_and_lists_the_rest(place: Path, held: str) -> None:
    given = files_in(held)
    result = CliRunner().invoke(app, ["see", "net.py:build", given, "--top-units", "2", "--json", *SMALL])
    assert result.exit_code == 0, result.output
    numbers = json.loads(result.stdout)
    assert numbers["collection"]["used"] == len(READABLE)
    told = [line.removeprefix("skipped ") for line in result.stderr.splitlines() if line.startswith("skipped")]
    check_skipped(told, passed_over(held))
    page = (place / "report" / "index.html").read_text()
    assert "<img src=x" not in page
    assert not (place / "trapped").exists()


def test_see_shows_every_readable_picture_one_by_one(place: Path) -> None:
    files = [str(Path("files") / name) for name in READABLE]
    result = CliRunner().invoke(app, ["see", "net.py:build", *files, "--top-units", "2", "--json", *SMALL])
    assert result.exit_code == 0, result.output
    assert [picture["name"] for picture in json.loads(result.stdout)["pictures"]] == list(READABLE)
    page = (place / "report" / "index.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in page


@pytest.mark.parametrize("held", ["folder", "tar"])
def test_scan_uses_what_can_be_read_and_lists_the_rest(place: Path, held: str) -> None:
    given = files_in(held)
    result = CliRunner().invoke(app, ["scan", "net.py:build", given, "--top", "30", "--json", *SMALL])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    found = TopActivations.load(place / "top.safetensors")
    assert {name.removeprefix("files/") for name in found.names.values()} == set(READABLE)
    assert told["pictures"] == found.count == len(READABLE) + len(REFUSED) - len(passed_over(held))
    check_skipped(told["skipped"], passed_over(held))
    assert not (place / "trapped").exists()


MEASURED = """
import sys
from unconv.cli.main import run
import torch, PIL.Image
sys.argv = ["unconv", *sys.argv[1:]]
try:
    run()
finally:
    # Not ru_maxrss, which remembers the process that this one was forked from.
    with open("/proc/self/status") as status:
        print(*(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("command", ["see", "scan"])
def test_a_picture_of_400_megapixels_is_refused_before_it_fills_the_memory(place: Path, command: str) -> None:
    words = [sys.executable, "-c", MEASURED, command, "net.py:build", "files/huge.png", *SMALL]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    *_, line, peak = done.stderr.strip().splitlines()
    assert "20000×20000 pixels are more than 100,000,000" in line
    # 400 MB as bytes, 4,800 MB as float32 in three channels; the libraries take less than one.
    assert int(peak) < 900_000


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("write", [pickle.dump, lambda trap, stream: torch.save({"weight": trap}, stream)])
def test_weights_that_would_run_code_are_refused_in_one_line(
    place: Path, write: Callable[[object, io.BufferedWriter], None]
) -> None:
    with (place / "weights.pth").open("wb") as stream:
        write(Trap(), stream)
    for command in ("see", "scan"):
        words = [sys.executable, "-c", MEASURED, command, "net.py:build", "files", "--weights", "weights.pth", *SMALL]
        done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        line, _ = done.stderr.strip().splitlines()
        assert line.startswith("unconv: weights weights.pth: no tensors by name in it")
        assert "neither imported nor run: " in line
    assert not (place / "trapped").exists()
