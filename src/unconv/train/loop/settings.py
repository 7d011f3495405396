"""Training settings (hyperparameters)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from unconv.choices import Optimiser, Precision
from unconv.errors import UnconvError

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
OPTIMISERS: tuple[Optimiser, ...] = ("adamw", "muon")


@dataclass(frozen=True)
class Settings:
    """What a training is told.

    Attributes:
        epochs: how often every example is seen.
        batch_size: examples of a step, at most; the batches of an epoch differ by one example at most.
        rate: the learning rate at its peak, see :func:`~unconv.train.loop.schedule.one_cycle`.
        weight_decay: of weights with two axes and more, decoupled from the gradient.
        seed: of order, augmentation and dropout.
        precision: ``"float32"``, or what :class:`torch.autocast` computes a step in: ``"bfloat16"``, ``"float16"``
            (its loss is scaled). Weights, and what is measured on the examples held out, are float32 always.
        device: what torch calls it; ``"auto"``: ``"cuda"`` where there is one, ``"cpu"`` otherwise.
        patience: epochs without a better result on the examples held out before the training stops, and its best
            epoch's weights are what it comes to; None: it goes on to the end and keeps the last weights.
        optimiser: ``"adamw"`` (Loshchilov & Hutter 2019), or ``"muon"``, which needs fewer steps and more arithmetic
            for each: see :class:`~unconv.train.loop.muon.Muon`.

    Raises UnconvError for impossible numbers.

    >>> Settings(epochs=0)
    Traceback (most recent call last):
    unconv.errors.UnconvError: train: epochs 0; give 1 or more
    """

    epochs: int = 10
    batch_size: int = 128
    rate: float = 0.003
    weight_decay: float = 0.02
    seed: int = 0
    precision: Precision = "float32"
    device: str = "auto"
    patience: int | None = None
    optimiser: Optimiser = "adamw"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UnconvError(f"train: {name} {value}; give 1 or more")
        if not (isfinite(self.rate) and self.rate > 0):
            raise UnconvError(f"train: rate {self.rate} makes no steps; give a positive number")
        if not (isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise UnconvError(f"train: weight_decay {self.weight_decay}; give 0 or more")
        if self.precision not in PRECISIONS:
            raise UnconvError(f"train: precision {self.precision!r} is unknown; it is {', '.join(PRECISIONS)}")
        if self.optimiser not in OPTIMISERS:
            raise UnconvError(f"train: optimiser {self.optimiser!r} is unknown; it is {' or '.join(OPTIMISERS)}")
