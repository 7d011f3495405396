"""How fast is ``unconv.conv_transpose`` against torch's, forward and with its gradients?

Both sides run in float32, unless a row says otherwise, on two threads, interleaved, and each in its best setting:
tensors contiguous, the input channels-last, or input and weight channels-last. The ratio is the median over rounds of
torch's best time by our best; *contiguous* is ours fed with contiguous tensors, against the same best of torch. Before
anything is timed, our result is compared with torch's in float64.

    python -m benchmarks.conv_transpose [--quick] [SHAPE...]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import goal, interleave, quickest, ratio, spread
from unconv.operators.by_axes import CONV_TRANSPOSE
from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.blocks import blocks_of
from unconv.operators.transpose.conv_transpose import conv_transpose
from unconv.operators.transpose.fast import form_for

THREADS = 2
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-8}
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


@dataclass(frozen=True)
class Layer:
    """A transposed convolution as some network has it, the same on every axis."""

    name: str
    batch: int
    in_channels: int
    out_channels: int
    size: int
    dimensions: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    groups: int = 1
    dtype: torch.dtype = torch.float32
    biased: bool = False

    @property
    def few(self) -> bool:
        """Strided, two-dimensional, and at most four channels come out."""
        return self.dimensions == 2 and self.stride > 1 and self.out_channels <= 4

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Input and weight, the same at every call."""
        random = torch.Generator().manual_seed(0)
        sizes, kernel = (self.size,) * self.dimensions, (self.kernel_size,) * self.dimensions
        x = torch.randn(self.batch, self.in_channels, *sizes, generator=random)
        weight = torch.randn(self.in_channels, self.out_channels // self.groups, *kernel, generator=random)
        return x.to(self.dtype), (weight / math.sqrt(self.in_channels)).to(self.dtype)

    def bias(self) -> tuple[Tensor, ...]:
        """What is added to the output channels, where something is."""
        return (torch.linspace(-1, 1, self.out_channels).to(self.dtype),) if self.biased else ()

    def arguments(self) -> TransposeArguments:
        """Everything but the tensors."""
        return TransposeArguments.of(self.dimensions, self.stride, self.padding, self.output_padding, self.groups)

    def run(self, operator: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """One call."""
        return operator(x, weight, bias, self.stride, self.padding, self.output_padding, self.groups)

    def layouts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Input and weight in the memory formats that a user may have them in."""
        x, weight = self.tensors()
        found = {"contiguous": (x, weight)}
        if self.dimensions > 1:
            layout = CHANNELS_LAST[self.dimensions]
            last = x.contiguous(memory_format=layout)
            found["channels-last input"] = (last, weight)
            found["channels-last"] = (last, weight.contiguous(memory_format=layout))
        return found


LAYERS = (
    Layer("DCGAN 100→512 k4s1", 16, 100, 512, 1, 2, 4),
    Layer("DCGAN 512→256 k4s2", 16, 512, 256, 4, 2, 4, 2, 1),
    Layer("DCGAN 256→128 k4s2", 16, 256, 128, 8, 2, 4, 2, 1),
    Layer("DCGAN 128→64 k4s2", 16, 128, 64, 16, 2, 4, 2, 1),
    Layer("DCGAN 64→3 k4s2", 16, 64, 3, 32, 2, 4, 2, 1),
    Layer("DCGAN 128→1 k4s2", 16, 128, 1, 14, 2, 4, 2, 1),
    Layer("FCN 21→21 k64s32", 1, 21, 21, 16, 2, 64, 32),
    Layer("FCN 21→21 k16s8", 1, 21, 21, 64, 2, 16, 8),
    Layer("FCN 21→21 k4s2", 1, 21, 21, 64, 2, 4, 2),
    Layer("FCN depthwise 21 k64s32", 1, 21, 21, 16, 2, 64, 32, groups=21),
    Layer("FCN depthwise 21 k16s8", 1, 21, 21, 64, 2, 16, 8, groups=21),
    Layer("FCN depthwise 21 k4s2", 1, 21, 21, 64, 2, 4, 2, groups=21),
    Layer("U-Net 128→64 k2s2", 1, 128, 64, 128, 2, 2, 2),
    Layer("U-Net 512→256 k2s2", 1, 512, 256, 32, 2, 2, 2),
    Layer("64→32 k3s2", 4, 64, 32, 64, 2, 3, 2, 1, 1),
    Layer("64→32 k5s2", 4, 64, 32, 64, 2, 5, 2, 2, 1),
    Layer("depthwise 64 k4s2", 4, 64, 64, 64, 2, 4, 2, 1, groups=64),
    Layer("4 groups 64→64 k4s2", 4, 64, 64, 64, 2, 4, 2, 1, groups=4),
    Layer("FCN depthwise 21 k16s8, bfloat16", 1, 21, 21, 64, 2, 16, 8, groups=21, dtype=torch.bfloat16),
    Layer("depthwise 64 k4s2, bfloat16", 4, 64, 64, 64, 2, 4, 2, 1, groups=64, dtype=torch.bfloat16),
    Layer("depthwise 162 k2s2, bfloat16", 16, 162, 162, 7, 2, 2, 2, groups=162, dtype=torch.bfloat16),
    Layer("4 groups 64→64 k4s2, bfloat16", 4, 64, 64, 64, 2, 4, 2, 1, groups=4, dtype=torch.bfloat16),
    Layer("depthwise 64 k4s2, bias", 4, 64, 64, 64, 2, 4, 2, 1, groups=64, biased=True),
    Layer("U-Net 24→11 k2s2, bias, bfloat16", 16, 24, 11, 48, 2, 2, 2, dtype=torch.bfloat16, biased=True),
    Layer("U-Net 128→64 k2s2, bias, bfloat16", 4, 128, 64, 64, 2, 2, 2, dtype=torch.bfloat16, biased=True),
    Layer("AlexNet 96→3 k11s4", 4, 96, 3, 55, 2, 11, 4),
    Layer("ZFNet 96→3 k7s2", 1, 96, 3, 110, 2, 7, 2, 1),
    Layer("ResNet 64→3 k7s2", 1, 64, 3, 112, 2, 7, 2, 3, 1),
    Layer("FSRCNN 56→1 k9s3", 1, 56, 1, 128, 2, 9, 3, 4, 2),
    Layer("decoder 32→3 k3s2", 8, 32, 3, 112, 2, 3, 2, 1, 1),
    Layer("VGG 64→3 k3s1", 8, 64, 3, 224, 2, 3, 1, 1),
    Layer("tiny 8→8 k4s2", 1, 8, 8, 8, 2, 4, 2, 1),
    Layer("1-D 512→256 k16s8", 4, 512, 256, 128, 1, 16, 8, 4),
    Layer("1-D 128→64 k4s2", 4, 128, 64, 4096, 1, 4, 2, 1),
    Layer("1-D 514→1 k1024s256", 1, 514, 1, 400, 1, 1024, 256),
    Layer("3-D 128→64 k2s2", 1, 128, 64, 16, 3, 2, 2),
    Layer("3-D 64→32 k4s2", 1, 64, 32, 16, 3, 4, 2, 1),
    Layer("3-D 64→2 k4s2", 1, 64, 2, 24, 3, 4, 2, 1),
)

NOTES = (
    "Times are medians with quartiles. *ratio*: torch's best layout by our best; *contiguous*: torch's best layout by "
    "ours fed with a contiguous input. *form* is what the rule chose for a contiguous / a channels-last input."
)
BOUNDED = ("FCN 21→21 k64s32", "FCN 21→21 k16s8")
"""Layers whose time is mostly the product's own."""

COLUMNS = {
    "layer": "layer",
    "input": "input",
    "form": "form",
    "torch": "torch, ms",
    "torch_layout": "its best layout",
    "ours": "ours, ms",
    "ratio": "ratio",
    "ratio_contiguous": "contiguous",
    "torch_gradients": "with gradients: torch, ms",
    "ours_gradients": "ours, ms ",
    "ratio_gradients": "ratio ",
}
BRIEF = {
    "layer": "layer",
    "form": "form",
    "torch": "torch",
    "ours": "ours",
    "ratio": "ratio",
    "ratio_contiguous": "contig.",
    "torch_gradients": "∇ torch",
    "ours_gradients": "∇ ours",
    "ratio_gradients": "∇ ratio",
}


def run(quick: bool = False, layers: Sequence[Layer] = LAYERS) -> dict[str, Any]:
    """Check and time every layer."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        rows = [measure_layer(layer, seconds=0.15 if quick else 1.5) for layer in layers]
        limits = [limit(layer, seconds=0.3 if quick else 3) for layer in layers if layer.name in BOUNDED]
    finally:
        torch.set_num_threads(before)
    return {
        "threads": THREADS,
        "notes": NOTES,
        "columns": COLUMNS,
        "brief": BRIEF,
        "rows": rows,
        "goals": goals(rows, layers),
        **{key: value for found in limits for key, value in found.items()},
    }


def measure_layer(layer: Layer, seconds: float) -> dict[str, Any]:
    """One line of the table."""
    error = check(layer)
    forward, gradients = forward_calls(layer), gradient_calls(layer)
    with torch.no_grad():
        times = interleave(forward, seconds)
    with_gradients = interleave(gradients, seconds)
    theirs, ours = best_of(times)
    theirs_back, ours_back = best_of(with_gradients)
    return {
        "layer": layer.name,
        "input": f"{layer.batch}×{layer.in_channels}×{layer.size}" + {1: "", 2: "²", 3: "³"}[layer.dimensions],
        "form": forms(layer),
        "error": float(f"{error:.1e}"),
        "torch": spread(times[theirs]),
        "torch_layout": theirs.removeprefix("torch "),
        "ours": spread(times[ours]),
        "ratio": ratio(times[theirs], times[ours]),
        "ratio_contiguous": ratio(times[theirs], times["ours contiguous"]),
        "torch_gradients": spread(with_gradients[theirs_back]),
        "ours_gradients": spread(with_gradients[ours_back]),
        "ratio_gradients": ratio(with_gradients[theirs_back], with_gradients[ours_back]),
        "all": {name: spread(samples) for name, samples in times.items()},
        "all_gradients": {name: spread(samples) for name, samples in with_gradients.items()},
    }


def limit(layer: Layer, seconds: float) -> dict[str, Any]:
    """How far torch is from the matrix product alone: no form that multiplies in float32 can gain more.

    Every block of cells takes ⌈k/s⌉ inputs an axis, so a form multiplies (blocks × taps·in) by (taps·in × cells). Here
    random matrices of these sizes are multiplied; nothing is collected, moved or cropped.
    """
    x, weight = layer.tensors()
    blocks = blocks_of(x, weight, layer.arguments())
    positions = layer.batch * math.prod(axis.count for axis in blocks)
    depth = layer.in_channels * math.prod(axis.taps for axis in blocks)
    cells = layer.out_channels * math.prod(axis.stride for axis in blocks)
    collected, kernel = torch.randn(positions, depth), torch.randn(depth, cells)
    torchs = {name: call for name, call in forward_calls(layer).items() if name.startswith("torch")}
    with torch.no_grad():
        times = interleave({**torchs, "product": lambda: collected @ kernel}, seconds)
    return {
        f"{layer.name}: the matrix product alone, ms": spread(times["product"]),
        f"{layer.name}: torch by the product alone": ratio(times[quickest(times, list(torchs))], times["product"]),
    }


def check(layer: Layer) -> float:
    """Largest difference from torch in float64, relative to the largest value."""
    x, weight = layer.tensors()
    exact = layer.run(CONV_TRANSPOSE[layer.dimensions], *(one.double() for one in (x, weight, *layer.bias())))
    worst = 0.0
    for inputs in layer.layouts().values():
        ours = layer.run(conv_transpose, *inputs, *layer.bias()).double()
        worst = max(worst, ((ours - exact).abs().max() / exact.abs().max()).item())
    if worst > (most := TOLERANCE[layer.dtype]):
        raise RuntimeError(f"{layer.name}: differs from torch in float64 by {worst:.1e}, more than {most:.0e}")
    return worst


def forms(layer: Layer) -> str:
    """What the rule chooses, for a contiguous and for a channels-last input."""
    if layer.dtype is not torch.float32:
        return "torch"
    found = dict.fromkeys(form_for(x, weight, layer.arguments()) for x, weight in layer.layouts().values())
    return " / ".join(found)


def forward_calls(layer: Layer) -> dict[str, Callable[[], object]]:
    """Each side in each of its layouts."""
    calls: dict[str, Callable[[], object]] = {}
    for side, operator in sides(layer).items():
        for layout, (x, weight) in layer.layouts().items():
            inputs = (x, weight, *layer.bias())
            calls[f"{side} {layout}"] = lambda operator=operator, inputs=inputs: layer.run(operator, *inputs)
    return calls


def gradient_calls(layer: Layer) -> dict[str, Callable[[], object]]:
    """The same with the gradients of input, weight and bias, the gradient of the output in the output's layout."""
    calls: dict[str, Callable[[], object]] = {}
    for side, operator in sides(layer).items():
        for layout, (x, weight) in layer.layouts().items():
            inputs = (x.requires_grad_(), *(one.clone().requires_grad_() for one in (weight, *layer.bias())))
            seed = torch.randn_like(layer.run(operator, *inputs).detach())
            calls[f"{side} {layout}"] = lambda operator=operator, inputs=inputs, seed=seed: torch.autograd.grad(
                layer.run(operator, *inputs), inputs, seed
            )
    return calls


def sides(layer: Layer) -> dict[str, Callable[..., Tensor]]:
    """Whom to compare."""
    return {"torch": CONV_TRANSPOSE[layer.dimensions], "ours": conv_transpose}


def best_of(times: dict[str, list[float]]) -> tuple[str, str]:
    """torch's quickest layout, and ours."""
    theirs = [name for name in times if name.startswith("torch")]
    return quickest(times, theirs), quickest(times, [name for name in times if name not in theirs])


def goals(rows: Sequence[dict[str, Any]], layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """What was aimed at."""
    by_name = {row["layer"]: row for row in rows}
    tiny = [row for name, row in by_name.items() if name.startswith("tiny")]
    others = [row for name, row in by_name.items() if not name.startswith("tiny")]
    few = [by_name[layer.name]["ratio"] for layer in layers if layer.few]
    found = []
    if others:
        found += [
            goal("every layer, forward: least ratio", min(row["ratio"] for row in others), 0.95),
            goal("every layer, with gradients: least ratio", min(row["ratio_gradients"] for row in others), 0.95),
        ]
    if tiny:
        least = min(min(row["ratio"], row["ratio_gradients"]) for row in tiny)
        found.append(goal("the tiny layer, all call overhead: ratio", least, 0.85))
    if few:
        mean = math.exp(sum(map(math.log, few)) / len(few))
        found.append(goal("strided 2-D, at most 4 channels out: geometric mean", mean, 2.5))
    targets = {"FCN 21→21 k64s32": 2.0, "FCN 21→21 k16s8": 2.0, "VGG 64→3 k3s1": 1.5}
    return found + [
        goal(f"{name}, forward: ratio", by_name[name]["ratio"], target)
        for name, target in targets.items()
        if name in by_name
    ]


def main() -> None:
    """Print the table of the layers named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", metavar="SHAPE", help="part of a layer's name")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    chosen = [layer for layer in LAYERS if not arguments.layers or any(part in layer.name for part in arguments.layers)]
    for row in run(arguments.quick, chosen)["rows"]:
        print(
            f"{row['layer']:24} {row['form']:18} forward {row['torch']['median']:8.3f} {row['ours']['median']:8.3f} ms "
            f"{row['ratio']:5.2f} (contiguous {row['ratio_contiguous']:5.2f})   with gradients "
            f"{row['torch_gradients']['median']:8.3f} {row['ours_gradients']['median']:8.3f} ms "
            f"{row['ratio_gradients']:5.2f}"
        )


if __name__ == "__main__":
    main()
