"""At what part of the bare forward pass's speed does ``unconv.scan`` run, all convolutions kept? Three networks, 224².

*bare*: the network alone, weights and pictures with channels last, in inference mode, the same batches. The pictures
are ready tensors for both, so that decoding does not count; *with decoding*: JPEG files of 500 × 375 read and resized
ahead, in a thread. In turn, medians.
"""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.harness import goal, spread
from benchmarks.unit_windows import photographs
from unconv.models.load.resolve import LoadedModel, load_model
from unconv.visualize.scan.scan import convolutions, scan

THREADS = 2
BATCH = 16
TARGETS = {"VGG-16": 0.95, "ResNet-50": 0.9, "EfficientNet-Lite0": 0.8}
COUNTS = {"VGG-16": 96, "ResNet-50": 192, "EfficientNet-Lite0": 384}

COLUMNS = {
    "network": "network",
    "layers": "layers",
    "units": "units",
    "pictures": "pictures",
    "bare": "bare, pictures per second",
    "scan": "scan",
    "share": "share",
    "decoding": "with decoding",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Three networks."""
    torch.set_num_threads(THREADS)
    rows = [
        compare(title, model, COUNTS[title] // (4 if quick else 1), 2 if quick else 5) for title, model in networks()
    ]
    return {
        "threads": THREADS,
        "notes": f"top 9, batches of {BATCH}, float32.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [goal(f"{row['network']}: share", row["share"], TARGETS[row["network"]]) for row in rows],
    }


def networks() -> list[tuple[str, LoadedModel]]:
    """Two with random weights, one with its own."""
    return [
        ("VGG-16", load_model("torchvision:vgg16", random_weights=True)),
        ("ResNet-50", load_model("torchvision:resnet50", random_weights=True)),
        ("EfficientNet-Lite0", load_model("efficientnet-lite0")),
    ]


def compare(title: str, loaded: LoadedModel, count: int, rounds: int) -> dict[str, Any]:
    """Bare and scanned in turn, then from files."""
    pictures = photographs(count)
    bare_model = copy.deepcopy(loaded.module).to(memory_format=torch.channels_last)
    sides: dict[str, Callable[[], object]] = {
        "bare": lambda: bare(bare_model, pictures),
        "scan": lambda: scan(loaded.module, pictures, batch_size=BATCH),
    }
    for call in sides.values():
        call()
    samples: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, call in sides.items():
            samples[side].append(count / timed(call))
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), count)
        decoding = [count / timed(lambda: scan(loaded, folder, batch_size=BATCH)) for _ in range(max(1, rounds // 2))]
    layers = convolutions(loaded.module)
    units = sum(loaded.module.get_submodule(layer).out_channels for layer in layers)  # type: ignore[misc]
    row = {
        "network": title,
        "layers": len(layers),
        "units": units,
        "pictures": count,
        "bare": spread(samples["bare"], unit=1.0),
        "scan": spread(samples["scan"], unit=1.0),
        # Of neighbours in time: what else the machine does falls on both.
        "share": round(statistics.median(s / b for s, b in zip(samples["scan"], samples["bare"], strict=True)), 3),
        "decoding": float(f"{statistics.median(decoding):.4g}"),
    }
    print(f"{title}: {row['share']} of the bare pass", flush=True)
    return row


def bare(model: nn.Module, pictures: Tensor) -> None:
    """The forward pass alone."""
    with torch.inference_mode():
        for first in range(0, len(pictures), BATCH):
            model(pictures[first : first + BATCH].contiguous(memory_format=torch.channels_last))


def write_files(folder: Path, count: int) -> None:
    """Photographs as JPEG."""
    from skimage import data

    sources = [Image.fromarray(np.asarray(each())) for each in (data.astronaut, data.chelsea, data.coffee, data.rocket)]
    for number in range(count):
        sources[number % len(sources)].resize((500, 375)).save(folder / f"{number:04d}.jpg", quality=90)


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
