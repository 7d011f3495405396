"""The scatter view pours where torch says an input goes, and its sums end where torch ends."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from tests.explain.cases import conv_geometries, transpose_geometries
from tests.explain.oracles import fed, lit_cells, padded_position, tensors, torch_output, written
from unconv.explain.boards import Board
from unconv.explain.numbers import Numbers
from unconv.explain.views.scatter import poured, reach, scatter
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvTransposeGeometry


def target_board(geometry: Geometry) -> Board:
    """The output's board, as the scene numbers it: it begins before 0 where padding cuts."""
    return Board(geometry.input_size[0] if geometry.dimensions == 3 else 1, *reach(geometry))


@settings(max_examples=40, deadline=None)
@given(st.one_of(conv_geometries(), transpose_geometries()), st.randoms(use_true_random=False))
def test_an_input_pours_where_torch_sends_it(geometry, chance) -> None:
    scene = scatter(geometry, None)
    board = target_board(geometry)
    for number in chance.sample(range(len(scene.frames)), min(5, len(scene.frames))):
        cell = scene.frames[number].position
        expected = {padded_position(found, board.low) for found in fed(geometry, cell)}
        assert lit_cells(scene, number, board.indices, "window") == expected


@settings(max_examples=40, deadline=None)
@given(transpose_geometries())
def test_every_tap_is_poured_or_lost(geometry) -> None:
    scene = scatter(geometry, None)
    taps = torch.tensor(geometry.kernel_size).prod().item()
    for frame in scene.frames:
        assert sum(mark.tone in ("window", "lost") for mark in frame.marks) == taps


@settings(max_examples=40, deadline=None)
@given(st.one_of(conv_geometries(), transpose_geometries()), st.integers(0, 1000))
def test_final_sums_equal_torch(geometry, seed: int) -> None:
    numbers = Numbers.of(geometry, seed)
    scene = scatter(geometry, numbers)
    board = target_board(geometry)
    expected = torch_output(geometry, *tensors(numbers, geometry))
    sums = written(scene, -1, board.indices)
    for position in torch.cartesian_prod(*map(torch.arange, expected.shape)).reshape(-1, expected.dim()).tolist():
        value = sums.get(padded_position(position, board.low), 0.0)
        assert value == pytest.approx(expected[tuple(position)].item())


def test_cut_cells_are_told_apart() -> None:
    geometry = ConvTransposeGeometry(input_size=2, kernel_size=3, stride=2, padding=1)
    scene = scatter(geometry, None)
    assert scene.grids[1].roles == (("cut", "output", "output", "output", "cut"),)
    assert scene.frames[0].line == "Input (0) pours into 2 outputs; 1 cut away"
    assert [cell for _, cell in poured(geometry, (1,))] == [(1,), (2,), (3,)]
