"""Does ``choose_form`` pick the quickest form? Every form that can run, on layers from which few channels come out.

Forward, float32, two threads, all forms interleaved on the same tensors. *chosen* is the rule's, and *kept* the share
of the quickest form's speed that the choice keeps; *gain* is the chosen form against torch's in the same layout.

    python -m benchmarks.transpose_forms [--quick]
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor

from benchmarks.conv_transpose import LAYERS, THREADS, Layer
from benchmarks.harness import goal, interleave, spread
from unconv.operators.transpose.blocks import blocks_of
from unconv.operators.transpose.choice import FEW_CHANNELS, MANY_CHANNELS, Form
from unconv.operators.transpose.fast import apply_form, form_for

MORE_LAYERS = (
    Layer("64→8 k4s2", 8, 64, 8, 28, 2, 4, 2, 1),
    Layer("32→6 k2s2", 4, 32, 6, 56, 2, 2, 2),
    Layer("128→12 k4s2", 4, 128, 12, 28, 2, 4, 2, 1),
    Layer("64→16 k4s2", 4, 64, 16, 28, 2, 4, 2, 1),
    Layer("16→1 k3s1", 4, 16, 1, 128, 2, 3, 1, 1),
    Layer("64→8 k3s1", 4, 64, 8, 56, 2, 3, 1, 1),
    Layer("64→1 k9s1", 1, 64, 1, 112, 2, 9, 1, 4),
    Layer("32→2 k5s1", 2, 32, 2, 112, 2, 5, 1, 2),
    Layer("256→3 k7s1", 1, 256, 3, 56, 2, 7, 1, 3),
    Layer("64→3 k5s2", 8, 64, 3, 28, 2, 5, 2, 2),
    Layer("256→21 k4s2", 1, 256, 21, 32, 2, 4, 2, 1),
    Layer("64→21 k16s8", 1, 64, 21, 32, 2, 16, 8, 4),
    Layer("12→12 k8s4", 2, 12, 12, 56, 2, 8, 4, 2),
    Layer("512→1 k2s2", 2, 512, 1, 28, 2, 2, 2),
    Layer("1-D 64→1 k16s8", 4, 64, 1, 1000, 1, 16, 8, 4),
    Layer("1-D 256→2 k8s4", 4, 256, 2, 1000, 1, 8, 4, 2),
    Layer("1-D 80→1 k512s128", 2, 80, 1, 800, 1, 512, 128, 192),
    Layer("3-D 32→1 k4s2", 1, 32, 1, 28, 3, 4, 2, 1),
    Layer("3-D 64→3 k3s1", 1, 64, 3, 24, 3, 3, 1, 1),
)
FORMS: tuple[Form, ...] = get_args(Form)
MOST_PLANES = 3e7
COLUMNS = {"layer": "layer", "layout": "layout", **{f: f"{f}, ms" for f in FORMS}, "chosen": "chosen"}
COLUMNS |= {"kept": "kept", "gain": "gain"}
NOTES = "Median times with quartiles; a dash where a form cannot run, or would fill the memory."


def run(quick: bool = False) -> dict[str, Any]:
    """Time every form on every layer, in both layouts."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        rows = [row for layer in layers() for row in measure(layer, seconds=0.1 if quick else 1.0)]
    finally:
        torch.set_num_threads(before)
    kept = [row["kept"] for row in rows]
    return {
        "threads": THREADS,
        "notes": NOTES,
        "columns": COLUMNS,
        "brief": {key: heading.removesuffix(", ms") for key, heading in COLUMNS.items()},
        "rows": rows,
        "goals": [
            goal("no choice slower than torch in its layout: least gain", min(row["gain"] for row in rows), 0.95),
            goal("speed kept: geometric mean", math.exp(statistics.fmean(map(math.log, kept))), 0.9),
        ],
    }


def layers() -> list[Layer]:
    """Those among which the rule has to choose."""
    return [
        layer
        for layer in (*LAYERS, *MORE_LAYERS)
        if layer.groups == 1 and layer.out_channels < MANY_CHANNELS and layer.in_channels > FEW_CHANNELS
    ]


def measure(layer: Layer, seconds: float) -> list[dict[str, Any]]:
    """One line for each layout of the input."""
    rows = []
    for layout, (x, weight) in layer.layouts().items():
        if layout == "channels-last":
            continue
        arguments = layer.arguments()
        calls: dict[str, Callable[[], Tensor]] = {
            form: partial(apply_form, form, x, weight, None, arguments) for form in possible(layer, x, weight)
        }
        with torch.no_grad():
            expected = calls["torch"]()
            for call in calls.values():
                torch.testing.assert_close(call(), expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
            times = interleave(calls, seconds)
        medians = {form: statistics.median(samples) for form, samples in times.items()}
        chosen = form_for(x, weight, arguments)
        rows.append(
            {
                "layer": layer.name,
                "layout": layout,
                **{form: spread(samples) for form, samples in times.items()},
                "chosen": chosen,
                "kept": round(min(medians.values()) / medians[chosen], 3),
                "gain": round(medians["torch"] / medians[chosen], 3),
            }
        )
    return rows


def possible(layer: Layer, x: Tensor, weight: Tensor) -> list[Form]:
    """Forms that exist for so many axes and do not fill the memory."""
    arguments = layer.arguments()
    blocks = blocks_of(x, weight, arguments)
    taps = math.prod(axis.taps for axis in blocks)
    forms: list[Form] = ["torch", "subpixel", "scatter"]
    if layer.dimensions > 1:
        forms.append("mixed")
    if taps * x.numel() <= MOST_PLANES:
        forms.append("gather")
    return forms


if __name__ == "__main__":
    for row in run(quick="--quick" in sys.argv)["rows"]:
        times = " ".join(f"{form} {row[form]['median']:7.3f}" for form in FORMS if form in row)
        print(f"{row['layer']:22} {row['layout']:20} {times:72} {row['chosen']:9} {row['kept']:.2f} {row['gain']:.2f}")
