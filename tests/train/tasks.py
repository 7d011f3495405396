"""A small task that tests of the loop share: which of three directions a vector points to most."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from unconv.train.data.examples import TensorExamples


def measure(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return {
        "loss": F.cross_entropy(outputs, targets, reduction="none"),
        "accuracy": (outputs.argmax(1) == targets).float(),
    }


def examples(count: int, seed: int = 0) -> TensorExamples:
    """Pictures of 6×6, class = the brightest of three bands."""
    images = torch.rand(count, 1, 6, 6, generator=Generator().manual_seed(seed))
    return TensorExamples(images, images.reshape(count, 3, 12).mean(2).argmax(1))


def network(dropout: float = 0.2) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(1, 8, 3, padding=1),
                norm=nn.BatchNorm2d(8),
                relu=nn.ReLU(),
                pool=nn.MaxPool2d(2),
                flat=nn.Flatten(),
                drop=nn.Dropout(dropout),
                linear=nn.Linear(72, 3),
            )
        )


def wide() -> nn.Module:
    """Layers that are matrices to Muon, and one that is not."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 5), nn.ReLU(), nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3)
        )
