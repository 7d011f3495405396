"""How many Fashion scenes are drawn a second on one core, and what part of a step is that? The goal: 2,000 of 96²."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.harness import goal, spread
from unconv.data.fashion import whole_fashion

THREADS = 1
TARGET = 2000
BATCH = 16
SIZES = ((96, 96), (128, 192), (256, 256))

COLUMNS = {"size": "scene", "draw": "drawn, ms of the processor", "rate": "scenes a second", "part": "part of a step"}


def run(quick: bool = False) -> dict[str, Any]:
    """Batches of scenes, and steps of the network that is the default of ``unconv train segment`` on them."""
    if not quick:
        whole_fashion()  # what is published is of it
    torch.set_num_threads(THREADS)
    rows = [_row(size, 3 if quick else 15) for size in SIZES[: 1 if quick else None]]
    return {
        "threads": THREADS,
        "notes": f"Batches of {BATCH}, seconds of the processor (other work on the machine does not count). A step is "
        "one of the compact FCN-8s in float32: forward, backward and AdamW.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [goal("scenes of 96² a second", rows[0]["rate"], TARGET, at_least=True)],
    }


def _row(size: tuple[int, int], rounds: int) -> dict[str, Any]:
    from unconv.data.scenes import CLASSES, fashion_scenes
    from unconv.models.load.resolve import untrained_model

    scenes = fashion_scenes("test", size=size)
    first = scenes.draw(range(BATCH))
    if not torch.equal(first.pictures[5], scenes.draw([5]).pictures[0]):
        raise AssertionError("a scene depends on those drawn with it")
    network = untrained_model("fcn8s:compact", len(CLASSES), size=size).module.train()
    optimiser = torch.optim.AdamW(network.parameters())
    inputs = (first.pictures / 255).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        optimiser.zero_grad()
        F.cross_entropy(network(inputs), first.labels.long()).backward()
        optimiser.step()

    step()
    drawn = [_seconds(lambda at=at: scenes.draw(range(at * BATCH, (at + 1) * BATCH))) for at in range(4 * rounds)]
    steps = [_seconds(step) for _ in range(rounds)]
    typical = statistics.median(drawn)
    return {
        "size": "x".join(map(str, size)),
        "draw": spread([value / BATCH for value in drawn]),
        "rate": round(BATCH / typical),
        "part": f"{100 * typical / statistics.median(steps):.1f}%",
    }


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start
