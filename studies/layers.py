"""Standard, depthwise and factorized layers at equal multiply-accumulates, on Fashion-MNIST: what is the accuracy?

M. Wang, B. Liu, H. Foroosh, "Factorized Convolutional Neural Networks" (2016). Widths are such that all networks make
as many multiply-accumulates as the standard one, within a twentieth.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from studies.runs import Run
from studies.summary import Entry, Number, held_out, step
from unconv.models.load.resolve import load_model
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace

VARIANTS = ("standard", "depthwise", "single", "topological", "bottleneck")
LENGTH = ("--precision", "bfloat16", "--epochs", "1")


HEADING = "layers"
NAMES = VARIANTS


def _macs(entry: Entry) -> float:
    return float(_graph(entry["name"]).macs)


def _parameters(entry: Entry) -> float:
    return float(_graph(entry["name"]).parameters)


@cache
def _graph(name: str) -> Graph:
    loaded = load_model(f"factorized:{name}", random_weights=True)
    return trace(loaded.module, loaded.input_size)


NUMBERS = (
    Number("MACs", _macs, drawn=False),
    Number("parameters", _parameters),
    Number("accuracy", held_out("accuracy"), 4),
    Number("step, ms", step("layers")),
)


def runs(seeds: Sequence[int], length: Sequence[str] = LENGTH) -> list[Run]:
    """One network for each kind of layer."""
    return [
        Run("layers", name, seed, ("classify", "--model", f"factorized:{name}", *length))
        for seed in seeds
        for name in VARIANTS
    ]
