"""A small training, and a process that kills it over and over: ``python killed_train.py FOLDER KILLS SEED``.

Prints the checksum of what a training left alone has come to, then those of trainings that were killed and resumed.
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

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.train.tasks import examples, measure, network
from unconv.train.augment import augmentation
from unconv.train.loop import Settings, fit


def train(folder: Path | None) -> str:
    """The checksum of weights and history."""
    torch.set_num_threads(1)
    fitted = fit(
        network(), measure, examples(160), examples(40, seed=1), Settings(epochs=5, batch_size=16, rate=0.05, seed=3),
        augment=augmentation(shift=0.2), checkpoint=folder, checkpoint_seconds=0,
    )  # fmt: skip
    assert not fitted.notes
    pieces = [value.contiguous().numpy().tobytes() for value in fitted.weights.values()]
    return sha256(b"".join([*pieces, repr(fitted.history).encode()])).hexdigest()


def attempt(folder: Path, seconds: float | None) -> bool:
    """Train in a child and kill it after some seconds; whether the kill struck."""
    child = os.fork()
    if child == 0:
        (folder / "answer").write_text(train(folder))
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0, status
    return os.WIFSIGNALED(status)


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill, resume, kill, resume; a training that ends in between is compared and a new one begun."""
    chance = random.Random(seed)
    print(train(None), flush=True)
    first = folder / "alone"
    first.mkdir()
    began = time.perf_counter()
    attempt(first, None)
    longest = time.perf_counter() - began
    print((first / "answer").read_text(), flush=True)
    struck, number = 0, 0
    while struck < kills:
        here = folder / str(number)
        here.mkdir(exist_ok=True)
        if attempt(here, chance.uniform(0.1, 0.6) * longest):
            struck += 1
        else:
            print((here / "answer").read_text(), flush=True)
            number += 1
    here.mkdir(exist_ok=True)
    attempt(here, None)
    print((here / "answer").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
