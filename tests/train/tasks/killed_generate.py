"""A small contest, and a process that kills it over and over: ``python killed_generate.py FOLDER KILLS SEED``.

Prints the checksum of what a training left alone has come to, then those of trainings that were killed and resumed.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.jobs.killing import kill_and_resume, longest
from tests.train.contests import adversaries, halves
from unconv.train.loop.loop import run_learner
from unconv.train.loop.settings import Settings


def train(folder: Path | None) -> str:
    """The checksum of weights and history."""
    torch.set_num_threads(1)
    learner = adversaries()
    fitted = run_learner(
        learner, halves(160), halves(40, 1), Settings(3, 16, seed=3), checkpoint=folder, checkpoint_seconds=0
    )
    assert not fitted.notes
    pieces = [value.contiguous().numpy().tobytes() for value in fitted.weights.values()]
    pieces += [
        value.contiguous().numpy().tobytes() for value in learner.networks["discriminator"].state_dict().values()
    ]
    return sha256(b"".join([*pieces, repr(fitted.history).encode()])).hexdigest()


def main(folder: Path, kills: int, seed: int) -> None:
    """Trainings that are killed, and before them two left alone."""
    print(train(None), flush=True)
    whole = longest(train, folder / "alone")
    kill_and_resume(lambda _: train, folder, kills, seed, (0.1 * whole, 0.6 * whole))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
