"""How quickly are many units of many pictures sent back to the pixels, against captum? VGG-16 and ResNet-50, 224².

Sixteen units a layer, each with its own nine of 512 pictures, at its peak there: 144 projections a layer, forward
passes included, and on our side the search for the windows too: a network is traced once for all its layers, of which
each bears its part. captum gets what is best for it: batches, one selector that takes another unit in each row, as
many rows at once as are quickest; *as shipped*, running the whole network, and *truncated*, on the model cut off behind
the layer. It is timed on some of the projections, in turn with ours, and compared by the second per projection. Weights
are random: they do not change what is computed.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness import goal
from unconv.models.load.preprocess import Preprocess
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace
from unconv.network.windows import windows_of
from unconv.visualize.reverse.project_units import Pick, project_units
from unconv.visualize.scan.scan import scan
from unconv.visualize.scan.top_activations import TopActivations

THREADS = 2
PICTURES, UNITS, TOP = 512, 16, 9
RULE = "guided"
# Rows that captum is given at once, and projections it is timed on.
ROWS = (1, 4, 16)
SAMPLE = 16

COLUMNS = {
    "network": "network",
    "layer": "layer",
    "window": "window",
    "difference": "difference, median",
    "largest": "largest",
    "shipped": "captum as shipped, s per projection",
    "truncated": "captum truncated, s",
    "ours": "unconv, s",
    "ratio_shipped": "ratio to shipped",
    "ratio_truncated": "ratio to truncated",
}


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of a network, its model cut off behind it, and what is asked of it."""

    network: str
    title: str
    model: nn.Module
    truncated: nn.Module
    module: nn.Module
    name: str


def run(quick: bool = False) -> dict[str, Any]:
    """Every layer: equal first, then timed."""
    torch.set_num_threads(THREADS)
    count = 48 if quick else PICTURES
    pictures = photographs(count)
    rows = []
    for layers in (vgg(), resnet()):
        found = scan(layers[0].model, pictures, [layer.name for layer in layers], top=TOP)
        graph = trace(layers[0].model, (3, 224, 224))
        tracing = statistics.median(tracing_time(layers[0].model) for _ in range(5))
        for layer in layers:
            rows.append(compare(layer, pictures, found, graph, tracing / len(layers), rounds=1 if quick else 3))
            row = rows[-1]
            print(f"{layer.network} {layer.title}: {row['ratio_shipped']}x, {row['ratio_truncated']}x", flush=True)
    by_network = {name: [row for row in rows if row["network"] == name] for name in ("VGG-16", "ResNet-50")}
    vgg_rows, resnet_rows = by_network["VGG-16"], by_network["ResNet-50"]
    return {
        "threads": THREADS,
        "notes": f"Rule {RULE}. *difference*: of {SAMPLE} projections from captum's, by their largest values.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [
            goal("VGG-16, as shipped: geometric mean", mean(vgg_rows, "ratio_shipped"), 40.0),
            goal("VGG-16 conv5_3, as shipped", vgg_rows[-1]["ratio_shipped"], 1.5),
            goal("VGG-16, truncated: geometric mean", mean(vgg_rows, "ratio_truncated"), 15.0),
            goal("VGG-16, truncated: least", min(row["ratio_truncated"] for row in vgg_rows), 1.2),
            goal("ResNet-50, as shipped: geometric mean", mean(resnet_rows, "ratio_shipped"), 6.0),
        ],
    }


def mean(rows: list[dict[str, Any]], key: str) -> float:
    """Geometric mean of a column."""
    return float(f"{math.exp(statistics.fmean(math.log(row[key]) for row in rows)):.4g}")


def vgg() -> list[Layer]:
    """The last convolutions of its five stages, rectified."""
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.vgg16(weights=None).eval()
    stages = {"conv1_2": 3, "conv2_2": 8, "conv3_3": 15, "conv4_3": 22, "conv5_3": 29}
    return [
        Layer("VGG-16", title, model, model.features[: index + 1], model.features[index], f"features.{index}")
        for title, index in stages.items()
    ]


def resnet() -> list[Layer]:
    """The outputs of its four stages."""
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.resnet50(weights=None).eval()
    stem = [model.conv1, model.bn1, model.relu, model.maxpool]
    stages = [model.layer1, model.layer2, model.layer3, model.layer4]
    return [
        Layer(
            "ResNet-50",
            f"layer{n + 1}",
            model,
            nn.Sequential(*stem, *stages[: n + 1]).eval(),
            stages[n],
            f"layer{n + 1}",
        )
        for n in range(4)
    ]


