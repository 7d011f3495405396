"""Parameters of a learner, checked and made into what learning works with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.code.boundary import check_boundary
from unconv.sparse.code.penalty import Penalty, PerKernel, PerPosition, as_penalty, relative
from unconv.sparse.code.problem import Problem, largest_correlation
from unconv.sparse.code.validate import as_tensor
from unconv.sparse.learn.constraints import Constraint, as_constraint
from unconv.sparse.types import PenaltyLike, RandomState

# Strength, in pixels², of the low-pass that is taken off pictures before kernels are learned: docs/decisions/0014.
LOW_PASS = 5.0
Sizes = list[tuple[int, tuple[int, ...]]]


def check_settings(params: Mapping[str, Any]) -> None:
    """Raise :class:`~unconv.errors.SparseError` for numbers that are none, or out of their range."""
    check_boundary(params["boundary"], "learn")
    for name in ("max_iter", "batch_size"):
        value = params[name]
        if value is None and name == "batch_size":
            continue
        if not _is_integer(value) or value < 1:
            raise SparseError(f"learn: {name} {value!r} is not an integer of at least 1")
    if not _is_number(params["tol"]) or not 0 <= params["tol"] < float("inf"):
        raise SparseError(f"learn: tol {params['tol']!r:.60} is not a number of at least 0")
    if not _is_number(params["transform_tol"]) or not 0 < params["transform_tol"] < float("inf"):
        raise SparseError(f"learn: transform_tol {params['transform_tol']!r:.60} is not a number above 0")
    low_pass = params["low_pass"]
    if low_pass != "auto" and (not _is_number(low_pass) or not 0 <= low_pass < float("inf")):
        raise SparseError(f"learn: low_pass {low_pass!r:.60} is not a strength of at least 0, or 'auto'; 0: none")
    if not _is_number(params["checkpoint_seconds"]) or not params["checkpoint_seconds"] >= 0:
        raise SparseError(
            f"learn: checkpoint_seconds {params['checkpoint_seconds']!r:.60} is not a number of at least 0"
        )
    fade = params["forgetting"]
    if fade is not None and (not _is_number(fade) or not 0 <= fade <= 1):
        raise SparseError(f"learn: forgetting {fade!r:.60} is not a number from 0 to 1, or None")
    if fade is not None and params["batch_size"] is None:
        raise SparseError(f"learn: forgetting {fade!r} has no meaning without minibatches; give batch_size as well")
    for name in ("nonnegative", "progress"):
        if not isinstance(params[name], bool | np.bool_):
            raise SparseError(f"learn: {name} {params[name]!r:.60} is not True or False")


def low_pass_of(low_pass: float | str, axes: int) -> float:
    """Strength of the low-pass: "auto" is 5 for pictures, and none for signals, which are of anything.

    >>> low_pass_of("auto", 2), low_pass_of("auto", 1), low_pass_of(2.5, 1)
    (5.0, 0.0, 2.5)
    """
    return float(low_pass) if low_pass != "auto" else LOW_PASS if axes == 2 else 0.0


def sizes_of(n_kernels: object, kernel_size: object, axes: int) -> Sizes:
    """(count, size) of each group of kernels of one size.

    >>> sizes_of(3, 5, 2), sizes_of(None, [(2, 5), (4, (7, 3))], 2)
    ([(3, (5, 5))], [(2, (5, 5)), (4, (7, 3))])
    """
    if isinstance(kernel_size, Sequence) and kernel_size and isinstance(kernel_size[0], Sequence):
        groups = [_group(entry, axes) for entry in kernel_size]
        count = sum(number for number, _ in groups)
        if n_kernels is not None and n_kernels != count:
            raise SparseError(
                f"learn: kernel_size counts {count} kernels, n_kernels is {n_kernels!r}; give n_kernels={count} or None"
            )
        return groups
    return [(_count(n_kernels, "n_kernels"), _size(kernel_size, axes))]


def constraint_for(names: object, sizes: Sizes) -> Constraint:
    """The constraint on kernels of these sizes."""
    if not isinstance(names, str) and not (isinstance(names, Sequence) and all(isinstance(n, str) for n in names)):
        raise SparseError(f"learn: constraint {names!r:.60} is not a name or several; use 'unit', for one")
    return as_constraint(names, sizes)


def first_penalty(penalty: PenaltyLike, problems: Sequence[Problem]) -> Tensor:
    """λ as numbers that stay the same while the dictionary changes.

    Raises :class:`~unconv.errors.SparseError` for a rule that depends on the dictionary: the objective would change
    from round to round.
    """
    if isinstance(penalty, str):
        return torch.tensor(relative(penalty, lambda: largest_correlation(problems), "learn"), dtype=torch.float64)
    if isinstance(penalty, PerKernel | PerPosition):
        penalty = penalty.penalties
    if isinstance(penalty, Penalty) or callable(penalty):
        raise SparseError(
            "learn: a penalty that follows from correlations changes with the dictionary; give numbers, or a part of "
            "the maximum as in '0.1max'"
        )
    first = problems[0]
    as_penalty(penalty, first.n_kernels, first.code_size, first.image, "learn")
    return as_tensor(penalty, "penalty", "learn").double()


def seed_from(random_state: RandomState, repeatable: bool) -> int:
    """The seed that a user's random state gives; one drawn anew for None, or 0 where the run must repeat."""
    if random_state is None:
        return 0 if repeatable else int(torch.randint(2**62, (), generator=_fresh()))
    if isinstance(random_state, torch.Generator):
        return int(torch.randint(2**62, (), generator=random_state, device=random_state.device))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**62))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool) and random_state >= 0:
        return int(random_state)
    raise SparseError(f"learn: random_state {random_state!r:.60} is not an integer of at least 0, a generator or None")


def thread_count(n_jobs: object) -> int:
    """How many threads ``n_jobs`` means."""
    if n_jobs is None:
        return torch.get_num_threads()
    if isinstance(n_jobs, int | np.integer) and not isinstance(n_jobs, bool) and (n_jobs == -1 or n_jobs >= 1):
        return len(os.sched_getaffinity(0)) if n_jobs == -1 else int(n_jobs)
    raise SparseError(f"learn: n_jobs {n_jobs!r:.60} is not a number of threads; give 1 or more, -1 for all, or None")


def dtype_of(images: Sequence[Tensor]) -> torch.dtype:
    """float64 if an image is, else float32."""
    return torch.float64 if any(image.dtype == torch.float64 for image in images) else torch.float32


def _fresh() -> torch.Generator:
    generator = torch.Generator()
    generator.seed()
    return generator


def _group(entry: object, axes: int) -> tuple[int, tuple[int, ...]]:
    if not isinstance(entry, Sequence) or len(entry) != 2:
        raise SparseError(f"learn: kernel_size entry {entry!r:.60} is not (count, size)")
    return _count(entry[0], "count in kernel_size"), _size(entry[1], axes)


def _size(value: object, axes: int) -> tuple[int, ...]:
    size = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * axes
    if len(size) != axes:
        raise SparseError(
            f"learn: kernel_size {value!r:.60} has {len(size)} axes, the images have {axes}; use one for each"
        )
    return tuple(_count(taps, "kernel_size") for taps in size)


def _count(value: object, name: str) -> int:
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise SparseError(f"learn: {name} {value!r:.60} is not an integer of at least 1")


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
