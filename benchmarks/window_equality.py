"""Do windows give what whole images give, at every convolution? Six networks, odd sizes, borders and corners.

Units at the corners, borders and in the middle of every convolution's feature maps, guided. In float64 the two have to
be equal; in float32, where torch takes other kernels for other sizes, a rectifier or a switch on a near-tie may fall
the other way: *flips* are projections whose largest difference is more than 1e-4 of their largest value.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import goal
from unconv.models.load.resolve import load_model
from unconv.network.trace.trace import trace
from unconv.network.windows import windows_of
from unconv.visualize.reverse.passage import run_forward
from unconv.visualize.reverse.project_units import Pick, project_units
from unconv.visualize.scan.scan import convolutions

RULE = "guided"
FLIP, EQUAL = 1e-4, 1e-9
CASES: dict[str, tuple[tuple[int, int], ...]] = {
    "torchvision:vgg16": ((224, 224), (227, 227)),
    "torchvision:resnet50": ((225, 301),),
    "torchvision:googlenet": ((227, 227),),
    "efficientnet-lite0": ((224, 224), (227, 227)),
    "torchvision:mnasnet1_0": ((225, 301),),
    "torchvision:lraspp_mobilenet_v3_large": ((227, 227),),
}

COLUMNS = {
    "network": "network",
    "size": "size",
    "layers": "convolutions",
    "windowed": "by windows",
    "projections": "projections",
    "difference": "largest difference, float64",
    "flips": "flips, float32",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Every network and size."""
    rows = []
    for name, sizes in list(CASES.items())[: 1 if quick else None]:
        for size in sizes[: 1 if quick else None]:
            rows.append(compare(name, size, every=4 if quick else 1))
            print(f"{name} {size}: {rows[-1]['difference']:.1e}, {rows[-1]['flips']} flips", flush=True)
    return {
        "threads": torch.get_num_threads(),
        "columns": COLUMNS,
        "rows": rows,
        "goals": [
            goal(
                "largest relative difference in float64", max(row["difference"] for row in rows), EQUAL, at_least=False
            )
        ],
    }


def compare(name: str, size: tuple[int, int], every: int) -> dict[str, Any]:
    """All convolutions of one network."""
    model = network(name).double()
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    graph = trace(model, (3, *size))
    layers = [layer for layer in convolutions(model) if layer in graph and len(graph[layer].output_shape) == 3][::every]
    difference, flips, windowed, count = 0.0, 0, 0, 0
    exact = errors(model, image, layers)
    single = errors(model.float(), image.float(), layers)
    for layer in layers:
        worst, whole = exact[layer]
        difference = max(difference, *worst)
        flips += sum(error > FLIP for error in single[layer][0])
        windowed += not whole
        count += len(worst)
    return {
        "network": name.removeprefix("torchvision:"),
        "size": "×".join(map(str, size)),
        "layers": len(layers),
        "windowed": windowed,
        "projections": count,
        "difference": float(f"{difference:.2g}"),
        "flips": flips,
    }


def errors(model: nn.Module, image: Tensor, layers: list[str]) -> dict[str, tuple[list[float], bool]]:
    """For each layer the relative differences of some units, and whether its windows are whole images."""
    graph = trace(model, tuple(image.shape[1:]))
    passage = run_forward(model, image, layers, RULE)
    found = {}
    for layer in layers:
        windows = windows_of(graph, layer)
        units, *grid = windows.shape
        picks = [Pick(0, (7 * n) % units, place) for n, place in enumerate(places(tuple(grid)))]
        ours = project_units(model, image, windows, picks, RULE)
        differences = []
        for number, pick in enumerate(picks):
            signal = torch.zeros_like(passage.values[layer])
            signal[(0, pick.unit, *pick.position)] = 1
            whole = passage.back(layer, signal)[0]
            scale = float(whole.abs().max()) or 1.0
            differences.append(float((ours.whole(number) - whole).abs().max()) / scale)
        found[layer] = differences, ours.windows.whole
    return found


def network(name: str) -> nn.Module:
    """With random weights, but for the one that comes with its own; batch norm is made to do something."""
    loaded = load_model(name) if name == "efficientnet-lite0" else load_model(name, random_weights=True)
    generator = torch.Generator().manual_seed(0)
    if name != "efficientnet-lite0":
        for module in loaded.module.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor, low, high in (
                    (module.running_var, 0.5, 2.0),
                    (module.weight, 0.5, 2.0),
                    (module.bias, -0.1, 0.1),
                ):
                    assert isinstance(tensor, Tensor)
                    tensor.data.uniform_(low, high, generator=generator)
    return loaded.module


def places(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Three corners, two borders and the middle."""
    height, width = (n - 1 for n in size)
    chosen = [(0, 0), (0, width), (height, width), (height, width // 2), (height // 2, 0), (height // 2, width // 2)]
    return list(dict.fromkeys(chosen))
