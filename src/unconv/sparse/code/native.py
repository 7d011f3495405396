"""Coordinate descent with a working set: the C++ solver behind :func:`~unconv.encode`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unconv import _native
from unconv.errors import SparseError
from unconv.sparse.code.penalty import InverseCorrelation, Penalty, PerKernel, PerPosition
from unconv.sparse.code.problem import Problem
from unconv.sparse.code.solution import Solution, Trace

_BOUNDARIES = {"crop": 0, "valid": 1, "circular": 2}
_MAX_STEPS = 1000
# One row of a tile must be addressable with 32 bits, and positions are stored so.
_LARGEST_AXIS = 2**25


def available(problem: Problem) -> bool:
    """Whether the C++ solver can take the problem: one or two axes, on the processor."""
    return problem.image.device.type == "cpu" and len(problem.image_size) <= 2


def instructions() -> str:
    """The set of instructions that the C++ code uses here: "avx512", "avx2" or "baseline".

    The environment variable UNCONV_INSTRUCTIONS, read when the first problem is solved, asks for a smaller one.
    """
    return str(_native.instructions())


def solve_native(
    problems: Sequence[Problem], tol: float = 1e-3, max_steps: int | None = None, threads: int | None = None
) -> list[Solution]:
    """Solve each problem to a relative duality gap of ``tol``, with ``threads`` threads (default: torch's number).

    The same input gives the same bits, whatever the number of threads. Ctrl-C stops it within a fraction of a second.

    Raises :class:`~unconv.errors.SparseError` for an axis of more than 2²⁵ pixels.
    """
    count = threads or torch.get_num_threads()
    steps = _MAX_STEPS if max_steps is None else max_steps
    # Several images: one a thread. A single one: all threads on it.
    if len(problems) < 2 or count < 2:
        return [_solve(problem, tol, steps, count, None) for problem in problems]
    cancel = np.zeros(1, np.uint8)
    with ThreadPoolExecutor(min(count, len(problems))) as pool:
        futures = [pool.submit(_solve, problem, tol, steps, 1, cancel) for problem in problems]
        try:
            return [future.result() for future in futures]
        except BaseException:
            cancel[0] = 1
            for future in futures:
                future.cancel()
            raise


def largest_ratio(problem: Problem, threads: int | None = None) -> float:
    """max_i |⟨d_i, W²s⟩| / λ_i over all positions: at most 1 where all codes are best left at zero."""
    answer = _call(replace(problem, start=None), float("inf"), 0, threads or torch.get_num_threads(), None)
    return float(answer["ratio"])


def _solve(problem: Problem, tol: float, max_steps: int, threads: int, cancel: np.ndarray[Any, Any] | None) -> Solution:
    if max(problem.image_size) > _LARGEST_AXIS:
        raise SparseError(
            f"encode: image of size {problem.image_size}; the native solver takes axes up to {_LARGEST_AXIS}"
        )
    return _solution(_call(problem, tol, max_steps, threads, cancel), problem)


def _call(
    problem: Problem, tol: float, max_steps: int, threads: int, cancel: np.ndarray[Any, Any] | None
) -> dict[str, Any]:
    signal = len(problem.image_size) == 1
    kind, values, inverse, function = _penalty(problem.penalty, problem)
    indices, start = _start(problem)
    return _native.solve(
        image=_flat(problem.image, signal),
        dictionary=_flat(problem.dictionary, signal),
        weight=None if problem.weight is None else _flat(problem.weight, signal),
        boundary=_BOUNDARIES[problem.boundary],
        nonnegative=problem.nonnegative,
        penalty_kind=kind,
        penalty_values=values,
        inverse=inverse,
        function=function,
        start_indices=indices,
        start_values=start,
        tol=tol,
        max_steps=max_steps,
        threads=threads,
        cancel=cancel,
    )


def _flat(tensor: Tensor, signal: bool) -> np.ndarray[Any, Any]:
    """As a two-dimensional problem: a signal is an image of one row."""
    array = tensor.detach().numpy()
    return np.ascontiguousarray(array[..., None, :] if signal else array)


def _start(problem: Problem) -> tuple[np.ndarray[Any, Any] | None, np.ndarray[Any, Any] | None]:
    if problem.start is None:
        return None, None
    indices, values = problem.start
    if len(problem.image_size) == 1:
        indices = torch.stack([indices[0], torch.zeros_like(indices[0]), indices[1]])
    # The solver asks for penalties strip by strip.
    order = torch.argsort(indices[1], stable=True)
    return indices[:, order].contiguous().numpy(), values[order].contiguous().numpy()


def _penalty(
    penalty: Penalty, problem: Problem
) -> tuple[str, np.ndarray[Any, Any] | None, tuple[float, float, float], Callable[..., None] | None]:
    none = (0.0, 0.0, 0.0)
    if isinstance(penalty, PerKernel):
        return "per_kernel", penalty.penalties.numpy(), none, None
    if isinstance(penalty, PerPosition):
        wide = penalty.penalties.expand(problem.n_kernels, *problem.code_size).numpy()
        return "per_position", wide[:, None] if wide.ndim == 2 else wide, none, None
    if isinstance(penalty, InverseCorrelation):
        return "inverse_correlation", None, (penalty.scale, penalty.power, penalty.floor), None
    signal = len(problem.image_size) == 1

    def fill(seen: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any], first: int, last: int) -> None:
        block = torch.from_numpy(seen.copy())
        block = block[:, 0] if signal else block
        rows = slice(None) if signal else slice(first, last)
        wanted[...] = penalty.values(block, rows).expand(block.shape).reshape(wanted.shape).numpy()

    return "from_correlation", None, none, fill


def _solution(answer: dict[str, Any], problem: Problem) -> Solution:
    if answer["cancelled"]:
        raise KeyboardInterrupt
    rows, columns, kernels = answer["rows"], answer["columns"], answer["kernels"]
    order = np.lexsort((columns, rows, kernels))
    axes = (kernels, columns) if len(problem.image_size) == 1 else (kernels, rows, columns)
    indices = torch.from_numpy(np.stack([axis[order] for axis in axes]).astype(np.int64))
    trace = torch.from_numpy(answer["trace"]).reshape(-1, 3)
    return Solution(
        indices=indices,
        values=torch.from_numpy(answer["values"][order]),
        objective=answer["objective"],
        gap=answer["gap"],
        steps=answer["steps"],
        converged=answer["converged"],
        trace=Trace(*(trace[:, column].clone() for column in range(3))),
    )
