"""How quickly does a grey square go over a picture, against captum's ``Occlusion``? VGG-16 and two others, 224².

The same square, step and class; captum gets what is best for it: as many covered pictures at once as are quickest, and
weights with channels last where that helps. It returns one map, unconv three (score, strongest feature map, most
probable class). Equal first, then in turn. *whole*: unconv without leaving anything out. *bound*: multiply-accumulates
of the whole network by those at units that see the square, on average over its places: what leaving out can gain.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import goal, ratio, spread
from benchmarks.unit_windows import photographs
from unconv.models.load.resolve import load_model
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace
from unconv.visualize.experiments.occlusion.sensitivity import occlusion

THREADS = 2
SIDE = 224
TARGET = 3.0
ROWS = (1, 8, 32)
SQUARES = {"VGG-16": ((32, 16), (56, 28)), "ResNet-50": ((32, 16),), "EfficientNet-Lite0": ((32, 16),)}

COLUMNS = {
    "network": "network",
    "square": "square, step",
    "places": "places",
    "difference": "difference",
    "setting": "captum's best setting",
    "captum": "captum, s",
    "whole": "whole, s",
    "ours": "unconv, s",
    "ratio": "ratio",
    "bound": "bound",
    "computed": "unconv computes",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Three networks; a quick run takes VGG-16 alone, with one square."""
    torch.set_num_threads(THREADS)
    rows = []
    for title, model in networks():
        for square, step in SQUARES[title]:
            if quick and rows:
                continue
            rows.append(compare(title, model, square, step, rounds=2 if quick else 5))
            print(f"{title} {square}/{step}: {rows[-1]['ratio']}x", flush=True)
    return {
        "threads": THREADS,
        "notes": "Scores of one class; *difference*: the largest from captum's map, by the largest of that.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [goal(f"{row['network']}, {row['square']}", row["ratio"], TARGET) for row in rows[:2]],
    }


def networks() -> list[tuple[str, nn.Module]]:
    """Two with random weights, one with its own."""
    return [
        ("VGG-16", load_model("torchvision:vgg16", random_weights=True).module),
        ("ResNet-50", load_model("torchvision:resnet50", random_weights=True).module),
        ("EfficientNet-Lite0", load_model("efficientnet-lite0").module),
    ]


def compare(title: str, model: nn.Module, square: int, step: int, rounds: int) -> dict[str, Any]:
    """One network and square: equal, then timed in turn."""
    image = photographs(1)
    target = 281
    setting, theirs = best_captum(model, image, target, square, step)
    sides: dict[str, Callable[[], Any]] = {
        "captum": theirs,
        "whole": lambda: occlusion(model, image, target, square=square, stride=step, reuse=False),
        "ours": lambda: occlusion(model, image, target, square=square, stride=step),
    }
    maps, expected = sides["ours"](), theirs()[0].mean(0)
    difference = float((maps.attribution("score") - expected).abs().max() / expected.abs().max())
    samples: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, call in sides.items():
            samples[side].append(seconds(call))
    return {
        "network": title,
        "square": f"{square}, {step}",
        "places": maps.score.numel(),
        "difference": float(f"{difference:.2g}"),
        "setting": setting,
        **{side: spread(times, unit=1.0) for side, times in samples.items()},
        "ratio": ratio(samples["captum"], samples["ours"]),
        "bound": float(f"{bound(trace(model, (3, SIDE, SIDE)), square, step):.3g}"),
        "computed": maps.computed,
    }


def bound(graph: Graph, square: int, step: int) -> float:
    """Multiply-accumulates of everything by those at the units whose fields meet the square."""
    starts = sorted({*range(0, SIDE - square, step), SIDE - square})
    needed = 0.0
    for layer in graph.layers:
        fields, sizes = layer.receptive_field, layer.output_shape[1:]
        part = 1.0
        if fields is not None and not fields.covers_everything and len(sizes) == len(fields.axes):
            for axis, size in zip(fields.axes, sizes, strict=True):
                seen = [axis.of(unit) for unit in range(size)]
                met = sum(first < start + square and stop > start for start in starts for first, stop in seen)
                part *= met / len(starts) / size
        needed += layer.macs * part
    return graph.macs / needed


def best_captum(
    model: nn.Module, image: Tensor, target: int, square: int, step: int
) -> tuple[str, Callable[[], Tensor]]:
    """captum's map in its quickest setting, which is said; found with wider steps."""
    from captum.attr import Occlusion

    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    found: list[tuple[float, str, Callable[[], Tensor]]] = []
    for name, network in (("channels first", model), ("channels last", last)):
        for rows in ROWS:

            def call(step: int = step, network: nn.Module = network, rows: int = rows) -> Tensor:
                return Occlusion(network).attribute(
                    image,
                    sliding_window_shapes=(3, square, square),
                    strides=(3, step, step),
                    baselines=0,
                    target=target,
                    perturbations_per_eval=rows,
                )

            found.append((seconds(partial(call, square)), f"{rows} at once, {name}", call))
    _, setting, call = min(found, key=lambda one: one[0])
    return setting, call


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
