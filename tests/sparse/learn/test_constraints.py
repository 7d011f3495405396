"""Projections are projections: they end in the set, do not move what is in it, and find the nearest point."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.optimize import minimize

from unconv.errors import SparseError
from unconv.sparse.learn.constraints import Constraint, as_constraint, norms

SETS = (
    ("unit",),
    ("zero_mean",),
    ("nonnegative",),
    ("zero_border",),
    ("unit", "zero_mean", "zero_border"),
    ("nonnegative", "zero_border"),
)
SIZES = [(1, (4, 3)), (2, (3, 4))]


def kernels(seed: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(3, 2, 4, 4, generator=generator, dtype=torch.float64)


def inside(constraint: Constraint, dictionary: torch.Tensor) -> bool:
    sums = dictionary.sum((2, 3)).abs().max()
    return bool(
        (norms(dictionary) <= 1 + 1e-12).all()
        and (dictionary[~constraint.support[:, None].expand_as(dictionary)] == 0).all()
        and (not constraint.zero_mean or sums < 1e-12)
        and (not constraint.nonnegative or dictionary.min() >= 0)
    )


@settings(max_examples=60, deadline=None)
@given(names=st.sampled_from(SETS), seed=st.integers(0, 2**31), scale=st.floats(0.01, 10))
def test_projection_ends_in_the_set_at_its_nearest_point(names: tuple[str, ...], seed: int, scale: float) -> None:
    constraint = as_constraint(names, SIZES)
    start = kernels(seed, scale)
    found = constraint.project(start)
    assert inside(constraint, found)
    torch.testing.assert_close(constraint.project(found), found, atol=1e-12, rtol=0)
    # The set is convex: the point is the nearest if and only if all others lie on the far side of it.
    for other in (constraint.project(kernels(seed + n + 1, 3.0)) for n in range(5)):
        far = ((start - found) * (other - found)).flatten(1).sum(1)
        assert bool((far <= 1e-10 * max(1, scale)).all())


@pytest.mark.parametrize("names", [("unit",), ("zero_mean",), ("nonnegative",)])
def test_nearest_point_is_that_of_scipy(names: tuple[str, ...]) -> None:
    constraint = as_constraint(names, [(1, (2, 3))])
    start = torch.tensor([[[[0.9, -0.4, 0.8], [0.7, 0.2, -0.1]]]], dtype=torch.float64)
    rules: list[dict[str, object]] = [{"type": "ineq", "fun": lambda d: 1 - d @ d}]
    if constraint.zero_mean:
        rules.append({"type": "eq", "fun": np.sum})
    best = minimize(
        lambda d: np.sum((d - start.numpy().ravel()) ** 2),
        np.full(6, 0.01),
        constraints=rules,
        bounds=[(0, None)] * 6 if constraint.nonnegative else None,
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(constraint.project(start).numpy().ravel(), best.x, atol=1e-6)


@pytest.mark.parametrize("names", SETS)
def test_unit_gives_norm_one_within_the_cone(names: tuple[str, ...]) -> None:
    constraint = as_constraint(names, SIZES)
    found = constraint.unit(kernels(3, 0.01))
    assert inside(constraint, found)
    torch.testing.assert_close(norms(found), torch.ones(3, dtype=torch.float64))


def test_a_kernel_of_which_nothing_is_left_becomes_zero() -> None:
    assert as_constraint("zero_mean", [(1, (4, 4))]).unit(torch.full((1, 1, 4, 4), 0.3)).abs().max() == 0
    assert as_constraint("nonnegative", [(1, (2,))]).unit(-torch.ones(1, 1, 2)).abs().max() == 0


@pytest.mark.parametrize(
    ("names", "sizes", "told"),
    [
        ("unti", SIZES, "'unti' is not known"),
        (("zero_mean", "nonnegative"), SIZES, "leave no kernel but 0"),
        ("zero_border", [(4, (2, 5))], "kernel of size 2x5 the constraints leave 0 taps"),
        ("zero_mean", [(4, (1, 1))], "leave 1 taps that sum to 0"),
        (("zero_mean", "zero_border"), [(4, (3, 3))], "leave 1 taps"),
    ],
)
def test_what_leaves_nothing_is_refused_in_one_line(names: object, sizes: object, told: str) -> None:
    with pytest.raises(SparseError, match=told) as caught:
        as_constraint(names, sizes)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_borders_of_signals_and_of_flat_kernels_are_those_that_exist() -> None:
    assert as_constraint("zero_border", [(1, (5,))]).support.tolist() == [[False, True, True, True, False]]
    assert as_constraint("zero_border", [(1, (1, 3))]).support.tolist() == [[[False, True, False]]]
