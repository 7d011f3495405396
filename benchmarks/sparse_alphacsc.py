"""How fast are signals coded and their kernels learned, against alphacsc on its own example? 100 signals of 512.

The data are those of its example ``plot_simulate_csc``: 2 kernels of 64, noise 0.01, λ = 0.1, codes z ≥ 0 that stay
inside the signal, kernels of norm at most 1, 50 iterations. Its kernel update by the dual problem fails on NumPy 2, so
it runs with the primal one, which is as fast. *Coding* is with its learned kernels, to 1.001 times the least
objective. *Learning* starts on both sides from
the same random kernels; J(D) is the least objective with which D codes all signals, and each side's time is that of
its first kernels whose J is at most 1.001 times that of alphacsc's last.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.harness import goal
from benchmarks.rivals.sporco_coders import THREADS
from benchmarks.sparse_tasks import Array
from unconv.sparse.code.encode import encode
from unconv.sparse.estimator.learner import DictionaryLearner

SIGNALS, LENGTH, KERNELS, KERNEL = 100, 512, 2, 64
PENALTY = 0.1
ITERATIONS = 50
ROUNDS = 100
SEED = 60
NEAR = 1.001

COLUMNS = {
    "job": "job",
    "their_objective": "alphacsc's objective",
    "objective": "ours",
    "theirs": "alphacsc, s",
    "ours": "unconv, s",
    "ratio": "ratio",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Coding, then learning."""
    torch.set_num_threads(THREADS)
    signals, first = data(SIGNALS // 5 if quick else SIGNALS)
    states, seconds = learned_by_alphacsc(signals, first, ITERATIONS // 5 if quick else ITERATIONS)
    rows = [coding(signals, states[-1]), learning(signals, first, states, seconds)]
    return {
        "threads": THREADS,
        "notes": f"{len(signals)} signals of {LENGTH}, {KERNELS} kernels of {KERNEL}, λ = {PENALTY}, z ≥ 0.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [goal(f"{row['job']}: alphacsc's time by ours", row["ratio"], 5.0) for row in rows],
    }


def data(count: int) -> tuple[Array, Array]:
    """Signals (N, T), and the kernels (K, L) that both sides start from."""
    from alphacsc.simulate import simulate_data

    signals, _, _ = simulate_data(count, LENGTH, KERNEL, KERNELS, 1)
    signals = signals + 0.01 * np.random.RandomState(1).randn(*signals.shape)
    first = np.random.RandomState(SEED).randn(KERNELS, KERNEL)
    return signals, first / np.linalg.norm(first, axis=1, keepdims=True)


def coding(signals: Array, dictionary: Array) -> dict[str, Any]:
    """Codes of all signals for given kernels, in turn, to 1.001 times the least objective."""
    least = least_objective(signals, dictionary)
    by = {"theirs": coders_of_alphacsc(signals, dictionary), "ours": our_coders(signals, dictionary)}
    chosen = {side: first_near(calls, signals, dictionary, NEAR * least) for side, calls in by.items()}
    samples: dict[str, list[float]] = {side: [] for side in by}
    for _ in range(3):
        for side, (call, _) in chosen.items():
            samples[side].append(timed(call)[0])
    return result("coding", chosen["theirs"][1], chosen["ours"][1], samples["theirs"], samples["ours"])


def learning(signals: Array, first: Array, states: list[Array], seconds: list[float]) -> dict[str, Any]:
    """Seconds until J is near that of alphacsc's last kernels, the codes of each of its states solved anew by us."""
    target = NEAR * least_objective(signals, states[-1])
    theirs = next(number for number, state in enumerate(states) if least_objective(signals, state) <= target)
    runs = [learned(signals, first) for _ in range(3)]
    values = (least_objective(signals, state) for _, state in runs[0])
    number, value = next(((n, value) for n, value in enumerate(values) if value <= target), (None, math.nan))
    if number is None:
        raise RuntimeError(f"learning: {ROUNDS} rounds do not reach J = {target:.5g}")
    their_value = least_objective(signals, states[theirs])
    return result("learning", their_value, value, [seconds[theirs]], [run[number][0] for run in runs])


def learned(signals: Array, first: Array) -> list[tuple[float, Array]]:
    """Our run from the same first kernels: seconds, and the kernels after each round."""
    states: list[tuple[float, Array]] = []
    start = time.perf_counter()
    DictionaryLearner(
        n_kernels=KERNELS,
        kernel_size=KERNEL,
        penalty=PENALTY,
        boundary="valid",
        nonnegative=True,
        init=first[:, np.newaxis],
        max_iter=ROUNDS,
        low_pass=0.0,
        tol=0.0,
        random_state=SEED,
        n_jobs=THREADS,
        callback=lambda _, kernels: states.append((time.perf_counter() - start, kernels[:, 0].numpy().copy())),
    ).fit(signals[:, np.newaxis])
    return states


def coders_of_alphacsc(signals: Array, dictionary: Array) -> list[Callable[[], Array]]:
    """Its codes (N, K, positions), from coarse to fine, on one process and no more: starting others costs more."""
    from alphacsc.update_z import update_z

    def call(factor: float) -> Array:
        codes = update_z(signals, dictionary, PENALTY, solver="l-bfgs", solver_kwargs={"factr": factor})
        return np.asarray(codes).transpose(1, 0, 2)

    return [functools.partial(call, 10.0**power) for power in (14, 13, 12, 11, 10, 9, 7)]


def our_coders(signals: Array, dictionary: Array) -> list[Callable[[], Array]]:
    """Our codes, likewise."""

    def call(tolerance: float) -> Array:
        return encoded(signals, dictionary, tolerance).numpy()

    return [functools.partial(call, tolerance) for tolerance in (0.1, 0.03, 0.01, 0.003, 1e-3, 1e-4, 1e-5)]


def first_near(
    calls: list[Callable[[], Array]], signals: Array, dictionary: Array, target: float
) -> tuple[Callable[[], Array], float]:
    """The first call whose answer is near enough, and its objective."""
    for call in calls:
        value = objective(signals, dictionary, np.asarray(call()))
        if value <= target:
            return call, value
    raise RuntimeError(f"no call reaches the objective {target:.6g}; the last has {value:.6g}")


def encoded(signals: Array, dictionary: Array, tolerance: float) -> torch.Tensor:
    """Our codes, dense as alphacsc's are."""
    answer = encode(
        signals[:, np.newaxis],
        dictionary[:, np.newaxis],
        PENALTY,
        nonnegative=True,
        boundary="valid",
        tol=tolerance,
        threads=THREADS,
    )
    return answer.codes.to_dense()


def objective(signals: Array, dictionary: Array, codes: Array) -> float:
    """½‖x − Dz‖² + λΣz in float64, over all signals."""
    built = np.zeros(signals.shape)
    for number, own in enumerate(codes.astype(np.float64)):
        built[number] = sum(np.convolve(code, kernel) for code, kernel in zip(own, dictionary, strict=True))
    return float(0.5 * np.square(signals - built).sum() + PENALTY * np.abs(codes).sum())


def least_objective(signals: Array, dictionary: Array) -> float:
    """J(D)."""
    return objective(signals, dictionary, encoded(signals, dictionary, 1e-6).numpy())


def learned_by_alphacsc(signals: Array, first: Array, iterations: int) -> tuple[list[Array], list[float]]:
    """Kernels after each iteration, and seconds until then, its own objective not counted."""
    from alphacsc import learn_d_z
    from alphacsc.update_d import update_d_block

    states: list[Array] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, times, _, _, _ = learn_d_z(
            signals,
            KERNELS,
            KERNEL,
            func_d=functools.partial(update_d_block, projection="primal"),
            reg=PENALTY,
            n_iter=iterations,
            ds_init=first,
            solver_d_kwargs={"factr": 100},
            random_state=SEED,
            verbose=0,
            callback=lambda _, kernels, *__: states.append(kernels.copy()),
        )
    # One time for the start, then one for codes and one for kernels in turn.
    return states, np.cumsum(times)[2::2].tolist()


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what it returns."""
    start = time.perf_counter()
    answer = call()
    return time.perf_counter() - start, answer


def result(job: str, their_value: float, value: float, theirs: list[float], ours: list[float]) -> dict[str, Any]:
    """A row."""
    their_seconds, seconds = statistics.median(theirs), statistics.median(ours)
    print(f"{job}: {their_seconds:.3g} s against {seconds:.3g} s", flush=True)
    return {
        "job": job,
        "their_objective": round(their_value, 5),
        "objective": round(value, 5),
        "theirs": float(f"{their_seconds:.4g}"),
        "ours": float(f"{seconds:.4g}"),
        "ratio": float(f"{their_seconds / seconds:.4g}"),
    }
