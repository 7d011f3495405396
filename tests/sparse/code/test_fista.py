"""FISTA: in three axes, under rounding, and as a layer that learns. (Its optimum: test_encode.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.sparse.oracles import BOUNDARIES, lasso, matrix, objective
from unconv.errors import SparseError
from unconv.sparse.code.fista import fista, solve_fista
from unconv.sparse.code.problem import problems_from


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_volumes_reach_the_optimum(boundary: str) -> None:
    image, dictionary = random(1, 1, 4, 3, 4), random(2, 1, 2, 2, 3, seed=1)
    [problem] = problems_from(image, dictionary, 0.3, boundary=boundary)
    solution = solve_fista(problem, tol=1e-9)
    columns = matrix(dictionary.numpy(), (4, 3, 4), boundary)
    flat = image.flatten().numpy(), columns, np.full(columns.shape[1], 0.3), np.ones(48)
    assert solution.objective == pytest.approx(objective(lasso(*flat, False), *flat), rel=2e-9)
    assert solution.indices.shape == (4, len(solution.values))


def test_trace_falls_and_ends_at_the_answer() -> None:
    [problem] = problems_from(random(1, 2, 9, 9), random(5, 2, 4, 4, seed=1), 0.2)
    solution = solve_fista(problem, tol=1e-8)
    trace = solution.trace
    assert trace.gap.shape == trace.seconds.shape == trace.objective.shape
    assert bool((trace.seconds.diff() > 0).all())
    assert (float(trace.objective[-1]), float(trace.gap[-1])) == (solution.objective, solution.gap)
    # Every dual value bounds the optimum from below: P(1 − gap) never falls.
    assert bool(((trace.objective * (1 - trace.gap)).diff() >= -1e-9).all())
    assert float(trace.objective[-1]) <= float(trace.objective.min()) * (1 + 1e-8)


def test_rounding_ends_it_and_is_no_convergence() -> None:
    [problem] = problems_from(random(1, 1, 12).float(), random(3, 1, 4, seed=1).float(), 0.1)
    solution = solve_fista(problem, tol=1e-14)
    assert solution.steps < 20_000
    assert solution.converged == (solution.gap <= 1e-14)
    assert solution.gap < 1e-5


def test_codes_come_sorted_by_kernel_and_position() -> None:
    [problem] = problems_from(random(1, 1, 8, 8), random(3, 1, 3, 3, seed=1), 0.2)
    solution = solve_fista(problem)
    shape = (3, 10, 10)
    flat = np.ravel_multi_index(tuple(solution.indices.numpy()), shape)
    assert (np.diff(flat) > 0).all()
    assert bool((solution.values != 0).all())


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_layer_reaches_the_solvers_answer(boundary: Any, nonnegative: bool) -> None:
    images, dictionary = random(2, 2, 7, 6), random(3, 2, 3, 2, seed=1)
    penalty = torch.tensor([0.3, 0.2, 0.5], dtype=torch.float64)
    codes = fista(images, dictionary, penalty, 1500, boundary, nonnegative=nonnegative)
    problems = problems_from(images, dictionary, penalty, nonnegative=nonnegative, boundary=boundary)
    for found, problem in zip(codes, problems, strict=True):
        solution = solve_fista(problem, tol=1e-11)
        expected = torch.sparse_coo_tensor(solution.indices, solution.values, found.shape, check_invariants=True)
        torch.testing.assert_close(found, expected.to_dense(), atol=2e-3, rtol=0)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("size", "kernel"), [((6,), (3,)), ((4, 3), (2, 2))])
def test_gradients_of_the_layer(
    size: tuple[int, ...], kernel: tuple[int, ...], boundary: Any, nonnegative: bool
) -> None:
    images = random(2, 2, *size).requires_grad_()
    dictionary = random(3, 2, *kernel, seed=1).requires_grad_()
    penalty = torch.tensor([0.3, 0.2, 0.5], dtype=torch.float64, requires_grad=True)
    step_size = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)

    def layer(*inputs: torch.Tensor) -> torch.Tensor:
        step = inputs[3] if len(inputs) > 3 else None
        return fista(*inputs[:3], 3, boundary, nonnegative=nonnegative, step_size=step)  # type: ignore[arg-type]

    assert float(layer(images, dictionary, penalty).detach().abs().max()) > 0.01
    assert torch.autograd.gradcheck(layer, (images, dictionary, penalty), fast_mode=True)
    assert torch.autograd.gradcheck(layer, (images, dictionary, penalty, step_size), fast_mode=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(1, 2, 5, 5), torch.zeros(3, 1, 3, 3), 0.1, 2), "do not fit"),
        ((torch.zeros(2, 5, 5), torch.zeros(3, 2, 3, 3), 0.1, 2), "do not fit"),
        ((torch.zeros(1, 1, 5, 5), torch.zeros(3, 1, 3, 3), 0.1, 0), "0 steps"),
        ((torch.zeros(1, 1, 5, 5), torch.zeros(3, 1, 3, 3), -0.1, 2), "penalty -0.1 is negative"),
        ((torch.zeros(1, 1, 5, 5), torch.zeros(3, 1, 3, 3), 0.1, 2, "same"), "boundary 'same'"),
        ((torch.zeros(1, 1, 2, 2), torch.zeros(3, 1, 3, 3), 0.1, 2, "valid"), "kernel 3x3 is larger"),
    ],
)
def test_layers_that_do_not_fit_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(SparseError, match=message) as caught:
        fista(*arguments)
    assert str(caught.value).startswith("fista: ")
