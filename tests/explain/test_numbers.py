"""Numbers are exact: equal to torch for every operation, and refused where they make no sense."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from tests.explain.cases import conv_geometries, pool_geometries, transpose_geometries
from tests.explain.oracles import tensors, torch_output
from unconv.errors import GeometryError
from unconv.explain.numbers import Numbers, number_text
from unconv.operators.geometry.conv import ConvGeometry
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry

IMAGE = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
KERNEL = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]


@settings(max_examples=60, deadline=None)
@given(st.one_of(conv_geometries(), transpose_geometries(), pool_geometries()), st.integers(0, 1000))
def test_results_equal_torch(geometry, seed: int) -> None:
    numbers = Numbers.of(geometry, seed)
    expected = torch_output(geometry, *tensors(numbers, geometry))
    for output in product(*map(range, geometry.output_size)):
        assert float(numbers.result(geometry, output)) == pytest.approx(expected[output].item())


@settings(max_examples=20, deadline=None)
@given(conv_geometries(), st.integers(0, 1000))
def test_given_arrays_are_calculated_exactly(geometry, seed: int) -> None:
    chance = np.random.default_rng(seed)
    inputs, weights = chance.normal(size=geometry.input_size), chance.normal(size=geometry.kernel_size)
    numbers = Numbers.of(geometry, (inputs, torch.from_numpy(weights)))
    expected = torch_output(geometry, torch.from_numpy(inputs), torch.from_numpy(weights))
    for output in product(*map(range, geometry.output_size)):
        assert float(numbers.result(geometry, output)) == pytest.approx(expected[output].item(), abs=1e-12)


def test_seeds_repeat_and_differ() -> None:
    geometry = ConvGeometry((4, 4), 3)
    assert Numbers.of(geometry, 3) == Numbers.of(geometry, 3)
    assert Numbers.of(geometry, 3) != Numbers.of(geometry, 4)
    assert Numbers.of(geometry, "random") == Numbers.of(geometry, 0)


@pytest.mark.parametrize(
    ("geometry", "spec", "words"),
    [
        (ConvGeometry((5, 5), 3, 2, 1), (IMAGE, KERNEL), "3·2 + 3·0 + 0·1 + 0·2 = 6"),
        (MaxPoolGeometry((5, 5), 3, 1), IMAGE, "max(3, 3, 2, 0, 0, 1, 3, 1, 2) = 3"),
        (AvgPoolGeometry((5, 5), 3, 1), IMAGE, "(3 + 3 + 2 + 0 + 0 + 1 + 3 + 1 + 2) / 9 ≈ 1.67"),
        (
            ConvGeometry((5, 5), 4),
            (IMAGE, [[1] * 4] * 4),
            "3·1 + 3·1 + 2·1 + 1·1 + 0·1 + 0·1 + 1·1 + 3·1 + … + 2·1 = 25",
        ),
        (ConvGeometry(2, 2), ([-1, 0.5], [2, -3]), "(−1)·2 + 0.5·(−3) = −3.5"),
    ],
)
def test_the_sum_is_spelled_out(geometry, spec, words: str) -> None:
    assert Numbers.of(geometry, spec).sum_text(geometry, (0,) * geometry.dimensions) == words


def test_rounded_numbers_say_so() -> None:
    geometry = ConvGeometry(2, 2)
    assert Numbers.of(geometry, ([0.125, 1], [1, 1])).sum_text(geometry, (0,)) == "0.12·1 + 1·1 ≈ 1.12"


def test_long_sums_fit_a_line() -> None:
    geometry = ConvGeometry(9, 9)
    text = Numbers.of(geometry, ([-1234.56] * 9, [-98765.43] * 9)).sum_text(geometry, (0,))
    assert len(text) < 100
    assert "…" in text


def test_the_maximum_of_padding_alone_is_refused() -> None:
    geometry = MaxPoolGeometry(1, 2, 1, 2, dilation=3)
    with pytest.raises(GeometryError, match="sees padding only"):
        Numbers.of(geometry, [5]).result(geometry, (0,))


@given(st.fractions(-1000, 1000))
def test_text_is_the_number_to_two_decimals(value: Fraction) -> None:
    assert float(number_text(value).replace("−", "-")) == pytest.approx(float(value), abs=0.005001)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("many", "'many' is not known"),
        (True, "True is not known"),
        ([[1, 2]], "two arrays; got 1"),
        (([[1, 2]], KERNEL), r"shape \(1, 2\), the geometry's input is \(5, 5\)"),
        ((IMAGE, [[0, 1, 2], [2, 2], [0, 1, 2]]), "ragged"),
        ((np.full((5, 5), np.nan), KERNEL), "nan in the input at \\(0, 0\\) is not a finite number"),
        ((IMAGE, [["a"] * 3] * 3), "not a finite number"),
        ((IMAGE, None), r"shape \(\)"),
        (([[1e7] * 5] * 5, KERNEL), "larger than the 1,000,000 that fits a cell"),
    ],
)
def test_senseless_numbers_are_refused_in_one_line(spec, words: str) -> None:
    with pytest.raises(GeometryError, match=words) as refusal:
        Numbers.of(ConvGeometry((5, 5), 3), spec)
    assert "\n" not in str(refusal.value)
