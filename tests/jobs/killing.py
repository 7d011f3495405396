"""Work that is killed over and over and resumed: what the scripts ``killed*.py`` share.

The children are forked, so that torch is imported once.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

Work = Callable[[Path | None], str]


def attempt(work: Work, folder: Path, seconds: float | None) -> bool:
    """Work in a child and kill it after some seconds; whether the kill struck."""
    child = os.fork()
    if child == 0:
        (folder / "answer").write_text(work(folder))
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0, status
    return os.WIFSIGNALED(status)


def longest(work: Work, folder: Path) -> float:
    """Seconds that the work takes with a checkpoint when it is left alone; prints its answer."""
    folder.mkdir()
    began = time.perf_counter()
    attempt(work, folder, None)
    print((folder / "answer").read_text(), flush=True)
    return time.perf_counter() - began


def kill_and_resume(
    work_of: Callable[[int], Work], folder: Path, kills: int, seed: int, seconds: tuple[float, float]
) -> None:
    """Kill, resume, kill, resume; work that ends in between prints its answer, and other work is begun.

    Args:
        work_of: the work of that number: from the folder of its checkpoint to a checksum of its result.
        folder: where checkpoints lie.
        kills: how many kills must strike.
        seed: of the moments.
        seconds: the earliest and the latest of them.
    """
    chance = random.Random(seed)
    struck, number = 0, 0
    while struck < kills:
        here = folder / str(number)
        here.mkdir(exist_ok=True)
        if attempt(work_of(number), here, chance.uniform(*seconds)):
            struck += 1
        else:
            print((here / "answer").read_text(), flush=True)
            number += 1
    here.mkdir(exist_ok=True)
    attempt(work_of(number), here, None)
    print((here / "answer").read_text())
