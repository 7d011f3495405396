"""Map and reduce over the parts of a long job, in rounds: partition, map, combine, checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import inf
from pathlib import Path
from reprlib import Repr
from typing import Any, Generic, TypeVar

from unconv.errors import JobError
from unconv.jobs.checkpoint import Checkpoint, Saved
from unconv.jobs.executor import Executor, Serial
from unconv.jobs.interrupts import Interrupts, holding_back
from unconv.jobs.progress import Progress, Resuming, quiet
from unconv.results import Shown

Item = TypeVar("Item")
Part = TypeVar("Part")
Total = TypeVar("Total")
Model = TypeVar("Model")
State = TypeVar("State")


@dataclass(frozen=True, eq=False, repr=False)
class Result(Shown, Generic[State]):
    """What came out of a job.

    ``parts`` were folded into the state in ``rounds`` rounds, ``resumed`` of them by earlier runs; ``notes`` say what
    was found out on the way, such as a damaged checkpoint.
    """

    state: State
    rounds: int
    parts: int
    resumed: int = 0
    notes: tuple[str, ...] = ()


def run(
    partition: Iterable[Item],
    map: Callable[[Item], Part],
    combine: Callable[[State, Part], State],
    *,
    state: State,
    units: str = "parts",
    executor: Executor | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Result[State]:
    """Fold map(item) of every item into a state: combine(… combine(combine(state, part 0), part 1) …).

    Parts are combined in the order of the items, whatever the executor, so that the answer does not depend on the
    number of threads. ``combine`` may change the state in place and return it. With a ``checkpoint`` a run that was
    killed goes on where it stood, and ends like one that was not, to the last bit; the partition must then give the
    same items in the same order again, and ``map`` must not depend on anything but the item. Ctrl-C and errors keep
    what is done.

    ``units`` is what progress calls the parts. ``executor`` is :class:`~unconv.jobs.Serial` unless given. Raises
    :class:`~unconv.jobs.JobError` that names the item when ``map`` fails on one, and what the checkpoint refuses.

    >>> run(range(5), lambda n: n * n, lambda total, part: total + part, state=0).state
    30
    """
    steps: _Steps = _Steps(
        partition=lambda _model, _round: partition,
        function=lambda _model: map,
        start=lambda _model: state,
        combine=combine,
        finish=lambda _model, total: total,
        units=("round", units),
    )
    return _run(steps, 1, None, executor or Serial(), checkpoint, progress or quiet())


def iterate(
    rounds: int,
    partition: Callable[[Model, int], Iterable[Item]],
    map: Callable[[Model, Item], Part],
    combine: Callable[[Total, Part], Total],
    finish: Callable[[Model, Total], Model],
    *,
    model: Model,
    start: Callable[[Model], Total],
    stop: Callable[[Model], bool] | None = None,
    describe: Callable[[Model], str] | None = None,
    freeze: Callable[[Total], Total] | None = None,
    units: tuple[str, str] = ("round", "part"),
    executor: Executor | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Result[Model]:
    """Fold in rounds, each from the model that the round before has made.

    Round t: the total is start(model), map(model, item) of every item of partition(model, t) is combined into it,
    and finish(model, total) is the next model. It ends after ``rounds`` rounds, or once stop(model) holds after one;
    a finished run goes on when it is called with more rounds. ``describe`` gives progress a text for the model.
    ``freeze`` makes of a total the one that a checkpoint keeps, where ``combine`` leaves a part of it elsewhere.
    ``units`` is what progress calls a round and a part.

    What ``map`` reads (the model) and what ``combine`` writes (the total) are two values, so that a run resumed in
    the middle of a round computes what it would have. None of the functions may change the model in place, and
    ``partition``, which is called again on resuming, gives the same items for the same model and round: it draws
    from a generator seeded with the round, or ``finish`` has drawn for it. The rest is as in :func:`run`.

    >>> def towards(model, item): return item - model
    >>> def add(total, part): return total + part
    >>> def step(model, total): return model + total / 4
    >>> mean = iterate(30, lambda model, t: [1.0, 3.0], towards, add, step, model=0.0, start=lambda model: 0.0)
    >>> round(mean.state, 6), mean.rounds, mean.parts
    (2.0, 30, 60)
    """
    if rounds < 0:
        raise JobError(f"job: {rounds} rounds cannot be done; give 0 or more")
    steps: _Steps = _Steps(
        partition, lambda model: partial(map, model), start, combine, finish, stop, describe, freeze, units
    )
    return _run(steps, rounds, model, executor or Serial(), checkpoint, progress or quiet())


@dataclass(frozen=True)
class _Steps:
    """The functions of a job; one pass is one round whose model is its total."""

    partition: Callable[[Any, int], Iterable[Any]]
    function: Callable[[Any], Callable[[Any], Any]]
    start: Callable[[Any], Any]
    combine: Callable[[Any, Any], Any]
    finish: Callable[[Any, Any], Any]
    stop: Callable[[Any], bool] | None = None
    describe: Callable[[Any], str] | None = None
    freeze: Callable[[Any], Any] | None = None
    units: tuple[str, str] = ("round", "part")


@dataclass(frozen=True)
class _Named(Generic[Item, Part]):
    """A function whose errors name the item it failed on."""

    function: Callable[[Item], Part]

    def __call__(self, numbered: tuple[int, Item]) -> Part:
        index, item = numbered
        try:
            return self.function(item)
        except Exception as error:
            text = " ".join(str(error).split()) or "no more is known"
            kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
            raise JobError(f"job: part {index} ({_name(item)}): {kind}{text}") from error


def _name(item: Any) -> str:
    if isinstance(item, str | Path):
        return str(item)
    short = Repr()
    short.maxstring = short.maxother = 60
    return " ".join(short.repr(item).split())


class _Keeper:
    """Writes checkpoints when they are due, and none twice; interrupts come where what is done is whole."""

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        written: Saved | None,
        freeze: Callable[[Any], Any] | None,
        interrupts: Interrupts,
    ) -> None:
        self.checkpoint, self.freeze, self.interrupts = checkpoint, freeze, interrupts
        self.written = (written.folded, written.rounds) if written else None
        # The first part of all is written at once: what cannot be kept shows before much is done.
        self.since = time.monotonic() if written else -inf

    def step(self, now: Saved) -> None:
        if self.checkpoint is None:
            return
        parts = now.folded - (self.written[0] if self.written else 0)
        every = self.checkpoint.every_parts
        waited = time.monotonic() - self.since >= self.checkpoint.every_seconds
        if waited or (every is not None and parts >= every):
            self.write(now)

    def write(self, now: Saved) -> None:
        if self.checkpoint is not None and self.written != (now.folded, now.rounds):
            frozen = now if self.freeze is None or not now.parts else replace(now, total=self.freeze(now.total))
            self.checkpoint.save(frozen)
            self.written = (now.folded, now.rounds)
            self.since = time.monotonic()


def _run(
    steps: _Steps, rounds: int, model: Any, executor: Executor, checkpoint: Checkpoint | None, progress: Progress
) -> Result[Any]:
    if not isinstance(executor, Executor):
        raise JobError(
            f"job: executor {executor!r:.60} has no map(function, items); give unconv.jobs.Serial(), Threads(), or None"
        )
    with ExitStack() as stack:
        saved = None
        if checkpoint is not None:
            stack.enter_context(checkpoint.lock())
            saved = checkpoint.load()
        now = saved or Saved(model)
        if now.rounds > rounds:
            raise JobError(
                f"{checkpoint}: has {now.rounds} rounds done, now {rounds} are asked for; "
                f"ask for {now.rounds} or more, or use another folder"
            )
        resumed, notes = now.folded, now.notes
        keeper = _Keeper(checkpoint, saved, steps.freeze, stack.enter_context(holding_back()))
        stack.enter_context(progress)
        if rounds > 1:
            _start(progress, rounds, now.rounds, f"{steps.units[0]}s")
        while now.rounds < rounds and not (steps.stop and now.rounds and steps.stop(now.model)):
            now = _reduce(steps, now, executor, keeper, _Teller(progress, rounds, steps.describe, steps.units))
            now = Saved(steps.finish(now.model, now.total), None, now.rounds + 1, 0, now.folded)
            keeper.step(now)
            if rounds > 1:
                progress.advance(1)
        keeper.write(now)
    return Result(now.model, now.rounds, now.folded, resumed, notes)


def _start(progress: Progress, total: int | None, done: int, units: str) -> None:
    progress.start(total, units)
    if done and isinstance(progress, Resuming):
        progress.resume(done)
    else:
        progress.advance(done)


@dataclass(frozen=True)
class _Teller:
    """Counts the parts of the only round, or the rounds with the parts in words."""

    progress: Progress
    rounds: int
    describe: Callable[[Any], str] | None
    units: tuple[str, str]

    def start(self, now: Saved, total: int | None) -> None:
        if self.rounds <= 1:
            _start(self.progress, total, now.parts, self.units[1])
        else:
            self.tell(now, total)

    def tell(self, now: Saved, total: int | None) -> None:
        if self.rounds <= 1:
            self.progress.advance(1)
            return
        of = "" if total is None else f" of {total}"
        words = f"; {self.describe(now.model)}" if self.describe and now.rounds else ""
        whole, part = self.units
        self.progress.advance(0, f"{whole} {now.rounds + 1}, {part} {now.parts}{of}{words}")


def _reduce(steps: _Steps, now: Saved, executor: Executor, keeper: _Keeper, teller: _Teller) -> Saved:
    """The parts of one round, from where it stands."""
    items = steps.partition(now.model, now.rounds)
    count = len(items) if isinstance(items, Sized) else None
    if not now.parts:
        now = replace(now, total=steps.start(now.model))
    teller.start(now, count)
    function = _Named(steps.function(now.model))
    with closing(executor.map(function, _rest(items, now.parts))) as parts:
        while True:
            try:
                with keeper.interrupts.let_through():
                    part = next(parts)
            except StopIteration:
                return now
            except BaseException:
                # Nothing is being combined at this moment: what is done is whole, and kept.
                keeper.write(now)
                raise
            total = steps.combine(now.total, part)
            del part
            now = replace(now, total=total, parts=now.parts + 1, folded=now.folded + 1)
            keeper.step(now)
            teller.tell(now, count)


def _rest(items: Iterable[Item], done: int) -> Iterator[tuple[int, Item]]:
    """The items after those that are done, numbered; a sequence does not have to produce the others again."""
    if isinstance(items, Sequence):
        if done > len(items):
            raise _fewer(done, len(items))
        for index in range(done, len(items)):
            yield index, items[index]
        return
    stream = iter(items)
    skipped = sum(1 for _ in islice(stream, done))
    if skipped < done:
        raise _fewer(done, skipped)
    yield from enumerate(stream, done)


def _fewer(done: int, there: int) -> JobError:
    return JobError(
        f"checkpoint: has {done} parts of the round done, now there are {there}; "
        "resume with the partition it was made with, or use another folder"
    )
