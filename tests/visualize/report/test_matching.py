"""Units of two networks are paired at the largest total correlation."""

from __future__ import annotations

import sys

import pytest
import torch

from unconv.errors import UnconvError
from unconv.visualize.report.matching import match_units


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


def test_without_scipy_one_line_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(UnconvError, match="compare: needs scipy"):
        match_units(torch.rand(9, 4), torch.rand(9, 4))
