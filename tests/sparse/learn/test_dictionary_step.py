"""The dictionary step finds the best dictionary that the statistics allow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.sparse.learn.test_statistics import BOUNDARIES, example, real, statistics
from unconv.sparse.learn.constraints import as_constraint, norms
from unconv.sparse.learn.dictionary_step import dictionary_step


@pytest.mark.parametrize("names", ["unit", "zero_mean", "nonnegative"])
def test_minimiser_is_that_of_scipy(names: str) -> None:
    problem, codes = example("circular", size=(9, 8), kernel=(3, 2), channels=1)
    found = statistics(problem, codes)
    constraint = as_constraint(names, [(3, (3, 2))])
    start = constraint.unit(problem.dictionary)
    step = dictionary_step(found, start, constraint, steps=2000, tol=0.0)
    rules: list[dict[str, object]] = [
        {"type": "ineq", "fun": lambda d, k=k: 1 - d[6 * k : 6 * k + 6] @ d[6 * k : 6 * k + 6]} for k in range(3)
    ]
    if constraint.zero_mean:
        rules += [{"type": "eq", "fun": lambda d, k=k: d[6 * k : 6 * k + 6].sum()} for k in range(3)]
    best = minimize(
        lambda d: found.data_term(torch.from_numpy(d).reshape(3, 1, 3, 2)),
        start.numpy().ravel(),
        bounds=[(0, None)] * 18 if constraint.nonnegative else None,
        constraints=rules,
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    assert found.data_term(step) <= best.fun + 1e-6
    np.testing.assert_allclose(step.numpy().ravel(), best.x, atol=1e-2)


@pytest.mark.parametrize("masked", ["no", "binary", "weights"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("relaxation", [1.0, 1.9, 100.0])
def test_step_lowers_the_real_objective_and_stays_in_the_constraint(
    boundary: str, masked: str, dtype: torch.dtype, relaxation: float
) -> None:
    problem, codes = example(boundary, masked=masked, dtype=dtype)
    constraint = as_constraint("unit", [(3, (5, 4))])
    problem.dictionary.copy_(constraint.unit(problem.dictionary))
    found = dictionary_step(statistics(problem, codes), problem.dictionary, constraint, relaxation=relaxation)
    assert found.dtype == dtype
    assert float(norms(found).max()) <= 1 + 1e-6
    assert float(real(problem, codes, found)) < float(real(problem, codes, problem.dictionary))


def test_kernels_in_use_nowhere_stay_what_they_are() -> None:
    problem, codes = example("valid")
    codes[1] = 0
    constraint = as_constraint("unit", [(3, (5, 4))])
    start = constraint.unit(problem.dictionary)
    found = dictionary_step(statistics(problem, codes), start, constraint)
    assert torch.equal(found[1], start[1])
    assert not torch.equal(found[0], start[0])


def test_no_codes_at_all_change_nothing() -> None:
    problem, codes = example("circular")
    constraint = as_constraint("unit", [(3, (5, 4))])
    assert torch.equal(
        dictionary_step(statistics(problem, 0 * codes), problem.dictionary, constraint), problem.dictionary
    )


def test_signals_are_stepped_like_images_of_one_row() -> None:
    problem, codes = example("crop", size=(30,), kernel=(6,))
    constraint = as_constraint("unit", [(3, (6,))])
    start = constraint.unit(problem.dictionary)
    found = dictionary_step(statistics(problem, codes), start, constraint, steps=200)
    assert found.shape == start.shape
    assert float(real(problem, codes, found)) < float(real(problem, codes, start))
