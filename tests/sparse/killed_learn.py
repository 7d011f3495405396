"""A small learner, and a process that kills it over and over: ``python killed_learn.py FOLDER KILLS SEED BATCH``.

Prints the checksum of what a learner left alone has learned, then those of learners that were killed and resumed.
The children are forked, so that torch is imported once.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from hashlib import sha256
from pathlib import Path

import torch

from unconv.sparse.learner import DictionaryLearner


def learn(folder: Path | None, batch_size: int | None) -> str:
    """The checksum of dictionary, history and use."""
    torch.set_num_threads(1)
    images = torch.rand(20, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    learner = DictionaryLearner(
        6, 5, 0.3, batch_size=batch_size, max_rounds=8, tol=0.0, random_state=3, checkpoint=folder, checkpoint_seconds=0
    ).fit(images)
    history = [(entry.number, entry.objective, entry.gap, entry.nonzeros) for entry in learner.history_]
    pieces = (learner.dictionary_.numpy().tobytes(), learner.kernel_use_.numpy().tobytes(), repr(history).encode())
    return sha256(b"".join(pieces)).hexdigest()


def attempt(folder: Path, batch_size: int | None, seconds: float | None) -> bool:
    """Learn in a child and kill it after some seconds; whether the kill struck."""
    child = os.fork()
    if child == 0:
        (folder / "answer").write_text(learn(folder, batch_size))
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0, status
    return os.WIFSIGNALED(status)


def main(folder: Path, kills: int, seed: int, batch_size: int | None) -> None:
    """Kill, resume, kill, resume; a learner that ends in between is compared and a new one begun."""
    chance = random.Random(seed)
    print(learn(None, batch_size), flush=True)
    first = folder / "alone"
    first.mkdir()
    began = time.perf_counter()
    attempt(first, batch_size, None)
    longest = time.perf_counter() - began
    print((first / "answer").read_text(), flush=True)
    struck, number = 0, 0
    while struck < kills:
        here = folder / str(number)
        here.mkdir(exist_ok=True)
        if attempt(here, batch_size, chance.uniform(0.1, 0.6) * longest):
            struck += 1
        else:
            print((here / "answer").read_text(), flush=True)
            number += 1
    here.mkdir(exist_ok=True)
    attempt(here, batch_size, None)
    print((here / "answer").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) or None)
