"""How long does the projection of one unit take, against captum? VGG-16, nine pictures of 224 × 224, 2 cores.

captum runs the whole network for any layer and then walks back; ``project`` stops at the layer. Both sides are given
the same network, unit and place; equality is checked before anything is timed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from captum.attr import NeuronDeconvolution, NeuronGuidedBackprop
from torch import Tensor, nn

from benchmarks.harness import goal, interleave, ratio, spread
from unconv.visualize.reverse.project import project

CAPTUM = {"deconvnet": NeuronDeconvolution, "guided": NeuronGuidedBackprop}
# Layer, and a place in the middle of its feature maps.
PLACES = {
    "features.2": (112, 112),
    "features.7": (56, 56),
    "features.14": (28, 28),
    "features.21": (14, 14),
    "features.28": (7, 7),
    "classifier.6": (),
}
TOLERANCE = 1e-5
UNIT = 3


COLUMNS = {
    "rule": "rule",
    "layer": "layer",
    "difference": "difference",
    "captum": "captum, s",
    "ours": "ours, s",
    "ratio": "ratio",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Check, then time both sides in turn, for each layer and rule."""
    torch.manual_seed(0)
    model = torchvision.models.vgg16(weights=None).eval()
    images = torch.randn(1 if quick else 9, 3, 224, 224)
    rows = []
    for rule in CAPTUM:
        for layer, place in PLACES.items():
            sides = {
                "ours": lambda layer=layer, place=place, rule=rule: (
                    project(model, images, layer, UNIT, place, rule).image
                ),
                "captum": lambda layer=layer, place=place, rule=rule: by_captum(model, images, layer, place, rule),
            }
            rows.append({"rule": rule, "layer": layer, **compare(sides, repeats=2 if quick else 3)})
    worst = max(row["difference"] for row in rows)
    return {
        "threads": torch.get_num_threads(),
        "notes": f"{len(images)} pictures of 224², unit {UNIT}, one unit a call.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [goal("largest relative difference from captum", worst, TOLERANCE, at_least=False)],
    }


def by_captum(model: nn.Module, images: Tensor, layer: str, place: tuple[int, ...], rule: str) -> Tensor:
    """The same projection by captum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attribution = CAPTUM[rule](model, model.get_submodule(layer))
        return attribution.attribute(images, (UNIT, *place)).detach()


def compare(sides: dict[str, Callable[[], Tensor]], repeats: int) -> dict[str, Any]:
    """Both results and their difference, then seconds of each side, taken in turn."""
    ours, theirs = (side() for side in sides.values())
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    if not difference < TOLERANCE:
        raise RuntimeError(f"projection: differs from captum by {difference:.1e}, more than {TOLERANCE:.0e}")
    times = interleave(sides, seconds=0, least=repeats)
    return {
        "difference": difference,
        **{name: spread(samples, unit=1) for name, samples in times.items()},
        "ratio": ratio(times["captum"], times["ours"]),
    }
