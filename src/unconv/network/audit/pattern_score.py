"""Pattern scores: how much of a constant comes out as a checkerboard, of weights alone and of what comes in."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from unconv.network.run.computed_weights import weight_of

NOTICEABLE = 0.02
"""Scores up to here are not reported: a fiftieth of the amplitude."""


@dataclass(frozen=True)
class Score:
    """The pattern score of a layer.

    Attributes:
        weights: of the weights alone, whatever comes in: 0 where no constant can come out as a pattern; None where what
            lies behind them makes that a matter of what comes in.
        actual: of what comes in; None where that is not known.
        source: what that is of.
    """

    weights: float | None
    actual: float | None
    source: str

    def __str__(self) -> str:
        alone = "" if self.weights is None else f"; {self.weights:.2g} of its weights alone"
        if self.actual is None:
            return f"pattern score {self.weights or 0:.2g} of its weights alone (0 none, 1 all)"
        return f"pattern score {self.actual:.2g} {self.source} (0 none, 1 all{alone})"

    @property
    def noticeable(self) -> bool:
        """Whether there is a pattern to be seen, as far as is known."""
        return ((self.weights or 0) if self.actual is None else self.actual) > NOTICEABLE


def layer_weight(module: nn.Module | None) -> Tensor | None:
    """The weight of a layer, if its values are known and finite."""
    weight = weight_of(module)
    if weight is None or weight.is_meta or weight.ndim < 2 or not weight.is_floating_point():
        return None
    return weight if bool(weight.isfinite().all()) else None
