"""How long does the projection of one unit take, against captum? VGG-16, nine pictures of 224 × 224.

captum runs the whole network for any layer and then walks back. ``project`` stops at the layer; with a position given
it computes the windows that the unit sees, without one it looks for the unit's peak in each picture first, which captum
is given. Both sides have the same network, unit and places; equality is checked before anything is timed.

In float32 a rectifier or a switch on a near-tie may fall the other way in a window, where torch chooses another kernel:
what is compared is the median of the pictures, and how many differ is told. In float64 none does.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torchvision
from captum.attr import NeuronDeconvolution, NeuronGradient, NeuronGuidedBackprop
from torch import Tensor, nn

from benchmarks.harness import goal, ratio, spread
from unconv.visualize.reverse.project import project

CAPTUM = {"deconvnet": NeuronDeconvolution, "guided": NeuronGuidedBackprop, "gradient": NeuronGradient}
# Layer, its name in the paper, and a place in the middle of its feature maps.
PLACES = {
    "features.2": ("conv1_2", (112, 112)),
    "features.7": ("conv2_2", (56, 56)),
    "features.14": ("conv3_3", (28, 28)),
    "features.21": ("conv4_3", (14, 14)),
    "features.28": ("conv5_3", (7, 7)),
    "classifier.6": ("fc8", ()),
}
TOLERANCE = 1e-5
THREADS, ROUNDS = 1, 2
# Seconds for which short calls are repeated.
SHORT = 0.3
UNIT = 3

COLUMNS = {
    "rule": "rule",
    "layer": "layer",
    "position": "position",
    "difference": "difference, median",
    "near_ties": "pictures with a near-tie",
    "captum": "captum, s",
    "ours": "ours, s",
    "ratio": "ratio",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Check, then time both sides in turn, for each layer and rule, with the place given and without."""
    torch.manual_seed(0)
    # One, so that what else the machine does takes as much of either side.
    torch.set_num_threads(THREADS)
    model = torchvision.models.vgg16(weights=None).eval()
    images = torch.randn(1 if quick else 9, 3, 224, 224)
    rows = []
    for rule in CAPTUM:
        for layer, (title, place) in PLACES.items():
            for row in measure(model, images, layer, place, rule):
                rows.append({"rule": rule, "layer": title, **row})
                print(f"{rule} {title}, {row['position']}: {row['ratio']}x", flush=True)
    return {
        "threads": torch.get_num_threads(),
        "notes": f"{len(images)} pictures of 224², unit {UNIT}, one unit a call; the network was traced before.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": goals(rows),
    }


def measure(
    model: nn.Module, images: Tensor, layer: str, place: tuple[int, ...], rule: str
) -> Iterator[dict[str, Any]]:
    """The rows of a layer and rule; captum is timed once for both, as the place changes nothing for it."""
    positions: dict[str, Any] = {"given": place, "the peak, to be found": None}
    found = {name: project(model, images, layer, UNIT, position, rule) for name, position in positions.items()}
    sides: dict[str, Callable[[], Tensor]] = {
        name: lambda position=position: project(model, images, layer, UNIT, position, rule).image  # type: ignore[misc]
        for name, position in positions.items()
    }
    sides["captum"] = lambda: by_captum(model, images, layer, place, rule)
    times: dict[str, list[float]] = {name: [] for name in sides}
    theirs = {}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            taken, image = seconds(side)
            times[name].append(taken)
            if name == "captum":
                theirs[(place,) * len(images)] = image
    for name, one in found.items():
        if one.position not in theirs:
            theirs[one.position] = by_captum_each(model, images, layer, one.position, rule)
        difference, near_ties = compare(one.image, theirs[one.position])
        yield {
            "position": name,
            "difference": difference,
            "near_ties": near_ties,
            "captum": spread(times["captum"], unit=1),
            "ours": spread(times[name], unit=1),
            "ratio": ratio(times["captum"], times[name]),
            "way": one.way,
        }


def seconds(side: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Of a call, of the mean of several that are short; and what it returns."""
    start, calls = time.perf_counter(), 0
    while not calls or time.perf_counter() - start < SHORT:
        image = side()
        calls += 1
    return (time.perf_counter() - start) / calls, image


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was aimed at."""

    def least(layer: str) -> float:
        return min(row["ratio"] for row in rows if row["layer"] == layer and row["position"] == "given")

    worst = max(row["difference"] for row in rows)
    return [
        goal("median relative difference from captum", worst, TOLERANCE, at_least=False),
        goal("conv1_2, position given: least ratio", least("conv1_2"), 300.0),
        goal("conv3_3, position given: least ratio", least("conv3_3"), 40.0),
        goal("least ratio of all", min(row["ratio"] for row in rows), 1.0),
    ]


def by_captum(model: nn.Module, images: Tensor, layer: str, place: tuple[int, ...], rule: str) -> Tensor:
    """The same projection by captum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attribution = CAPTUM[rule](model, model.get_submodule(layer))
        return attribution.attribute(images, (UNIT, *place)).detach()


def by_captum_each(model: nn.Module, images: Tensor, layer: str, places: Any, rule: str) -> Tensor:
    """captum's projections, of each picture at its own place."""
    each = [by_captum(model, images[n : n + 1], layer, place, rule) for n, place in enumerate(places)]
    return torch.cat(each)


def compare(ours: Tensor, theirs: Tensor) -> tuple[float, int]:
    """The median relative difference of the pictures, and how many differ by more than rounding."""
    scale = theirs.abs().flatten(1).amax(1).clamp(min=1e-30)
    differences = ((ours - theirs).abs().flatten(1).amax(1) / scale).tolist()
    median = statistics.median(differences)
    if not median < TOLERANCE:
        raise RuntimeError(f"projection: differs from captum by {median:.1e}, more than {TOLERANCE:.0e}")
    return float(f"{median:.2g}"), sum(difference >= TOLERANCE for difference in differences)
