"""What do projections owe to the image, the unit and the training? Two trained networks, three rules.

Eight units of some layers of ``zfnet-28`` (max-pooling, trained on Fashion-MNIST), each at its nine strongest places in
1,000 test pictures, and of ``efficientnet-lite0`` (no max-pooling, ImageNet) at its strongest places in the photographs
of scikit-image. Figures are means over the projections of a layer; likenesses are cosines. What must hold whatever the
weights: without switches deconvnet gives the same picture for every image.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import skimage
import torch
from torch import Tensor, nn

from benchmarks.harness import goal
from unconv.data.fashion import MEAN, STD, fashion, whole_fashion
from unconv.data.images import read_images
from unconv.models.load.resolve import load_model
from unconv.visualize.fidelity.measure import fidelity
from unconv.visualize.fidelity.similarity import Similarity
from unconv.visualize.fidelity.verdict import Fidelity
from unconv.visualize.reverse.project_units import Pick
from unconv.visualize.reverse.rules import REVERSE_RULES
from unconv.visualize.scan.scan import scan

UNITS, TOP, PICTURES = 8, 9, 1000
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "rocket.jpg"),
)
LAYERS = {
    "zfnet-28": ("features.conv2", "features.conv3", "features.conv5"),
    "efficientnet-lite0": ("features.2.0.depthwise.conv", "features.3.0.expand.conv"),
}
COLUMNS = {
    "network": "network",
    "layer": "layer",
    "rule": "rule",
    "switches": "switches used / in the cone",
    "gates": "gates used / in the cone",
    "other_image": "other image",
    "other_units": "other units",
    "above": "upper layers randomised",
    "below": "lower layers randomised",
    "seconds": "s",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Measure, layer by layer and rule by rule."""
    if not quick:
        whole_fashion()  # what is published is of it
    rows = []
    for name, layers in LAYERS.items():
        model = load_model(name).module
        images = _images(name, 100 if quick else PICTURES)
        for layer in layers[:1] if quick else layers:
            picks = _picks(model, images, layer, 4 if quick else UNITS)
            rows += [_row(name, model, images, layer, picks, rule) for rule in REVERSE_RULES]
    blind = [row["other_image"] for row in rows if row["rule"] == "deconvnet" and row["switches"] == "0 / 0"]
    return {
        "columns": COLUMNS,
        "rows": rows,
        "goals": [goal("deconvnet without switches: likeness to another image", min(blind), 1)],
    }


def _images(name: str, count: int) -> Tensor:
    if name == "zfnet-28":
        return (fashion("test").images[:count].float() / 255 - MEAN) / STD
    folder = Path(skimage.__file__).parent / "data"
    preprocess = load_model(name).preprocess
    return torch.cat([preprocess(image.tensor) for image in read_images([folder / name for name in PHOTOGRAPHS])])


def _picks(model: nn.Module, images: Tensor, layer: str, units: int) -> list[Pick]:
    found = scan(model, images, [layer], top=TOP)
    count = len(found.images[layer])
    return [
        Pick(int(image), unit, tuple(place))
        for unit in range(0, count, max(1, count // units))[:units]
        for image, place in zip(found.images[layer][unit], found.positions[layer][unit].tolist(), strict=True)
        if image >= 0
    ]


def _row(name: str, model: nn.Module, images: Tensor, layer: str, picks: Sequence[Pick], rule: str) -> dict[str, Any]:
    begun = time.perf_counter()
    found = list(fidelity(model, images, layer, picks, rule).values())
    seconds = time.perf_counter() - begun
    gate_counts = sum((one.gate_counts for one in found[1:]), found[0].gate_counts)
    return {
        "network": name,
        "layer": layer,
        "rule": rule,
        "switches": f"{gate_counts.switches_used / len(picks):.0f} / {gate_counts.switches / len(picks):.0f}",
        "gates": f"{gate_counts.gates_used / len(picks):.0f} / {gate_counts.gates / len(picks):.0f}",
        "other_image": _mean(found, lambda one: one.other_image),
        "other_units": _mean(found, lambda one: one.other_units),
        "above": _mean(found, lambda one: one.above),
        "below": _mean(found, lambda one: one.below),
        "seconds": round(seconds, 1),
        "verdict": found[0].verdict,
    }


def _mean(found: Sequence[Fidelity], likeness: Callable[[Fidelity], Similarity | None]) -> float | None:
    values = [value.cosine for one in found if (value := likeness(one)) is not None]
    return round(statistics.mean(values), 2) if values else None
