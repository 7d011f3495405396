"""The loop that trains: it knows no network and no task, only steps, epochs and how to go on after a kill.

A training is a fold: the state after a step is that of the step before and a batch, and what a batch holds follows
from seed, epoch and step alone. Run by ``unconv.jobs``, one that was killed and resumed ends with the same weights, to
the last bit, as one left alone (on the same machine, with as many threads).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil, isfinite
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Generator, Tensor, nn

from unconv.errors import UnconvError
from unconv.jobs import Checkpoint, Executor, JobError, Progress, Serial, fingerprint_arrays, iterate
from unconv.train.augment import Augment
from unconv.train.examples import Batch, Examples
from unconv.train.trainer import Measure, Moment, Trainer, evaluate

Numbers: TypeAlias = "dict[str, float]"


@dataclass(frozen=True)
class Settings:
    """What a training is told.

    Attributes:
        epochs: how often every example is seen.
        batch_size: examples of a step, at most; the batches of an epoch differ by one example at most.
        rate: the learning rate at its peak, see :func:`~unconv.train.schedule.one_cycle`.
        weight_decay: of weights with two axes and more, decoupled from the gradient (AdamW).
        seed: of order, augmentation and dropout.

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

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UnconvError(f"train: {name} {getattr(self, name)}; give 1 or more")
        if not (isfinite(self.rate) and self.rate > 0):
            raise UnconvError(f"train: rate {self.rate} makes no steps; give a positive number")
        if not (isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise UnconvError(f"train: weight_decay {self.weight_decay}; give 0 or more")


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to, as means over examples: of the training ones while it went on, of those held out after."""

    number: int
    train: Numbers
    held_out: Numbers


@dataclass(frozen=True, eq=False)
class State:
    """How far a training is: where the network stands, sums over the examples of this epoch, epochs done."""

    moment: Moment
    sums: Numbers = field(default_factory=dict)
    seen: int = 0
    history: tuple[Epoch, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a training has come to.

    Attributes:
        weights: by the names of the network's ``state_dict``.
        history: an entry for each epoch.
        skipped: examples that could not be read, and why.
        resumed: steps that an earlier run had done.
        notes: what was found out on the way, such as a damaged checkpoint.
    """

    weights: dict[str, Tensor]
    history: tuple[Epoch, ...]
    skipped: tuple[str, ...] = ()
    resumed: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """Which examples a step is made with."""

    epoch: int
    number: int
    examples: tuple[int, ...] = field(repr=False)


def fit(
    network: nn.Module,
    measure: Measure,
    examples: Examples,
    held_out: Examples,
    settings: Settings | None = None,
    *,
    augment: Augment | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Minimise the mean loss over examples, in steps along its gradient on batches.

    AdamW (I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2) with the learning
    rate of :func:`~unconv.train.schedule.one_cycle`. The network given is left as it is.

    Args:
        network: begins with the weights it has; parameters that require no gradient stay.
        measure: from the network's outputs and the targets of a batch to numbers, one an example; ``"loss"`` is
            minimised, the others are told.
        examples: what is trained on.
        held_out: what every epoch is measured on; it changes nothing else.
        settings: Settings() unless given.
        augment: changes the inputs of a batch at random, by the generator given.
        executor: fetches batches; :class:`~unconv.jobs.Threads` where that takes long.
        checkpoint: a folder; a training that was killed is resumed from there and ends the same.
        checkpoint_seconds: how often it is written.
        about: what else the answer depends on, for the checkpoint to compare.
        progress: as :func:`unconv.jobs.bar` makes it; counts epochs.

    Raises UnconvError where there is nothing to train or to train on, the network fails or the loss is not finite;
    JobError for a checkpoint of another training.

    >>> from unconv.train.examples import TensorExamples
    >>> def measure(outputs, targets): return {"loss": (outputs - targets).square().mean(1)}
    >>> inputs = torch.randn(256, 3, generator=Generator().manual_seed(0))
    >>> line = TensorExamples(inputs, inputs.sum(1, keepdim=True))
    >>> fitted = fit(nn.Linear(3, 1), measure, line, line, Settings(epochs=20, batch_size=32, rate=0.1))
    >>> fitted.weights["weight"].round(decimals=1), len(fitted.history)
    (tensor([[1., 1., 1.]]), 20)
    """
    settings = settings or Settings()
    if not len(examples) or not len(held_out):
        raise UnconvError(f"train: {len(examples)} examples and {len(held_out)} held out; give some of both")
    per_epoch = ceil(len(examples) / settings.batch_size)
    trainer = Trainer(network, measure, settings.rate, settings.weight_decay, settings.epochs * per_epoch)
    model = State(trainer.kept())
    passes = _Passes(trainer, examples, held_out, settings, augment)
    keeper = None
    if checkpoint is not None:
        fingerprint = _fingerprint(model, examples, held_out, settings, about)
        keeper = Checkpoint(Path(checkpoint), fingerprint, checkpoint_seconds, types=(State, Moment, Epoch))
    try:
        result = iterate(
            settings.epochs,
            passes.steps,
            passes.fetch,
            passes.step,
            passes.finish,
            model=model,
            start=lambda state: replace(state, sums={}, seen=0),
            describe=_describe,
            executor=executor or Serial(),
            checkpoint=keeper,
            progress=progress,
        )
    except JobError as error:
        if isinstance(error.__cause__, UnconvError):
            raise error.__cause__ from None
        raise
    state = result.state
    return Fitted(state.moment.weights, state.history, state.skipped, result.resumed, result.notes)


@dataclass(frozen=True, eq=False)
class _Passes:
    """The functions of the job: an epoch is a round, a step is a part."""

    trainer: Trainer
    examples: Examples
    held_out: Examples
    settings: Settings
    augment: Augment | None

    def steps(self, _state: State, epoch: int) -> list[Step]:
        order = torch.randperm(len(self.examples), generator=_generator(self.settings.seed, epoch))
        parts = order.tensor_split(ceil(len(order) / self.settings.batch_size))
        return [Step(epoch, number, tuple(part.tolist())) for number, part in enumerate(parts)]

    def fetch(self, _state: State, step: Step) -> tuple[Step, Batch]:
        batch = self.examples.fetch(step.examples)
        if self.augment is not None and len(batch.inputs):
            generator = _generator(self.settings.seed, step.epoch, step.number)
            batch = replace(batch, inputs=self.augment(batch.inputs, generator))
        return step, batch

    def step(self, state: State, part: tuple[Step, Batch]) -> State:
        step, batch = part
        skipped = _united(state.skipped, batch.skipped)
        if not len(batch.inputs):
            return replace(state, skipped=skipped)
        place = f"epoch {step.epoch + 1}, step {step.number + 1}"
        number = step.epoch * ceil(len(self.examples) / self.settings.batch_size) + step.number
        self.trainer.load(state.moment)
        measured = self.trainer.step(batch, number, _seed(self.settings.seed, step.epoch, step.number, "drop"), place)
        sums = {name: state.sums.get(name, 0.0) + value for name, value in measured.items()}
        return State(self.trainer.now(), sums, state.seen + len(batch.inputs), state.history, skipped)

    def finish(self, before: State, total: State) -> State:
        epoch = len(before.history) + 1
        if not total.seen:
            told = "; ".join(total.skipped[:3])
            raise UnconvError(f"train: no example could be used: {told}")
        self.trainer.load(total.moment)
        held_out, skipped = evaluate(self.trainer.network, self.trainer.measure, self.held_out)
        train = {name: value / total.seen for name, value in total.sums.items()}
        history = (*before.history, Epoch(epoch, train, held_out))
        return State(self.trainer.kept(), history=history, skipped=_united(total.skipped, skipped))


def _united(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _describe(state: State) -> str:
    last = state.history[-1]
    return ", ".join(f"{name} {value:.4g}" for name, value in last.held_out.items()) + " held out"


def _seed(*words: object) -> int:
    return random.Random(" ".join(map(str, words))).getrandbits(63)


def _generator(*words: object) -> Generator:
    return Generator().manual_seed(_seed(*words))


def _fingerprint(
    state: State, examples: Examples, held_out: Examples, settings: Settings, about: Mapping[str, Any] | None
) -> dict[str, Any]:
    first = fingerprint_arrays(**{name.replace(".", "/"): value for name, value in state.moment.weights.items()})
    data = {"examples": examples.fingerprint(), "held out": held_out.fingerprint()}
    return {**asdict(settings), **(about or {}), **data, "first weights": first}
