"""A job killed at any moment and resumed ends like one that was left alone, to the last bit."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unconv.jobs import Checkpoint, Saved, run

HERE = Path(__file__).parent


def test_ten_kills_at_random_moments_change_no_bit(tmp_path) -> None:
    command = [sys.executable, "-W", "error", str(HERE / "killed.py"), str(tmp_path), "10", "20250101"]
    answers = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()
    assert len(answers) >= 2
    assert len(set(answers)) == 1


class PowerCut(BaseException):
    """Nothing runs after it."""


class Disk:
    """Counts what is done to the disk, and cuts the power at one of the calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
        self.calls, self.cut = 0, cut
        for owner, name in [
            (os, "fsync"), (pathlib.Path, "mkdir"), (pathlib.Path, "replace"), (pathlib.Path, "write_text"),
            (shutil, "rmtree"),
        ]:  # fmt: skip
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name), name))

    def counted(self, function, name: str):
        def call(*arguments, **options):
            self.calls += 1
            if self.calls == self.cut and name == "write_text":
                function(arguments[0], arguments[1][: len(arguments[1]) // 2])
            if self.calls == self.cut and name == "rmtree":
                next(arguments[0].iterdir()).unlink()
            if self.calls >= self.cut:
                raise PowerCut
            return None if name == "fsync" else function(*arguments, **options)

        return call


def total_of(folder: Path) -> list[float]:
    checkpoint = Checkpoint(folder, every_parts=1)
    return run(range(5), lambda n: n / 7, lambda total, part: [*total, part], state=[], checkpoint=checkpoint).state


def test_power_cut_at_every_call_to_the_disk_changes_nothing(tmp_path) -> None:
    expected = [n / 7 for n in range(5)]
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, 10**9)
        assert total_of(tmp_path / "all") == expected
    assert disk.calls > 30
    for cut in range(1, disk.calls + 1):
        folder = tmp_path / str(cut)
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, cut)
            with pytest.raises(PowerCut):
                total_of(folder)
        saved = Checkpoint(folder).load() if folder.exists() else None
        assert saved is None or not saved.notes
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, 10**9)
            assert total_of(folder) == expected
            Checkpoint(folder).save(Saved(0))
        assert sorted(path.name.rpartition("-")[0] for path in folder.iterdir()) == ["", "generation", "generation"]


INTERRUPTED = """
import signal, sys, time
from unconv.jobs import Checkpoint, Serial, Threads, run

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background

def slow(item):
    if item == 3:
        print("there", flush=True)
        time.sleep(60)
    return item

executor = Threads(2) if sys.argv[2] == "threads" else Serial()
run(range(6), slow, lambda total, part: total + [part], state=[], executor=executor, checkpoint=Checkpoint(sys.argv[1]))
"""


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_ctrl_c_stops_at_once_and_keeps_what_is_done(tmp_path, executor) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path), executor]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "there\n"
        time.sleep(0.1)
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=20)[1]
    assert time.perf_counter() - began < 3
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    saved = Checkpoint(tmp_path).load()
    assert isinstance(saved, Saved)
    assert (saved.parts, saved.total) == (3, [0, 1, 2])
    again = run(range(6), int, lambda total, part: [*total, part], state=[], checkpoint=Checkpoint(tmp_path))
    assert (again.state, again.resumed) == (list(range(6)), 3)
