"""λ as a value: what users write for it, what a solver gets from it row by row, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unconv.errors import SparseError
from unconv.sparse.code.penalty import (
    FromCorrelation,
    InverseCorrelation,
    Penalty,
    PerKernel,
    PerPosition,
    as_penalty,
    relative,
)

CODES = (3, 6, 5)
LIKE = torch.zeros((), dtype=torch.float64)
BLOCK = torch.randn(CODES, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def penalty_from(value: object) -> Penalty:
    return as_penalty(value, CODES[0], CODES[1:], LIKE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.2, np.full(CODES, 0.2)),
        (2, np.full(CODES, 2.0)),
        (np.float64(0.2), np.full(CODES, 0.2)),
        (torch.tensor(0.2, dtype=torch.float64), np.full(CODES, 0.2)),
        ([1, 2, 3], np.ones(CODES) * np.reshape([1, 2, 3], (3, 1, 1))),
        (np.arange(1, 6.0)[None], np.ones(CODES) * np.arange(1, 6)),
        (np.arange(1, 7.0)[None, :, None], np.ones(CODES) * np.arange(1, 7)[:, None]),
        (1 + BLOCK.abs(), 1 + BLOCK.abs().numpy()),
        (lambda block: 1 + block.abs(), 1 + BLOCK.abs().numpy()),
        (FromCorrelation(lambda block: (1 + block.abs()).float()), None),
        (InverseCorrelation(0.5), 0.5 / np.maximum(BLOCK.numpy() ** 2, 1e-8)),
        (InverseCorrelation(0.5, 1, 0.7), 0.5 / np.maximum(np.abs(BLOCK.numpy()), 0.7)),
    ],
)
def test_rows_asked_for_one_after_the_other_are_the_whole(value: object, expected: np.ndarray | None) -> None:
    penalty = penalty_from(value)
    whole = penalty.values(BLOCK, slice(0, 6)).expand(CODES)
    assert whole.dtype == torch.float64
    if expected is not None:
        np.testing.assert_allclose(whole, expected, rtol=1e-12)
    parts = [
        penalty.values(BLOCK[:, rows] if penalty.needs_correlation else None, rows).expand(3, rows.stop - rows.start, 5)
        for rows in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    torch.testing.assert_close(torch.cat(parts, 1), whole)


def test_arrays_stay_as_small_as_they_come() -> None:
    assert penalty_from(0.2).values(None, slice(0, 6)).numel() == 3
    by_column = penalty_from(np.ones((1, 5)))
    assert isinstance(by_column, PerPosition)
    assert by_column.penalties.shape == (1, 1, 5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "penalty 0.0 is not positive and finite"),
        (-0.1, "penalty -0.1 is not positive"),
        (float("nan"), "penalty nan is not positive"),
        (float("inf"), "penalty inf is not positive and finite"),
        ([0.1, 0.0, 0.1], "penalty 0.0"),
        ([0.1, 0.2], r"shape \(2,\) for 3 kernels"),
        ([], r"penalty \[\] is not understood"),
        (True, "penalty True is not understood"),
        (1j, "is not understood"),
        (None, "penalty is a NoneType"),
        (object(), "penalty is a object"),
        (np.ones((6, 4)), r"shape \(6, 4\) does not broadcast to codes of shape \(3, 6, 5\)"),
        (np.ones((1, 3, 6, 5)), "does not broadcast"),
        (np.full((6, 5), -1.0), "penalty -1.0 is not positive"),
        (np.full((6, 5), np.nan), "penalty nan is not positive"),
        (PerKernel(torch.ones(4)), r"shape \(4,\) for 3 kernels"),
        (InverseCorrelation(0), "penalty scale 0 is not positive"),
        (InverseCorrelation(1, floor=0), "penalty floor 0 is not positive"),
        (InverseCorrelation(1, power=-1), "penalty power -1"),
    ],
)
def test_what_is_no_penalty_is_one_line(value: object, message: str) -> None:
    with pytest.raises(SparseError, match=message) as caught:
        penalty_from(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda block: block[:, :1], r"returned shape \(3, 1, 5\) for a block of shape \(3, 6, 5\)"),
        (lambda _: 0.1, "returned a float"),
        (torch.zeros_like, "returned 0.0; it must be positive"),
        (lambda block: block / 0, "it must be positive"),
    ],
)
def test_what_a_function_must_not_return(function: object, message: str) -> None:
    with pytest.raises(SparseError, match=message):
        penalty_from(function).values(BLOCK, slice(0, 6))


def test_penalties_that_need_the_correlation_say_so() -> None:
    with pytest.raises(SparseError, match="depends on the correlation"):
        InverseCorrelation(1.0).values(None, slice(0, 6))


@pytest.mark.parametrize(("text", "value"), [("0.1max", 0.4), ("max", 4), (" 0.5 max ", 2), ("1e-2*max", 0.04)])
def test_parts_of_the_maximum(text: str, value: float) -> None:
    assert relative(text, lambda: 4.0) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "0.1", "0max", "-1max", "nanmax", "infmax", "maximum", "amax", "0.1 min"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(SparseError, match="is not understood"):
        relative(text, lambda: 4.0)


def test_descriptions_name_the_numbers() -> None:
    descriptions = [penalty_from(value).describe() for value in (0.2, [1, 2, 3], np.full((1, 5), 0.5), len)]
    assert descriptions == ["0.2", "per kernel, 1 to 3", "per position, 0.5 to 0.5", "function len"]
