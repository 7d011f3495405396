"""What does the training loop cost beside a bare torch loop that makes the same steps? Networks from small to large.

The bare loop is what people write by hand: an index into pictures in memory, channels last, AdamW with the one-cycle
schedule, sums of loss and accuracy. Both make the same steps (checked in float64: equal weights after some). They take
turns step by step, in one process: each time our loop fetches a batch, the bare loop makes its own step first, and a
step of ours is all the time between, so that everything the loop does is in it. One thread, whose processor time is
counted: time in which the machine does other work is nobody's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from benchmarks.harness import goal, spread
from unconv.data.fashion import MEAN, STD, fashion, whole_fashion
from unconv.models.zfnet28 import ZFNet28
from unconv.train.data.examples import Batch, TensorExamples
from unconv.train.loop.loop import Fitted, Settings, fit
from unconv.train.tasks.classify import scores

NOTES = (
    "Processor time of one thread, in milliseconds: time in which the machine did other work is nobody's. Ratios are "
    "of neighbouring steps."
)
MOST_OVERHEAD = 1.03
WARM = 5
CHECKED, TOLERANCE = 8, 1e-9


def lenet_like() -> nn.Module:
    """Two convolutions and three linear layers: little to compute, so that the loop shows."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def zfnet() -> nn.Module:
    """The network of ``unconv train classify``, without dropout, of which each loop would draw its own."""
    return ZFNet28(dropout=0.0)


def resnet18() -> nn.Module:
    """torchvision's, with ten outputs."""
    return torchvision.models.resnet18(weights=None, num_classes=10)


@dataclass(frozen=True)
class Case:
    """A network, its pictures, and how many steps are timed."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    batch: int
    steps: int


CASES = (
    Case("LeNet-like, Fashion-MNIST", lenet_like, (1, 28, 28), 128, 300),
    Case("zfnet-28, Fashion-MNIST", zfnet, (1, 28, 28), 128, 80),
    Case("torchvision resnet18, 3 × 32²", resnet18, (3, 32, 32), 64, 40),
)
COLUMNS = {
    "case": "case",
    "batch": "batch",
    "steps": "pairs of steps",
    "difference": "difference after 8 steps",
    "bare": "bare loop, ms a step",
    "ours": "ours, ms a step",
    "ratio": "ours / bare, by pairs",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Check that both make the same steps, then let them take turns."""
    if not quick:
        whole_fashion()  # what is published is of it
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [compare(case, 20 if quick else case.steps) for case in CASES]
    finally:
        torch.set_num_threads(threads)
    return {
        "threads": 1,
        "notes": NOTES,
        "columns": COLUMNS,
        "rows": rows,
        "goals": [
            goal(f"{row['case']}: a step, times the bare one", row["ratio"]["median"], MOST_OVERHEAD, at_least=False)
            for row in rows
        ],
    }


def compare(case: Case, steps: int) -> dict[str, Any]:
    """Milliseconds of a step on both sides, and their ratio pair by pair."""
    worst = difference(replace(case, batch=16))
    turns = take_turns(case, case.build(), steps + WARM, torch.float32)[0]
    ours, bare = turns.ours[WARM:], turns.bare[WARM : len(turns.ours)]
    return {
        "case": case.name,
        "batch": case.batch,
        "steps": len(ours),
        "difference": worst,
        "bare": spread(bare),
        "ours": spread(ours),
        "ratio": spread([a / b for a, b in zip(ours, bare, strict=True)], unit=1),
    }


def difference(case: Case) -> float:
    """The largest difference of the weights after a few steps, in double precision."""
    torch.manual_seed(0)
    turns, fitted = take_turns(case, case.build().double(), CHECKED, torch.float64)
    worst = max(float((fitted.weights[name] - value).abs().max()) for name, value in turns.weights.items())
    if not worst < TOLERANCE:
        raise RuntimeError(f"train_loop: {case.name}: weights differ by {worst:.1e} after the same steps")
    return worst


def take_turns(case: Case, network: nn.Module, steps: int, kind: torch.dtype) -> tuple[Turns, Fitted]:
    """A training by our loop, with a bare step before each of its steps."""
    pictures, settings = _pictures(case, steps * case.batch, kind), Settings(1, case.batch)
    turns = Turns(pictures, bare_loop(network, pictures, settings))
    few = TensorExamples(pictures.inputs[:8], pictures.targets[:8], pictures.prepare)
    return turns, fit(network, lambda outputs, targets: scores(outputs, targets, 10), turns, few, settings)


@dataclass(eq=False)
class Turns:
    """Examples of our loop; before each batch the bare loop makes a step, and both are timed."""

    data: TensorExamples
    other: Callable[[Sequence[int]], dict[str, Tensor]]
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    since: float | None = None

    def __len__(self) -> int:
        return len(self.data)

    def fetch(self, numbers: Sequence[int]) -> Batch:
        start = time.process_time()
        if self.since is not None:
            self.ours.append(start - self.since)
        self.weights = self.other(numbers)
        self.since = time.process_time()
        self.bare.append(self.since - start)
        return self.data.fetch(numbers)

    def fingerprint(self) -> Any:
        return None


def bare_loop(
    network: nn.Module, data: TensorExamples, settings: Settings
) -> Callable[[Sequence[int]], dict[str, Tensor]]:
    """One step of a loop written by hand, whenever it is called; returns the weights."""

    network = deepcopy(network).train().to(memory_format=torch.channels_last)
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=settings.rate,
    )
    steps = len(data) // settings.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, steps, pct_start=0.25, cycle_momentum=False
    )
    told = {"loss": 0.0, "accuracy": 0.0}
    weights = network.state_dict()
    kind = matrices[0].dtype

    def step(numbers: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(numbers)
        inputs = ((data.inputs[chosen].to(torch.float32) / 255 - MEAN) / STD).to(kind)
        inputs, targets = inputs.contiguous(memory_format=torch.channels_last), data.targets[chosen]
        optimiser.zero_grad()
        outputs = network(inputs)
        loss = F.cross_entropy(outputs, targets)
        loss.backward()
        optimiser.step()
        if schedule.last_epoch < steps - 1:
            schedule.step()
        told["loss"] += loss.item() * len(targets)
        told["accuracy"] += (outputs.argmax(1) == targets).sum().item()
        return weights

    return step


def _pictures(case: Case, count: int, kind: torch.dtype) -> TensorExamples:
    images, targets = fashion("train")
    images, targets = images[:count], targets[:count]
    if case.shape != (1, 28, 28):
        images = F.interpolate(images.float(), case.shape[1:]).to(torch.uint8).repeat(1, case.shape[0], 1, 1)
    return TensorExamples(images, targets, prepare=lambda pictures: ((pictures - MEAN) / STD).to(kind))
