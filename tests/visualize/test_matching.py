"""Units of two networks are paired at the largest total correlation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.optimize import linear_sum_assignment

from unconv.errors import UnconvError
from unconv.visualize.matching import assign, match_units


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.booleans())
def test_assignment_costs_what_scipys_does(rows: int, columns: int, seed: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.integers(-3, 3, (rows, columns)).astype(float) if tied else rng.normal(size=(rows, columns))
    found, expected = assign(cost), linear_sum_assignment(cost)
    assert len(set(found[0])) == len(set(found[1])) == min(rows, columns)
    assert cost[found[0], found[1]].sum() == pytest.approx(cost[expected].sum())


def test_a_permutation_is_found_whatever_noise_is_on_it() -> None:
    torch.manual_seed(0)
    peaks, order = torch.rand(40, 30), torch.randperm(30)
    match = match_units(peaks, peaks[:, order] + 0.05 * torch.rand(40, 30))
    assert [(pair.unit, int(order[pair.other])) for pair in match.pairs] == [(unit, unit) for unit in range(30)]
    assert not match.died + match.born


def test_what_is_like_nothing_has_died_or_was_born() -> None:
    torch.manual_seed(1)
    one, other = torch.rand(200, 4), torch.rand(200, 5)
    other[:, 2] = 3 * one[:, 1] + 1
    one[:, 3] = -1
    match = match_units(one, other)
    assert [(pair.unit, pair.other) for pair in match.pairs] == [(1, 2)]
    assert (match.died, match.born) == ((0, 2), (0, 1, 3, 4))


def test_two_pictures_tell_nothing() -> None:
    with pytest.raises(UnconvError, match="compare: 2 pictures; units are matched by 3 or more"):
        match_units(torch.rand(2, 4), torch.rand(2, 4))