def photographs(count: int) -> Tensor:
    """Crops of scikit-image's photographs, normalised."""
    from skimage import data

    sources = [np.asarray(each()) for each in (data.astronaut, data.chelsea, data.coffee, data.rocket)]
    rng = np.random.default_rng(0)
    crops = []
    for number in range(count):
        picture = sources[number % len(sources)]
        top, left = (int(rng.integers(size - 224 + 1)) for size in picture.shape[:2])
        crops.append(torch.from_numpy(picture[top : top + 224, left : left + 224].copy()).permute(2, 0, 1))
    batch = torch.stack(crops).float() / 255
    return Preprocess().normalise(batch)


def compare(
    layer: Layer, pictures: Tensor, found: TopActivations, graph: Graph, tracing: float, rounds: int
) -> dict[str, Any]:
    """Check some projections against captum's, then time both sides in turn; ``tracing``: the layer's part, seconds."""
    live = [unit for unit in range(len(found.values[layer.name])) if float(found.values[layer.name][unit, -1]) > 0]
    picks = [
        Pick(int(image), unit, tuple(place))
        for unit in live[:: max(1, len(live) // UNITS)][:UNITS]
        for image, place in zip(found.images[layer.name][unit], found.positions[layer.name][unit].tolist(), strict=True)
    ]
    some = picks[:: max(1, len(picks) // SAMPLE)][:SAMPLE]
    ours = by_unconv(layer, graph, pictures, some)
    theirs = by_captum(layer.truncated, layer.module, pictures, some, rows=4)
    scale = theirs.abs().amax(dim=(1, 2, 3)).clamp(min=1e-30)
    differences = (ours - theirs).abs().amax(dim=(1, 2, 3)) / scale
    sides: dict[str, Callable[[list[Pick]], object]] = {
        "shipped": lambda chosen: by_captum(layer.model, layer.module, pictures, chosen, rows_shipped),
        "truncated": lambda chosen: by_captum(layer.truncated, layer.module, pictures, chosen, rows_truncated),
    }
    rows_shipped = quickest(layer.model, layer.module, pictures, some)
    rows_truncated = quickest(layer.truncated, layer.module, pictures, some)
    samples: dict[str, list[float]] = {"shipped": [], "truncated": [], "ours": []}
    for _ in range(rounds):
        for side, call in sides.items():
            samples[side].append(timed(lambda call=call: call(some)) / len(some))  # type: ignore[misc]
        seconds = tracing + timed(lambda: by_unconv(layer, graph, pictures, picks, whole=False))
        samples["ours"].append(seconds / len(picks))
    median = {side: statistics.median(found) for side, found in samples.items()}
    windows = windows_of(graph, layer.name)
    return {
        "network": layer.network,
        "layer": layer.title,
        "window": "×".join(map(str, windows.size)) if not windows.whole else "whole image",
        "difference": float(f"{float(differences.median()):.2g}"),
        "largest": float(f"{float(differences.max()):.2g}"),
        "shipped": float(f"{median['shipped']:.3g}"),
        "truncated": float(f"{median['truncated']:.3g}"),
        "ours": float(f"{median['ours']:.3g}"),
        "ratio_shipped": float(f"{median['shipped'] / median['ours']:.3g}"),
        "ratio_truncated": float(f"{median['truncated'] / median['ours']:.3g}"),
        "captum_rows": [rows_shipped, rows_truncated],
        "projections": len(picks),
        "samples": samples,
    }


def by_unconv(layer: Layer, graph: Graph, pictures: Tensor, picks: list[Pick], whole: bool = True) -> Tensor:
    """Our projections; in the size of the picture where they are to be compared."""
    windows = windows_of(graph, layer.name)
    found = project_units(layer.model, pictures, windows, picks, RULE)
    return torch.stack([found.whole(number) for number in range(len(picks))]) if whole else found.image


def by_captum(model: nn.Module, module: nn.Module, pictures: Tensor, picks: list[Pick], rows: int) -> Tensor:
    """captum's, some rows at a time, each row another unit."""
    from captum.attr import NeuronGuidedBackprop

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attribution = NeuronGuidedBackprop(model, module)
        parts = []
        for first in range(0, len(picks), rows):
            some = picks[first : first + rows]
            batch = torch.stack([pictures[pick.image] for pick in some])
            at = (
                torch.arange(len(some)),
                torch.tensor([pick.unit for pick in some]),
                *torch.tensor([pick.position for pick in some]).T,
            )
            parts.append(attribution.attribute(batch, lambda value, at=at: value[at]).detach())
    return torch.cat(parts)


def quickest(model: nn.Module, module: nn.Module, pictures: Tensor, picks: list[Pick]) -> int:
    """How many rows at once captum is quickest with."""
    seconds = {rows: timed(lambda rows=rows: by_captum(model, module, pictures, picks, rows)) for rows in ROWS}  # type: ignore[misc]
    return min(seconds, key=lambda rows: seconds[rows])


def tracing_time(model: nn.Module) -> float:
    """Seconds for what is read of a network once, before any of its windows."""
    return timed(lambda: trace(model, (3, 224, 224)))


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
