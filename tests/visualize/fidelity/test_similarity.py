"""Likeness of projections: numpy and scipy say the same, and what is zero is like nothing."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings, strategies as st

from unconv.visualize.fidelity.similarity import compare

VALUES = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
PICTURES = st.lists(st.lists(VALUES, min_size=6, max_size=6), min_size=1, max_size=4)


def one_at_least_differs(row: list[float]) -> bool:
    return len({abs(value) for value in row}) > 1


@settings(deadline=None)
@given(pictures=PICTURES, seed=st.integers(0, 99))
def test_equals_numpy_and_scipy(pictures: list[list[float]], seed: int) -> None:
    rows = [row for row in pictures if one_at_least_differs(row)] or [[1.0, 0, 0, 0, 0, 0]]
    others = np.random.default_rng(seed).permuted(np.array(rows), axis=1)
    found = compare(torch.tensor(rows).reshape(-1, 2, 3), torch.from_numpy(others).reshape(-1, 2, 3).float())
    assert found is not None
    cosines = [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(rows, others, strict=True)]
    ranks = [scipy.stats.spearmanr(np.abs(a), np.abs(b)).statistic for a, b in zip(rows, others, strict=True)]
    assert found.cosine == pytest.approx(np.mean(cosines), abs=1e-6)
    assert found.rank == pytest.approx(np.mean(ranks), abs=1e-6)
    assert found.pairs == len(rows)


@settings(deadline=None)
@given(scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e30]), sign=st.sampled_from([1, -1]))
def test_does_not_depend_on_the_scale(scale: float, sign: int) -> None:
    one = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    found = compare(one, sign * scale * one)
    assert found is not None
    assert found.cosine == pytest.approx(sign)
    assert found.rank == pytest.approx(1)


def test_what_is_zero_is_left_out() -> None:
    one = torch.tensor([[[1.0, 2.0]], [[0.0, 0.0]]])
    found = compare(one, one)
    assert found is not None
    assert (found.cosine, found.pairs) == (1, 1)
    assert compare(one, torch.zeros_like(one)) is None
