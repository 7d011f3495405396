"""Six ways up in the same U-Net on Fashion scenes: accuracy, checkerboard, time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studies.patterns import segmentation_patterns
from studies.runs import Run
from studies.summary import Number, held_out, step, told

UPSAMPLERS = ("transposed-k3", "transposed-k4", "subpixel", "subpixel-icnr", "resize", "bilinear")
STEPS = ("--precision", "bfloat16", "--optimiser", "muon", "--rate", "0.01", "--jaccard", "1", "--no-flip")
LENGTH = (*STEPS, "--epochs", "1", "--scenes", "8000")


HEADING = "upsampler"
NAMES = UPSAMPLERS
NUMBERS = (
    Number("mean IoU", held_out("miou")),
    Number("pattern, mean of upsamplers", told("measured", "mean")),
    Number("pattern of the scores", told("measured", "scores")),
    Number("step, ms", step("unet")),
)


def runs(seeds: Sequence[int], length: Sequence[str] = LENGTH) -> list[Run]:
    """One network for each upsampler."""
    return [
        Run("unet", name, seed, ("segment", "--model", f"unet-small:{name}", *length))
        for seed in seeds
        for name in UPSAMPLERS
    ]


def measure(run: Run, weights: Path, garments: Path | None = None) -> dict[str, Any]:
    """The pattern of its layers and of its scores."""
    return segmentation_patterns(run.arguments[2], weights, garments)
