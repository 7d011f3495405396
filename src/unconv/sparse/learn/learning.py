"""Alternating minimisation: code the images, sum up, improve the dictionary, again, as functions of values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.code.boundary import Boundary
from unconv.sparse.code.native import solve_native
from unconv.sparse.code.problem import Problem, problems_from
from unconv.sparse.code.solution import Solution
from unconv.sparse.learn.constraints import Constraint, norms
from unconv.sparse.learn.dictionary_step import dictionary_step
from unconv.sparse.learn.image_sources import Loaded, Portion, Source, Stream, shuffled
from unconv.sparse.learn.replace_kernels import Patches, replace_kernels, worst_patches
from unconv.sparse.learn.statistics import Statistics, statistics_of

PORTION = 16
FIRST_GAP, LEAST_GAP, ONLINE_GAP = 0.1, 1e-4, 5e-3
# Codes need not be better than the dictionary: their gap is this part of what the last round has gained.
GAP_OF_GAIN = 1.0
# Steps towards the best dictionary for the codes of a round, and how far beyond it to go.
STEPS, RELAXATION = 8, 1.9
ONLINE_STEPS = 15
# The whole of the past counts in the end, what was learned with a dictionary of long ago counts for less.
FORGETTING_POWER = 5.0
IDLE_ONLINE = 1e-5
_WORTH_THREADS = 50_000


@dataclass(frozen=True)
class Round:
    """What one round, or one minibatch, came to.

    ``number`` from 1; ``seconds`` since learning began, all runs together; ``objective`` Σ P(z) over its ``images``,
    coded with the dictionary as it was before the round's step; ``gap``, the largest relative duality gap of a code;
    ``nonzeros`` of all codes.
    """

    number: int
    seconds: float
    objective: float
    gap: float
    nonzeros: int
    images: int


@dataclass(frozen=True, eq=False)
class State:
    """Where learning stands: all that the next round depends on.

    ``codes`` of each image by its number (batch), or ``statistics`` of what has been seen (online); ``use`` counts
    the non-zeros of each kernel in the last round, ``idle`` are those that wait to be replaced; ``gap`` to which the
    next round codes.
    """

    dictionary: Tensor
    penalty: Tensor
    use: Tensor
    idle: Tensor
    codes: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    statistics: Statistics | None = None
    gap: float = FIRST_GAP
    history: tuple[Round, ...] = ()


@dataclass(frozen=True, eq=False)
class Sums:
    """What coding some images has given."""

    statistics: Statistics
    codes: dict[int, tuple[Tensor, Tensor]]
    use: Tensor
    patches: Patches
    objective: float = 0.0
    gap: float = 0.0
    images: int = 0


TYPES = (State, Sums, Statistics, Patches, Round)


class Clock:
    """Seconds since it was made, or since the last time it was asked."""

    def __init__(self) -> None:
        self.last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        last, self.last = self.last, time.perf_counter()
        return self.last - last


@dataclass(frozen=True, eq=False)
class Learning:
    """How to learn: what does not change from round to round."""

    source: Source
    constraint: Constraint
    boundary: Boundary
    nonnegative: bool
    threads: int
    forgetting: float | None = None
    tol: float = 1e-3
    tell: Callable[[Round, Tensor], None] | None = None
    clock: Clock = field(default_factory=Clock)

    def start(self, state: State) -> Sums:
        """The sums over no image."""
        return _none(state)

    def code(self, state: State, portion: Portion) -> Sums:
        """The images of a portion coded with the dictionary of the round, from their codes of the round before."""
        return self.code_loaded(state, self.source.load(portion), state.gap)

    def code_loaded(self, state: State, loaded: Loaded, gap: float) -> Sums:
        """Images in memory coded to a relative duality gap."""
        problems = self.problems(state, loaded)
        solutions = solve_native(problems, gap, None, self.threads)
        sums = _none(state)
        statistics, use, patches = sums.statistics, sums.use, sums.patches
        for problem, solution in zip(problems, solutions, strict=True):
            threads = self.threads if len(solution.values) >= _WORTH_THREADS else 1
            statistics = statistics_of(problem, solution.indices, solution.values, threads, statistics)
            use += torch.bincount(solution.indices[0], minlength=len(use))
        count = int(state.idle.sum())
        if count:
            found = map(self._worst, problems, solutions)
            patches = sum(found, patches).best(count)
        kept = [(solution.indices, solution.values) for solution in solutions]
        return Sums(
            statistics,
            dict(zip(loaded.indices, kept, strict=True)),
            use,
            patches,
            sum(solution.objective for solution in solutions),
            max((solution.gap for solution in solutions), default=0.0),
            len(problems),
        )

    def _worst(self, problem: Problem, solution: Solution) -> Patches:
        return worst_patches(problem, solution, self.constraint.zero_mean)

    def problems(self, state: State, loaded: Loaded) -> list[Problem]:
        """One problem an image, started from its codes of the round before."""
        found = []
        for index, image, mask in zip(loaded.indices, loaded.images, loaded.masks, strict=True):
            mask = None if mask is None else [mask]
            try:
                problem = problems_from(
                    [image], state.dictionary, state.penalty, mask, self.nonnegative, self.boundary, where="learn"
                )[0]
            except SparseError as error:
                # Checked one by one, each of them is image 0.
                raise SparseError(str(error).replace("image 0", f"image {index}")) from None
            found.append(replace(problem, start=state.codes.get(index)))
        return found

    def combine(self, total: Sums, part: Sums) -> Sums:
        """The sums over the images of both."""
        total.codes.update(part.codes)
        return Sums(
            total.statistics.add_(part.statistics),
            total.codes,
            total.use.add_(part.use),
            (total.patches + part.patches).best(len(total.use)),
            total.objective + part.objective,
            max(total.gap, part.gap),
            total.images + part.images,
        )

    def finish(self, state: State, total: Sums) -> State:
        """The state after a round: a better dictionary, the codes scaled to its kernels of norm 1."""
        if not total.images:
            raise SparseError("learn: a round without images; give a stream that can be gone through again")
        after, factors = self._improved(state, total.statistics, total.patches, STEPS, RELAXATION)
        codes = {index: _scaled(*kept, factors) for index, kept in total.codes.items()}
        gain = FIRST_GAP
        if state.history:
            # Images of which the low-pass leaves nothing have an objective of 0.
            gain = (state.history[-1].objective - total.objective) / (total.objective or 1.0)
        gap = min(FIRST_GAP, max(LEAST_GAP, GAP_OF_GAIN * gain))
        idle = total.statistics.use <= 0
        return self._record_round(
            replace(state, dictionary=after, codes=codes, use=total.use, idle=idle, gap=gap), total
        )

    def stop(self, state: State) -> bool:
        """Whether the last round gained less than tol, with codes that could tell."""
        if len(state.history) < 2:
            return False
        before, last = state.history[-2:]
        return before.objective - last.objective <= self.tol * last.objective and last.gap <= max(self.tol, LEAST_GAP)

    def minibatch(self, state: State, loaded: Loaded) -> State:
        """The state after some images were seen once: their statistics join those of the past, which fade."""
        if not loaded.images:
            return state
        part = self.code_loaded(state, loaded, ONLINE_GAP)
        seen = len(state.history) + 1
        fade = self.forgetting if self.forgetting is not None else (1 - 1 / seen) ** FORGETTING_POWER
        past = state.statistics
        statistics = part.statistics if past is None else part.statistics.add_(past.decayed(fade))
        after, factors = self._improved(state, statistics, part.patches, ONLINE_STEPS)
        statistics = statistics.rescaled(factors)
        idle = statistics.use <= IDLE_ONLINE * statistics.use.mean()
        return self._record_round(
            replace(state, dictionary=after, statistics=statistics, use=state.use + part.use, idle=idle), part
        )

    def minibatches(self, size: int, passes: int, seed: int) -> Iterator[Portion] | list[Portion]:
        """The images in minibatches, ``passes`` times; in random order where they can be taken in any."""
        source = self.source
        if isinstance(source, Stream):
            return (portion for _ in range(passes if source.again else 1) for portion in source.portions(size))
        orders = (shuffled(len(source), seed, number) for number in range(passes))
        return [portion for order in orders for portion in source.portions(size, order)]

    def _improved(
        self, state: State, statistics: Statistics, patches: Patches, steps: int, relaxation: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """A better dictionary of kernels of norm 1, and by how much their codes grow."""
        after = dictionary_step(statistics, state.dictionary, self.constraint, steps, relaxation=relaxation)
        lengths = norms(after)
        lost = lengths < 1e-6
        factors = torch.where(lost, 0, lengths)
        after = torch.where(_wide(lost, after), state.dictionary, after / _wide(torch.where(lost, 1, lengths), after))
        idle = state.idle & (statistics.use <= IDLE_ONLINE * statistics.use.mean())
        fresh = replace_kernels(after, idle, patches, self.constraint)
        anew = (fresh != after).flatten(1).any(1)
        return fresh, torch.where(anew, 0, factors)

    def _record_round(self, state: State, sums: Sums) -> State:
        seconds = self.clock.lap() + (state.history[-1].seconds if state.history else 0.0)
        number = len(state.history) + 1
        entry = Round(number, seconds, sums.objective, sums.gap, int(sums.use.sum()), sums.images)
        if self.tell is not None:
            self.tell(entry, state.dictionary)
        return replace(state, history=(*state.history, entry))


def initial(dictionary: Tensor, penalty: Tensor) -> State:
    """The state before the first round."""
    count = len(dictionary)
    return State(dictionary, penalty, torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.bool))


def describe(state: State) -> str:
    """The last round in a few words."""
    last = state.history[-1]
    return f"objective {last.objective:.6g}, {last.nonzeros} non-zeros"


def _none(state: State) -> Sums:
    kernels = state.dictionary
    statistics = Statistics.zero(len(kernels), kernels.shape[1], kernels.shape[2:])
    return Sums(statistics, {}, torch.zeros_like(state.use), Patches.none(kernels))


def _scaled(indices: Tensor, values: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    grown = values * factors.to(values)[indices[0]]
    kept = grown != 0
    return (indices, grown) if bool(kept.all()) else (indices[:, kept], grown[kept])


def _wide(numbers: Tensor, kernels: Tensor) -> Tensor:
    return numbers.reshape(-1, *(1,) * (kernels.ndim - 1))
