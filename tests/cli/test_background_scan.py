"""docs/jobs.md: ten thousand pictures scanned in the background, killed, and gone on with by the same command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unconv.visualize import TopActivations

ROOT = Path(__file__).parents[2]
NET = """
import torch
from torch import nn

class Counted(nn.Conv2d):
    def forward(self, x):
        with open("batches", "a") as log:
            log.write(".")
        return super().forward(x)

def build():
    torch.manual_seed(0)
    return nn.Sequential(Counted(1, 4, 3, stride=4), nn.ReLU()), {"size": 12, "mean": 0.5, "std": 0.5}
"""
PICTURES = np.random.default_rng(0).integers(0, 256, (10_000, 12, 12), dtype=np.uint8)


def peaks() -> torch.Tensor:
    """(picture, unit): the strongest value of each unit in each picture."""
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(1, 4, 3, stride=4)
    with torch.inference_mode():
        values: torch.Tensor = layer(torch.from_numpy(PICTURES)[:, None] / 255 * 2 - 1)
    return values.flatten(2).amax(2)


def spent(number: int) -> float:
    """Seconds of a processor that a process has used; infinite once it has ended."""
    try:
        state, *rest = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return float("inf")
    return float("inf") if state == "Z" else (int(rest[10]) + int(rest[11])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, a network, and a command ``unconv`` that is this one."""
    (tmp_path / "photos").mkdir()
    for number, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(tmp_path / "photos" / f"{number:05}.png", compress_level=0)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "unconv").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m unconv "$@"\n')
    (tmp_path / "bin" / "unconv").chmod(0o755)
    return tmp_path


def commands() -> list[str]:
    """Those of the job, for the network of the test."""
    text = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
    job = text[text.index("## Ten thousand pictures") :]
    found: list[str] = re.findall(r"^\$ (unconv scan .*?|nohup .*?)(?: +#.*)?$", job, re.MULTILINE)
    return [command.replace("torchvision:resnet50", "net.py:build") for command in found]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_scan_in_the_background_goes_on_after_a_kill(folder: Path, how: signal.Signals) -> None:
    background, again = commands()
    assert background.startswith("nohup ")
    assert background.endswith("> scan.log 2>&1 &")
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    shell = f"{background} echo $!"
    started = subprocess.run(
        ["sh", "-c", shell], cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    number = int(started.stdout)
    end = time.monotonic() + 120
    while not list(folder.glob("run/generation-*")):
        assert time.monotonic() < end, (folder / "scan.log").read_text()
        time.sleep(0.01)
    if how == signal.SIGTERM:
        # Told to end, it keeps what it has done since the first checkpoint: ten batches, or one less.
        batches = folder / "batches"
        enough = batches.stat().st_size + 10
        while batches.stat().st_size < enough:
            assert time.monotonic() < end
            time.sleep(0.001)
    os.kill(number, how)
    while spent(number) < float("inf"):
        time.sleep(0.01)
    assert not (folder / "top.safetensors").exists()
    done = subprocess.run(again.split(), cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before = re.search(r"^(\d+) of 313 batches done before$", done.stderr, re.MULTILINE)
    assert before is not None
    if how == signal.SIGTERM:
        assert int(before[1]) > 1
        assert (folder / "scan.log").read_text().endswith("unconv: terminated\n")
    assert "10000 pictures" in done.stdout
    found = TopActivations.load(folder / "top.safetensors")
    strongest = peaks().sort(dim=0, descending=True)
    torch.testing.assert_close(found.values["0"], strongest.values[:9].T)
    assert torch.equal(found.images["0"].long(), strongest.indices[:9].T)
