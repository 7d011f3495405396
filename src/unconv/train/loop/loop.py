"""The training loop: it knows no network and no task, only steps, epochs and how to go on after a kill.

A training is a fold: the state after a step is that of the step before and a batch, and what a batch holds follows
from seed, epoch and step alone. Run by ``unconv.jobs``, one that was killed and resumed ends with the same weights, to
the last bit, as one left alone (on the same machine, with as many threads).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from os import PathLike
from typing import Any

import torch
from torch import Generator, nn

from unconv.errors import UnconvError
from unconv.jobs import (
    Checkpoint,
    Executor,
    Progress,
    Result,
    Running,
    fingerprint_arrays,
    iterate,
    raising_causes,
)
from unconv.train.data.augment import Augment
from unconv.train.data.examples import Batch, Examples
from unconv.train.loop.device import device_of
from unconv.train.loop.learner import Conclude, Learner, Moment, Score, least_loss, scalars
from unconv.train.loop.result import Epoch as Epoch, Fitted as Fitted, State as State, best_of, conclude_training
from unconv.train.loop.settings import Settings as Settings
from unconv.train.loop.tensorboard import EVERY, Log, logging_to
from unconv.train.loop.trainer import Measure, Trainer


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
    conclude: Conclude = scalars,
    score: Score = least_loss,
    augment: Augment | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    about: Mapping[str, Any] | None = None,
    log: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Minimise the mean loss over examples, in steps along its gradient on batches.

    AdamW (I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2) or
    :class:`~unconv.train.loop.muon.Muon`, with the learning rate of :func:`~unconv.train.loop.schedule.one_cycle`. The
    network given is left as it is.

    Args:
        network: begins with the weights it has; parameters that require no gradient stay.
        measure: from the network's outputs and the targets of a batch to numbers, one an example, or one tensor an
            example; ``"loss"`` is minimised, the others are told.
        examples: what is trained on.
        held_out: what every epoch is measured on; without ``patience`` it changes nothing.
        settings: Settings() unless given.
        conclude: from means of what is measured to the numbers that are told.
        score: from the numbers of the examples held out to one that says how good they are, for ``patience``.
        augment: changes a batch at random, by the generator given.
        executor: fetches batches; :class:`~unconv.jobs.Threads` where that takes long.
        checkpoint: a folder; a training that was killed is resumed from there and ends the same.
        checkpoint_seconds: how often it is written.
        about: what else the answer depends on, for the checkpoint to compare.
        log: a folder for :class:`~unconv.train.loop.tensorboard.Log`, which TensorBoard shows.
        progress: as :func:`unconv.jobs.bar` makes it; counts epochs.

    Raises UnconvError where there is nothing to train or to train on, the network fails or the loss is not finite;
    JobError for a checkpoint of another training.

    >>> from unconv.train.data.examples import TensorExamples
    >>> def measure(outputs, targets): return {"loss": (outputs - targets).square().mean(1)}
    >>> inputs = torch.randn(256, 3, generator=Generator().manual_seed(0))
    >>> line = TensorExamples(inputs, inputs.sum(1, keepdim=True))
    >>> fitted = fit(nn.Linear(3, 1), measure, line, line, Settings(epochs=20, batch_size=32, rate=0.1))
    >>> fitted.weights["weight"].round(decimals=1), len(fitted.history)
    (tensor([[1., 1., 1.]]), 20)
    """
    settings = settings or Settings()
    running = Running(executor, checkpoint, checkpoint_seconds, progress, log)
    trainer = trainer_for(network, measure, examples, settings, conclude)
    return train(
        trainer, examples, held_out, settings, running, conclude=conclude, score=score, augment=augment, about=about
    )


def trainer_for(
    network: nn.Module, measure: Measure, examples: Examples, settings: Settings, conclude: Conclude = scalars
) -> Trainer:
    """The learner that :func:`fit` trains: a copy of the network and its optimiser."""
    return Trainer(network, measure, settings, settings.epochs * steps_of(examples, settings), conclude)


def steps_of(examples: Examples, settings: Settings) -> int:
    """Steps of one epoch."""
    return ceil(len(examples) / settings.batch_size)


