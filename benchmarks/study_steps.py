"""How long is a training step of each network that the studies compare? Those of a study take turns.

The step is the one that the study's command makes, optimiser and precision included, on a batch that is there already:
forward, loss, backward, and the optimiser's step; of a GAN, of both its networks. One thread.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.harness import interleave, spread
from studies.__main__ import STUDIES
from studies.runs import Run
from unconv.data.fashion import CLASSES, MEAN, STD, fashion, find_fashion, whole_fashion
from unconv.models.dcgan import Discriminator
from unconv.models.load.resolve import untrained_model
from unconv.train.data.examples import Batch
from unconv.train.data.segmented import FashionScenes
from unconv.train.loop.learner import Learner
from unconv.train.loop.settings import Settings
from unconv.train.loop.trainer import Trainer
from unconv.train.tasks.adversarial import Adversaries, Contest
from unconv.train.tasks.classify import scores
from unconv.train.tasks.generate import usual_settings
from unconv.train.tasks.segment import pixel_scores

STEPS = 10**6
"""Of a training, so long that the learning rate stays where it begins."""
PIXEL_BATCH, BATCH = 16, 128
COLUMNS = {"study": "study", "name": "network", "step": "a step, ms", "batch": "batch"}


def run(quick: bool = False) -> dict[str, Any]:
    """All networks of all studies."""
    if not quick:
        whole_fashion()  # what is published is of it
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [row for study in STUDIES for row in _rows(study, 1.0 if quick else 20.0)]
    finally:
        torch.set_num_threads(threads)
    return {"threads": 1, "columns": COLUMNS, "rows": rows}


def _rows(study: str, seconds: float) -> list[dict[str, Any]]:
    module = importlib.import_module(f"studies.{study}")
    runs = {run.name: run for run in module.runs([0])}
    sides = {name: _step(run) for name, run in runs.items()}
    times = interleave({name: call for name, (call, _) in sides.items()}, seconds * len(sides) / 6)
    return [
        {"study": study, "name": name, "step": spread(times[name]), "batch": batch}
        for name, (_, batch) in sides.items()
    ]


def _step(run: Run) -> tuple[Callable[[], object], int]:
    """A step of a run's training, and its batch."""
    task, *words = (word for word in run.arguments if word != "--no-flip")
    given = dict(zip(words[::2], words[1::2], strict=True))
    told = {"precision": given.get("--precision", "float32"), "optimiser": given.get("--optimiser", "adamw")}
    learner: Learner
    if task == "generate":
        generator = untrained_model(given["--model"], len(CLASSES)).module
        usual = usual_settings()
        settings = Settings(rate=usual.rate, weight_decay=usual.weight_decay, precision=told["precision"])
        learner = Adversaries(generator, Discriminator(generator.form), settings, Contest(), lambda *_: ({}, ()))
        batch, count = Batch(torch.rand(BATCH, 1, 32, 32) * 2 - 1, torch.zeros(BATCH)), BATCH
    elif task == "segment":
        scenes = FashionScenes(find_fashion(), 0, PIXEL_BATCH)
        loaded = untrained_model(given["--model"], len(scenes.classes), size=(96, 96))
        overlap = float(given.get("--jaccard", 0))
        measure = partial(pixel_scores, classes=len(scenes.classes), jaccard=overlap)
        learner = Trainer(loaded.module, measure, Settings(**told), STEPS)
        batch, count = scenes.prepared(loaded.preprocess)[0].fetch(range(PIXEL_BATCH)), PIXEL_BATCH
    else:
        loaded = untrained_model(given["--model"], len(CLASSES))
        learner = Trainer(loaded.module, partial(scores, classes=len(CLASSES)), Settings(**told), STEPS)
        images, targets = fashion("train")
        batch, count = Batch((images[:BATCH].to(torch.float32) / 255 - MEAN) / STD, targets[:BATCH]), BATCH
    numbers = itertools.count()
    return lambda: learner.step(batch, next(numbers), 0, "benchmark"), count
