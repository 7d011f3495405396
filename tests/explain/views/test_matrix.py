"""The matrix view shows the matrix that torch applies, and lights the row that makes the output in play."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings, strategies as st

from tests.explain.cases import EVERY_KIND, conv_geometries, transpose_geometries
from tests.explain.oracles import grid_values, tensors, torch_output
from unconv.errors import GeometryError
from unconv.explain.numbers import Numbers
from unconv.explain.views.matrix import MAX_SIDE, matrix
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry


def matrix_grid(scene) -> int:  # type: ignore[no-untyped-def]
    return len(scene.grids) - 1


@settings(max_examples=40, deadline=None)
@given(st.one_of(conv_geometries(), transpose_geometries()), st.integers(0, 1000))
def test_the_drawn_matrix_times_the_input_equals_torch(geometry, seed: int) -> None:
    numbers = Numbers.of(geometry, seed)
    assume(max(math.prod(geometry.input_size), math.prod(geometry.output_size)) <= MAX_SIDE)
    scene = matrix(geometry, numbers)
    inputs, weights = tensors(numbers, geometry)
    drawn = grid_values(scene, [matrix_grid(scene)])[0]
    expected = torch_output(geometry, inputs, weights)
    torch.testing.assert_close(drawn @ inputs.flatten(), expected.flatten())


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_row_and_cells_light_up_together(geometry: Geometry) -> None:
    scene = matrix(geometry, None)
    place = matrix_grid(scene)
    for row, frame in enumerate(scene.frames):
        lit = frame.lit(place, "window")
        assert {r for r, _ in frame.lit(place)} == {row}
        assert len(lit) == sum(m.tone == "window" and m.grid < place for m in frame.marks)
        assert all(scene.grids[place].roles[r][c] == "weight" for r, c in lit)


def test_the_guide_s_matrix_is_drawn_in_its_symbols() -> None:
    scene = matrix(ConvGeometry((4, 4), 3), None)
    grid = scene.grids[matrix_grid(scene)]
    assert (grid.rows, grid.columns) == (4, 16)
    assert grid.texts[0][:8] == ("w₀₀", "w₀₁", "w₀₂", "", "w₁₀", "w₁₁", "w₁₂", "")
    assert "C has 36 non-zeros of 64, 9 distinct weights; a fully connected layer has 64 weights." in scene.captions


def test_a_matrix_too_large_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"676 × 784, a picture holds 144"):
        matrix(ConvGeometry((28, 28), 3), None)