def run_learner(
    learner: Learner,
    examples: Examples,
    held_out: Examples,
    settings: Settings,
    *,
    conclude: Conclude = scalars,
    score: Score = least_loss,
    augment: Augment | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    about: Mapping[str, Any] | None = None,
    log: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """The loop: epochs of steps over the examples in an order drawn anew for each, and a measurement after each epoch.

    Args:
        learner: what takes the steps; it need not be one network with one optimiser.
        conclude: makes numbers of what the steps of an epoch have measured; the rest is as in :func:`fit`.

    Raises what the learner raises, and as :func:`fit` does.
    """
    running = Running(executor, checkpoint, checkpoint_seconds, progress, log)
    return train(
        learner, examples, held_out, settings, running, conclude=conclude, score=score, augment=augment, about=about
    )


def train(
    learner: Learner,
    examples: Examples,
    held_out: Examples,
    settings: Settings,
    running: Running,
    *,
    conclude: Conclude = scalars,
    score: Score = least_loss,
    augment: Augment | None = None,
    about: Mapping[str, Any] | None = None,
) -> Fitted:
    """The job behind :func:`fit` and :func:`run_learner`, run as ``running`` says."""
    if not len(examples) or not len(held_out):
        raise UnconvError(f"train: {len(examples)} examples and {len(held_out)} held out; give some of both")
    model = State(learner.kept())
    keeper = running.checkpoint(
        lambda: _fingerprint(learner.now(), examples, held_out, settings, about), State, Moment, Epoch
    )
    with logging_to(running.log) as logged:
        passes = _Passes(learner, examples, held_out, settings, conclude, score, augment, logged)
        result = passes.run(model, running, keeper)
    state = result.state
    last = conclude_training(state, settings, score)
    return replace(last, skipped=state.skipped, resumed=result.resumed, notes=(*result.notes, *last.notes))


@dataclass(frozen=True, eq=False)
class _Passes:
    """The functions of the job: an epoch is a round, a step is a part."""

    learner: Learner
    examples: Examples
    held_out: Examples
    settings: Settings
    conclude: Conclude
    score: Score
    augment: Augment | None
    log: Log | None

    def run(self, model: State, running: Running, checkpoint: Checkpoint | None) -> Result[State]:
        with raising_causes():
            return iterate(
                self.settings.epochs,
                self.steps,
                self.fetch,
                self.step,
                self.finish,
                model=model,
                start=lambda state: replace(state, sums={}, seen=0),
                stop=self.stop,
                describe=_describe,
                freeze=self.freeze,
                units=("epoch", "step"),
                executor=running.executor,
                checkpoint=checkpoint,
                progress=running.progress,
            )

    def steps(self, _state: State, epoch: int) -> list[Step]:
        order = torch.randperm(len(self.examples), generator=_generator(self.settings.seed, epoch))
        parts = order.tensor_split(steps_of(self.examples, self.settings))
        return [Step(epoch, number, tuple(part.tolist())) for number, part in enumerate(parts)]

    def fetch(self, _state: State, step: Step) -> tuple[Step, Batch]:
        batch = self.examples.fetch(step.examples)
        if self.augment is not None and len(batch.inputs):
            generator = _generator(self.settings.seed, step.epoch, step.number)
            batch = self.augment(batch, generator)
        return step, batch

    def step(self, state: State, part: tuple[Step, Batch]) -> State:
        step, batch = part
        skipped = _united(state.skipped, batch.skipped)
        if not len(batch.inputs):
            return replace(state, skipped=skipped)
        if state.moment is not None:
            self.learner.load(state.moment)
        place = f"epoch {step.epoch + 1}, step {step.number + 1}"
        number = step.epoch * steps_of(self.examples, self.settings) + step.number
        seed = _seed(self.settings.seed, step.epoch, step.number, "drop")
        measured = self.learner.step(batch, number, seed, place)
        if self.log is not None and number % EVERY == 0:
            means = {name: value / len(batch.inputs) for name, value in measured.items()}
            self.log.add("steps", self.conclude(means), number + 1)
        sums = {name: state.sums[name] + value if state.sums else value for name, value in measured.items()}
        return State(None, sums, state.seen + len(batch.inputs), state.history, state.best, skipped)

    def freeze(self, state: State) -> State:
        return state if state.moment is not None else replace(state, moment=self.learner.now())

    def finish(self, before: State, total: State) -> State:
        if not total.seen:
            reasons = "; ".join(total.skipped[:3])
            raise UnconvError(f"train: no example could be used: {reasons}")
        if total.moment is not None:
            self.learner.load(total.moment)
        train = _plain(self.conclude({name: value / total.seen for name, value in total.sums.items()}))
        held_out, skipped = self.learner.evaluate(self.held_out)
        epoch = Epoch(len(before.history) + 1, train, _plain(held_out))
        if self.log is not None:
            steps_done = epoch.number * steps_of(self.examples, self.settings)
            self.log.add("train", epoch.train, steps_done)
            self.log.add("held_out", epoch.held_out, steps_done)
        history = (*before.history, epoch)
        moment = self.learner.kept()
        best = before.best
        if self.settings.patience is not None and best_of(history, self.score) == len(history) - 1:
            best = moment.weights
        return State(moment, history=history, best=best, skipped=_united(total.skipped, skipped))

    def stop(self, state: State) -> bool:
        patience = self.settings.patience
        return patience is not None and len(state.history) - 1 - best_of(state.history, self.score) >= patience


def _plain(numbers: Mapping[str, float]) -> dict[str, float]:
    """Numbers as a checkpoint keeps them: numpy's, too, are floats then."""
    return {name: float(number) for name, number in numbers.items()}


def _united(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _describe(state: State) -> str:
    # Names with a slash are details, one a class: TensorBoard groups them, a line has no room for them.
    totals = {name: value for name, value in state.history[-1].held_out.items() if "/" not in name}
    return ", ".join(f"{name} {value:.4g}" for name, value in totals.items()) + " held out"


def _seed(*words: object) -> int:
    return random.Random(" ".join(map(str, words))).getrandbits(63)


def _generator(*words: object) -> Generator:
    return Generator().manual_seed(_seed(*words))


def _fingerprint(
    first: Moment, examples: Examples, held_out: Examples, settings: Settings, about: Mapping[str, Any] | None
) -> dict[str, Any]:
    weights = fingerprint_arrays(**{name.replace(".", "/"): value for name, value in first.weights.items()})
    data = {"examples": examples.fingerprint(), "held out": held_out.fingerprint()}
    chosen = {**asdict(settings), "device": str(device_of(settings.device))}
    return {**chosen, **(about or {}), **data, "first weights": weights}
