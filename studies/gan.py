"""Six ways up in the same DCGAN on Fashion-MNIST: distance from real pictures, checkerboard, time."""

from __future__ import annotations

from collections.abc import Sequence

from studies.runs import Run
from studies.summary import Number, mean_told, step, told

UPSAMPLERS = ("transposed-k3", "transposed-k4", "subpixel", "subpixel-icnr", "resize", "bilinear")
LENGTH = ("--precision", "bfloat16", "--epochs", "3")


HEADING = "upsampler"
NAMES = UPSAMPLERS
NUMBERS = (
    Number("distance", told("trained", "distance")),
    Number("distance untrained", told("untrained", "distance"), drawn=False),
    Number("rarest class, part", told("trained", "rarest")),
    Number("checkerboard score, mean of layers", mean_told("trained", "checkerboard")),
    Number("pattern of samples", told("trained", "stride_pattern", "samples")),
    Number("of real pictures", told("trained", "stride_pattern", "real"), drawn=False),
    Number("step, ms", step("gan")),
)


def runs(seeds: Sequence[int], length: Sequence[str] = LENGTH) -> list[Run]:
    """One generator for each upsampler."""
    return [
        Run("gan", name, seed, ("generate", "--model", f"dcgan-32:{name}", *length))
        for seed in seeds
        for name in UPSAMPLERS
    ]
