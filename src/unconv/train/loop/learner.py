"""The learner's protocol: what the loop asks of that which it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from unconv.errors import UnconvError
from unconv.train.data.examples import Batch, Examples

Numbers: TypeAlias = "dict[str, float]"

Conclude: TypeAlias = Callable[[Mapping[str, Tensor]], Mapping[str, float]]
"""From means over examples, by name, to the numbers that are told."""

Score: TypeAlias = Callable[[Mapping[str, float]], float]
"""From the numbers of the examples held out to one that is larger where they are better."""


@dataclass(frozen=True, eq=False)
class Moment:
    """Where a learner stands between two steps.

    Attributes:
        weights: tensors by name; what the training is for.
        optimiser: what else the next step depends on: the state dict of an optimiser, or several by name.
        scaler: the state dict of what scales the loss, where anything does.
    """

    weights: dict[str, Tensor]
    optimiser: dict[str, Any]
    scaler: dict[str, Any] = field(default_factory=dict)


class Learner(Protocol):
    """What is trained: brought from moment to moment by steps that depend on nothing but moment, batch and seed."""

    def kept(self) -> Moment:
        """Where it stands, as copies."""
        ...

    def now(self) -> Moment:
        """Where it stands: the tensors themselves, which the next step may change."""
        ...

    def load(self, moment: Moment) -> None:
        """Go on from a moment, which later steps leave as it is."""
        ...

    def step(self, batch: Batch, number: int, seed: int, place: str) -> Mapping[str, Tensor]:
        """One step; what is measured on the way, summed over the examples of the batch (float64).

        Args:
            batch: with one example at least.
            number: of the step, from 0 over all epochs.
            seed: of everything that is drawn in it.
            place: the step in words, for errors.
        """
        ...

    def evaluate(self, examples: Examples) -> tuple[Mapping[str, float], tuple[str, ...]]:
        """The numbers of examples that are held out, and which of these could not be read."""
        ...


def scalars(means: Mapping[str, Tensor]) -> Numbers:
    """Means as they are.

    Raises UnconvError for one that is no single number.

    >>> import torch
    >>> scalars({"loss": torch.tensor(0.25)})
    {'loss': 0.25}
    """
    for name, mean in means.items():
        if mean.numel() != 1:
            raise UnconvError(
                f"train: {name} has shape {tuple(mean.shape)} an example; give conclude, which makes numbers of it"
            )
    return {name: float(mean) for name, mean in means.items()}


def least_loss(numbers: Mapping[str, float]) -> float:
    """The smaller the loss, the better.

    >>> least_loss({"loss": 0.25, "accuracy": 0.9})
    -0.25
    """
    return -numbers["loss"]
