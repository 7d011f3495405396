"""How many Fashion scenes a second are learned from, and how long is a training? The goal: within 20 minutes.

Scenes are drawn and the step of ``unconv train segment`` made, forward, loss, backward, Muon, evaluation left out, with
the settings of the trainings in docs/train.md; one thread and two take turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import torch

from benchmarks.harness import goal, interleave, spread
from unconv.data.fashion import find_fashion, whole_fashion
from unconv.models.load.resolve import untrained_model
from unconv.train.data.segmented import FashionScenes
from unconv.train.loop.settings import Settings
from unconv.train.loop.trainer import Trainer
from unconv.train.tasks.segment import pixel_scores

TARGET_MINUTES = 20
BATCH, SIZE = 16, (96, 96)
SCENES = {"fcn8s:compact": 320_000, "unet-small": 128_000}
"""Of the trainings in docs/train.md."""
THREADS = (1, 2)
STEPS = 10**6
"""Of a training, so long that the learning rate stays where it begins."""

COLUMNS = {
    "model": "network",
    "threads": "threads",
    "step": "16 scenes and a step, ms",
    "rate": "scenes a second",
    "scenes": "scenes",
    "minutes": "minutes",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Every network on one thread and on two."""
    if not quick:
        whole_fashion()  # what is published is of it
    threads = torch.get_num_threads()
    try:
        sides = [(model, few) for model in SCENES for few in THREADS]
        times = interleave({f"{model} {few}": _step(model, few) for model, few in sides}, 1.0 if quick else 40.0)
    finally:
        torch.set_num_threads(threads)
    rows = [_row(model, few, times[f"{model} {few}"]) for model, few in sides]
    return {
        "columns": COLUMNS,
        "rows": rows,
        "goals": [
            goal(f"{row['model']}, minutes on two threads", row["minutes"], TARGET_MINUTES, at_least=False)
            for row in rows
            if row["threads"] == max(THREADS)
        ],
    }


def _row(model: str, threads: int, times: list[float]) -> dict[str, Any]:
    seconds = statistics.median(times)
    return {
        "model": model,
        "threads": threads,
        "step": spread(times),
        "rate": round(BATCH / seconds),
        "scenes": SCENES[model],
        "minutes": round(seconds * SCENES[model] / BATCH / 60, 1),
    }


def _step(model: str, threads: int) -> Callable[[], object]:
    """Drawing a batch and a step on it."""
    scenes = FashionScenes(find_fashion(), 0, STEPS)
    loaded = untrained_model(model, len(scenes.classes), size=SIZE)
    measure = partial(pixel_scores, classes=len(scenes.classes), jaccard=1.0)
    settings = Settings(precision="bfloat16", optimiser="muon", rate=0.01)
    trainer, examples = Trainer(loaded.module, measure, settings, STEPS), scenes.prepared(loaded.preprocess)[0]
    numbers = count()

    def call() -> None:
        torch.set_num_threads(threads)
        first = BATCH * next(numbers)
        trainer.step(examples.fetch(range(first, first + BATCH)), 0, 0, "")

    return call
