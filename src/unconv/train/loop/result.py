"""The state of a training (moment, sums, epochs so far) and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan

from torch import Tensor

from unconv.results import Shown
from unconv.train.loop.learner import Moment, Numbers, Score
from unconv.train.loop.settings import Settings


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to, as means over examples: of the training ones while it went on, of those held out after."""

    number: int
    train: Numbers
    held_out: Numbers


@dataclass(frozen=True, eq=False, repr=False)
class State(Shown):
    """How far a training is.

    Attributes:
        moment: where the learner stands; None: where it stands now.
        sums: of what was measured in this epoch, over its examples.
        seen: how many of these there were.
        history: the epochs done.
        best: the weights of the best of them, where they are kept.
        skipped: what could not be read.
    """

    moment: Moment | None
    sums: dict[str, Tensor] = field(default_factory=dict)
    seen: int = 0
    history: tuple[Epoch, ...] = ()
    best: dict[str, Tensor] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Fitted(Shown):
    """What a training has come to.

    Attributes:
        weights: by the names of the network's ``state_dict``.
        history: an entry for each epoch.
        epoch: the one whose weights these are, an entry of the history: the last, or with ``patience`` the best.
        skipped: examples that could not be read, and why.
        resumed: steps that an earlier run had done.
        notes: what was found out on the way, such as a damaged checkpoint, or that the training ended early.
    """

    weights: dict[str, Tensor]
    history: tuple[Epoch, ...]
    epoch: Epoch
    skipped: tuple[str, ...] = ()
    resumed: int = 0
    notes: tuple[str, ...] = ()


def conclude_training(state: State, settings: Settings, score: Score) -> Fitted:
    """The last weights; with patience those of the best epoch, and a sentence that says which it was."""
    last = state.history[-1]
    if settings.patience is None and state.moment is not None:
        return Fitted(state.moment.weights, state.history, last)
    best = state.history[best_of(state.history, score)]
    early = f"stopped after epoch {last.number} of {settings.epochs}; " if last.number < settings.epochs else ""
    note = f"{early}the weights are those of epoch {best.number}, the best on the examples held out"
    return Fitted(state.best, state.history, best, notes=(note,))


def best_of(history: tuple[Epoch, ...], score: Score) -> int:
    """The place of the best epoch; of several the first, and one whose score is no number only where all are."""
    scores = [score(epoch.held_out) for epoch in history]
    return max(range(len(scores)), key=lambda place: (not isnan(scores[place]), scores[place], -place))
