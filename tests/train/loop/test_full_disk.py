"""A disk that fills up while a training is written down: one line, and nothing that was there is lost.

The disks are real: files that may not grow (RLIMIT_FSIZE), and a file system of a few kilobytes where one can be
mounted.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Generator
from typer.testing import CliRunner

from tests.data.test_fashion import make
from tests.train.loop.test_loop import SETTINGS
from tests.train.tasks import examples, measure, network
from unconv.cli.main import app
from unconv.errors import UnconvError
from unconv.jobs import JobError
from unconv.train.data.examples import Batch
from unconv.train.loop.loop import fit

DATA = examples(90), examples(40, seed=1), SETTINGS


@pytest.mark.parametrize("most", [0, 3000])
def test_the_checkpoint_before_survives_and_the_training_goes_on(tmp_path: Path, most: int) -> None:
    """From the tenth step on no file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    steps = []

    def limited(batch: Batch, _: Generator) -> Batch:
        steps.append(batch)
        if len(steps) == 10:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        return batch

    try:
        with pytest.raises(JobError) as caught:
            fit(network(), measure, *DATA, augment=limited, checkpoint=tmp_path, checkpoint_seconds=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in str(caught.value)
    assert "the state before is intact (generation-0000" in str(caught.value)
    assert "make room and resume" in str(caught.value)
    assert "\n" not in str(caught.value)
    again = fit(network(), measure, *DATA, checkpoint=tmp_path)
    assert again.resumed == 9
    assert again.history == fit(network(), measure, *DATA).history


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 64 kB, in a folder with pictures."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone, and not in every container")
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "fashion", count=20)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def train(*options: object) -> None:
    command = ["train", "classify", "--data", "fashion", "--batch-size", "10", "--epochs", "1", *map(str, options)]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0


def refused(*options: object) -> str:
    with pytest.raises(UnconvError) as caught:
        train(*options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_that_find_no_room_are_elsewhere_and_the_file_before_stays(small_disk: Path) -> None:
    out = small_disk / "w.safetensors"
    out.write_text("the weights before")
    refusal, _, rescued = refused("-o", out).rpartition("; what was trained is in ")
    assert "No space left on device" in refusal
    train("-o", "w.safetensors")
    assert Path(rescued).read_bytes() == Path("w.safetensors").read_bytes()
    assert out.read_text() == "the weights before"
    assert list(small_disk.iterdir()) == [out]
    Path(rescued).unlink()
    Path(rescued).parent.rmdir()


def test_with_a_checkpoint_the_same_command_ends_it(small_disk: Path) -> None:
    told = refused("--checkpoint", "kept", "-o", small_disk / "w.safetensors")
    assert "kept has the training: the same command with another -o ends it" in told
    train("--checkpoint", "kept", "-o", "w.safetensors")
    train("-o", "alone.safetensors")
    assert Path("w.safetensors").read_bytes() == Path("alone.safetensors").read_bytes()


def test_a_checkpoint_that_finds_no_room_is_told_at_once(small_disk: Path) -> None:
    told = refused("--checkpoint", small_disk / "kept", "-o", "w.safetensors")
    assert "No space left on device" in told
    assert "nothing was kept so far; make room and resume" in told


def test_a_log_that_finds_no_room_is_one_line(small_disk: Path) -> None:
    (small_disk / "full").write_bytes(b"0" * 64_000)
    told = refused("--log", small_disk / "kept", "-o", "w.safetensors")
    assert told == f"log {small_disk / 'kept'}: No space left on device; make room, or log elsewhere"
