"""A small training, and a process that kills it over and over: ``python killed_train.py FOLDER KILLS SEED KIND``.

KIND is ``plain``, ``muon``, or ``all``: in half precision, its loss scaled, stopped early, and logged.

Prints the checksum of what a training left alone has come to, then those of trainings that were killed and resumed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.jobs.killing import kill_and_resume, longest
from tests.train.loop.test_tensorboard import curves
from tests.train.tasks import examples, measure, network, wide
from unconv.train.data.augment import augmentation
from unconv.train.loop.loop import Settings, fit

CURVES = [(curve, name) for curve in ("held_out", "steps", "train") for name in ("accuracy", "loss")]
PLAIN = Settings(epochs=5, batch_size=16, rate=0.05, seed=3)
KINDS = {
    "plain": PLAIN,
    "muon": replace(PLAIN, optimiser="muon"),
    "all": replace(PLAIN, epochs=9, rate=0.2, precision="float16", patience=2),
}


def train(folder: Path | None, kind: str) -> str:
    """The checksum of weights, history and curves."""
    torch.set_num_threads(1)
    log = None if folder is None or kind != "all" else folder / "log"
    fitted = fit(
        wide() if kind == "muon" else network(), measure, examples(160), examples(40, seed=1), KINDS[kind],
        augment=augmentation(shift=0.2), checkpoint=folder, checkpoint_seconds=0, log=log,
    )  # fmt: skip
    assert len(fitted.notes) == (kind == "all")
    pieces = [value.contiguous().numpy().tobytes() for value in fitted.weights.values()]
    told = [fitted.history, fitted.epoch, fitted.notes]
    if log is not None:
        assert sorted(curves(log)) == CURVES
        told.append(sorted(curves(log).items()))
    return sha256(b"".join([*pieces, repr(told).encode()])).hexdigest()


def main(folder: Path, kills: int, seed: int, kind: str) -> None:
    """Trainings that are killed, and before them some left alone."""
    work = partial(train, kind=kind)
    if kind == "plain":
        print(work(None), flush=True)
    whole = longest(work, folder / "alone")
    kill_and_resume(lambda _: work, folder, kills, seed, (0.1 * whole, 0.6 * whole))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
