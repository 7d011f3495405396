"""A small job of tensors, and a process that kills it over and over: ``python killed.py FOLDER KILLS SEED``.

Prints a line for each job that came to its end between the kills, the checksum of its answer, and before them that
of a job left alone.
"""

from __future__ import annotations

import random
import sys
import time
from hashlib import sha256
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.jobs.killing import kill_and_resume
from unconv.jobs import Checkpoint, Serial, Threads, iterate

ROUNDS, PARTS = 4, 6


def partition(_model: dict, t: int) -> list[int]:
    return random.Random(t).sample(range(PARTS), PARTS)


def map_part(model: dict, item: int) -> torch.Tensor:
    time.sleep(0.004)
    return torch.tanh(model["weights"] * (item + 1)).cumsum(0)


def combine(total: dict, part: torch.Tensor) -> dict:
    total["sum"] += part
    total["seen"].append(float(part.mean()))
    return total


def finish(model: dict, total: dict) -> dict:
    noise = torch.Generator()
    noise.set_state(model["noise"].get_state())
    weights = model["weights"] - 0.1 * total["sum"] / PARTS + 0.01 * torch.randn(2000, generator=noise)
    return {"weights": weights, "noise": noise, "history": [*model["history"], sum(total["seen"])]}


def job(folder: Path | None, seed: int = 0) -> str:
    """The checksum of everything the job has computed."""
    torch.set_num_threads(1)
    model = {"weights": torch.linspace(-1, 1, 2000), "noise": torch.Generator().manual_seed(3), "history": []}
    result = iterate(
        ROUNDS, partition, map_part, combine, finish, model=model,
        start=lambda _: {"sum": torch.zeros(2000), "seen": []},
        executor=Threads(2) if seed % 2 else Serial(),
        checkpoint=None if folder is None else Checkpoint(folder, {"rate": 0.1}, every_parts=1 + seed % 2),
    )  # fmt: skip
    state = result.state
    assert result.parts == ROUNDS * PARTS
    assert not result.notes
    pieces = (state["weights"].numpy().tobytes(), bytes(state["noise"].get_state()), repr(state["history"]).encode())
    return sha256(b"".join(pieces)).hexdigest()


def main(folder: Path, kills: int, seed: int) -> None:
    """Jobs that are killed, and before them one left alone."""
    print(job(None), flush=True)
    kill_and_resume(lambda number: lambda here: job(here, number), folder, kills, seed, (0.01, 0.25))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
