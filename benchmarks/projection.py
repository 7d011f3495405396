"""How long does the projection of one unit take, against captum? VGG-16, nine pictures of 224 × 224, 2 cores.

captum runs the whole network for any layer and then walks back; ``project`` stops at the layer. Both sides are given
the same network, unit and place; equality is checked before anything is timed.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from captum.attr import NeuronDeconvolution, NeuronGuidedBackprop
from torch import Tensor, nn

from unconv.visualize.project import project

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
            rows.append({"rule": rule, "layer": layer, **compare(sides, repeats=2 if quick else 5)})
    return {"images": len(images), "tolerance": TOLERANCE, "rows": rows}


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
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    medians = {f"{name}_seconds": statistics.median(times) for name, times in seconds.items()}
    spreads = {f"{name}_spread": max(times) - min(times) for name, times in seconds.items()}
    return {
        "difference": difference,
        **medians,
        **spreads,
        "speedup": medians["captum_seconds"] / medians["ours_seconds"],
    }


if __name__ == "__main__":
    for row in run()["rows"]:
        times = f"ours {row['ours_seconds']:6.2f} s   captum {row['captum_seconds']:6.2f} s   {row['speedup']:5.1f}×"
        print(f"{row['rule']:10} {row['layer']:13} {times}   difference {row['difference']:.0e}")
