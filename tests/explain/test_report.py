"""The report states the geometry's facts, in words and as data."""

from __future__ import annotations

import json

import pytest

from tests.explain.cases import EVERY_KIND
from unconv.explain.report import facts, matrix_text, solutions_table, summary
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.solve import solve_transpose


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_facts_survive_json_and_have_one_entry_per_axis(geometry: Geometry) -> None:
    found = json.loads(json.dumps(facts(geometry)))
    for name in ("input_size", "kernel_size", "stride", "padding", "output_size", "relation", "formula", "working"):
        assert len(found[name]) == geometry.dimensions
    assert found["output_size"] == list(geometry.output_size)
    assert found["operation"] == geometry.operation


def test_channels_count_in_the_matrix() -> None:
    matrix = facts(ConvGeometry((28, 28), 28), in_channels=3, out_channels=15)["matrix"]
    assert matrix["dense_weights"] == matrix["nonzeros"] == 35_280


def test_remarks_warn_of_lost_rows_and_checkerboards() -> None:
    assert "No window reaches the last 1 of the padded input" in summary(ConvGeometry((6, 6), 3, 2, 1))
    assert "Kernels overlap unevenly" in summary(ConvTransposeGeometry((3, 3), 3, 2))
    assert "Kernels overlap unevenly" not in summary(ConvTransposeGeometry((3, 3), 4, 2))


def test_the_matrix_comes_with_its_transpose() -> None:
    text = matrix_text(ConvTransposeGeometry(2, 2, 2))
    assert "Cᵀ, 4 × 2:" in text
    assert "C, 2 × 4:" in text


def test_no_solution_is_said() -> None:
    assert "no transposed convolution within the bounds" in solutions_table(solve_transpose(2, 1000), 5)
