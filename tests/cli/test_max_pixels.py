"""``--max-pixels``: alike in every command that reads pictures; a line names the picture, its size and the way out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import unconv as uc
from unconv.cli.main import run
from unconv.data.images import pixel_limit, save_image
from unconv.errors import UnconvError

NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
"""
LINE = "large.png: 40×50 pixels are more than 1,000; --max-pixels 2000 lets them through"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    save_image(torch.rand(3, 40, 50), tmp_path / "large.png")
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "words",
    [
        "see net.py:build large.png --size 16",
        "scan net.py:build large.png --size 16",
        "experiment occlusion net.py:build large.png --size 16 -o o.png",
        "experiment invariance net.py:build large.png --size 16 -o o.png",
        "experiment first-layer net.py:build large.png --size 16 -o o.png",
        "encode large.png",
        "learn large.png",
        "denoise large.png --sigma 0.1 -o clean.png",
    ],
)
def test_every_command_skips_what_is_too_large_and_says_the_way_out(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["unconv", *words.split(), "--max-pixels", "1000"])
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert LINE in line


def test_the_limit_is_that_of_the_call(place: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    for call in (
        lambda **options: uc.read_images(place / "large.png", **options),
        lambda **options: uc.scan(model, place / "large.png", ["0"], **options),
        lambda **options: uc.project(model, place / "large.png", "0", 1, **options),
        lambda **options: uc.see(model, place / "large.png", ["0"], place / "report", fidelity=0, **options),
    ):
        with pytest.raises(UnconvError, match="40×50 pixels are more than 1,999; max_pixels=2000 lets them through"):
            call(max_pixels=1999)
        assert call(max_pixels=2000) is not None


def test_a_limit_holds_within_its_block_alone(place: Path) -> None:
    with pixel_limit(1000):
        with pixel_limit(10**9):
            assert len(uc.read_images(place / "large.png")) == 1
        with pytest.raises(UnconvError, match="more than 1,000"):
            uc.read_images(place / "large.png")
    assert len(uc.read_images(place / "large.png")) == 1
    with pytest.raises(UnconvError, match="lets nothing through"), pixel_limit(0):
        pass
