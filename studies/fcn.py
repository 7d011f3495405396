"""FCN-32s, 16s, 8s on Fashion scenes: does each stage gain, and does learning the interpolation?

J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for Semantic Segmentation" (2015), section 4: each
stage gains, the last one little. Here a compact backbone is trained from its first weights; each stage begins with the
weights of the one before it; the interpolation is fixed, or learned from there on. For what the stages owe to their
longer training there is an FCN-32s that sees as many scenes as all three together.
"""

from __future__ import annotations

from collections.abc import Sequence

from studies.runs import Run
from studies.summary import Number, held_out, step

STAGES = ("fcn32s", "fcn16s", "fcn8s")
KINDS = {"learned": "compact", "fixed": "compact,fixed"}
LEARNING = ("--precision", "bfloat16", "--optimiser", "muon", "--rate", "0.01", "--no-flip", "--epochs", "1")
LENGTHS = {
    "fcn32s": (*LEARNING, "--scenes", "16000"),
    "fcn16s": (*LEARNING, "--scenes", "8000"),
    "fcn8s": (*LEARNING, "--scenes", "8000"),
}
AS_LONG, ALL_SCENES = "fcn32s as long", (*LEARNING, "--scenes", "32000")

HEADING = "network, interpolation"
NAMES = (*(f"{stage} {kind}" for kind in KINDS for stage in STAGES), AS_LONG)
NUMBERS = (
    Number("mean IoU", held_out("miou")),
    Number("pixel accuracy", held_out("pixel_accuracy")),
    Number("step, ms", step("fcn"), drawn=False),
)


def runs(seeds: Sequence[int], length: Sequence[str] | None = None) -> list[Run]:
    """Three stages, two kinds of interpolation, and the first stage for longer."""
    made = []
    for seed in seeds:
        for kind, variant in KINDS.items():
            for number, stage in enumerate(STAGES):
                before = f"{STAGES[number - 1]} {kind}" if number else None
                arguments = ("segment", "--model", f"{stage}:{variant}", *(length or LENGTHS[stage]))
                made.append(Run("fcn", f"{stage} {kind}", seed, arguments, before))
        made.append(Run("fcn", AS_LONG, seed, ("segment", "--model", "fcn32s:compact", *(length or ALL_SCENES))))
    return made
