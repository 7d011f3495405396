"""A small learner, and a process that kills it over and over: ``python killed_learn.py FOLDER KILLS SEED BATCH``.

Prints the checksum of what a learner left alone has learned, then those of learners that were killed and resumed.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.jobs.killing import kill_and_resume, longest
from unconv.sparse.estimator.learner import DictionaryLearner


def learn(folder: Path | None, batch_size: int | None) -> str:
    """The checksum of dictionary, history and use."""
    torch.set_num_threads(1)
    images = torch.rand(20, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    learner = DictionaryLearner(
        6, 5, 0.3, batch_size=batch_size, max_iter=8, tol=0.0, random_state=3, checkpoint=folder, checkpoint_seconds=0
    ).fit(images)
    history = [(entry.number, entry.objective, entry.gap, entry.nonzeros) for entry in learner.history_]
    pieces = (learner.dictionary_.numpy().tobytes(), learner.kernel_use_.numpy().tobytes(), repr(history).encode())
    return sha256(b"".join(pieces)).hexdigest()


def main(folder: Path, kills: int, seed: int, batch_size: int | None) -> None:
    """Learners that are killed, and before them two left alone."""

    def work(here: Path | None) -> str:
        return learn(here, batch_size)

    print(work(None), flush=True)
    whole = longest(work, folder / "alone")
    kill_and_resume(lambda _: work, folder, kills, seed, (0.1 * whole, 0.6 * whole))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) or None)
