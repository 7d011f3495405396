"""The gather view lights what torch says an output depends on, and writes what torch calculates."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from tests.explain.cases import EVERY_KIND, conv_geometries, pool_geometries, transpose_geometries
from tests.explain.oracles import lit_cells, padded_position, tensors, torch_output, touched, written
from unconv.explain.boards import Board
from unconv.explain.numbers import Numbers
from unconv.explain.views import parts
from unconv.explain.views.gather import gather
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry


def boards(geometry: Geometry) -> tuple[Board, Board]:
    """Input and output boards of the view, as its scene numbers them."""
    low, high = ((0,) * geometry.dimensions, geometry.input_size)
    if not geometry.transposed:
        low, high = parts.window_span(geometry)
    source = Board(0, low, high)
    return source, Board(source.slices, (0,) * geometry.dimensions, geometry.output_size)


@settings(max_examples=40, deadline=None)
@given(st.one_of(conv_geometries(), transpose_geometries()), st.randoms(use_true_random=False))
def test_lit_inputs_are_those_that_torch_differentiates(geometry, chance) -> None:
    scene = gather(geometry, None)
    source, target = boards(geometry)
    for number in chance.sample(range(len(scene.frames)), min(5, len(scene.frames))):
        output = scene.frames[number].position
        lit = lit_cells(scene, number, source.indices, "window")
        assert lit == {padded_position(cell, source.low) for cell in touched(geometry, output)}
        assert lit_cells(scene, number, target.indices, "target") == {padded_position(output)}


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_lit_inputs_equal_the_geometry(geometry: Geometry) -> None:
    scene = gather(geometry, None)
    source, _ = boards(geometry)
    for number, frame in enumerate(scene.frames):
        expected = (
            {
                padded_position(cell, source.low)
                for cell in torch.cartesian_prod(
                    *(torch.tensor(axis, dtype=torch.int64) for axis in geometry.inputs_of(frame.position))
                )
                .reshape(-1, geometry.dimensions)
                .tolist()
            }
            if all(geometry.inputs_of(frame.position))
            else set()
        )
        assert lit_cells(scene, number, source.indices, "window") == expected


@pytest.mark.parametrize("geometry", [g for g in EVERY_KIND if not g.transposed], ids=repr)
def test_a_window_always_shows_the_whole_kernel(geometry: Geometry) -> None:
    scene = gather(geometry, None)
    source, _ = boards(geometry)
    taps = torch.tensor(geometry.kernel_size).prod().item()
    assert all(len(lit_cells(scene, n, source.indices)) == taps for n in range(len(scene.frames)))


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_there_is_one_frame_per_output_in_raster_order(geometry: Geometry) -> None:
    positions = [frame.position for frame in gather(geometry, None).frames]
    assert positions == sorted(positions)
    assert len(set(positions)) == torch.tensor(geometry.output_size).prod().item()


@settings(max_examples=40, deadline=None)
@given(st.one_of(conv_geometries(), transpose_geometries(), pool_geometries()), st.integers(0, 1000))
def test_written_numbers_equal_torch(geometry, seed: int) -> None:
    numbers = Numbers.of(geometry, seed)
    scene = gather(geometry, numbers)
    _, target = boards(geometry)
    expected = torch_output(geometry, *tensors(numbers, geometry))
    found = written(scene, -1, target.indices)
    if scene.note:
        assert len(found) == parts.MAX_FRAMES
    else:
        assert len(found) == expected.numel()
    for position, value in found.items():
        assert value == pytest.approx(expected[position[3 - geometry.dimensions :]].item(), abs=0.00501)


def test_sums_appear_one_by_one() -> None:
    geometry = ConvGeometry((5, 5), 3, 2, 1)
    scene = gather(geometry, Numbers.of(geometry, "random"))
    assert [len(written(scene, n, (1,))) for n in range(9)] == list(range(1, 10))


def test_the_line_is_the_sum_of_what_is_lit() -> None:
    geometry = ConvGeometry((2, 2), 2, 1, 1)
    scene = gather(geometry, Numbers.of(geometry, ([[3, 1], [0, 2]], [[1, 0], [2, 5]])))
    assert scene.frames[0].line == "Output (0, 0):  3·5 = 15"
    assert scene.frames[4].line == "Output (1, 1):  3·1 + 1·0 + 0·2 + 2·5 = 13"


def test_weights_meet_their_cells() -> None:
    geometry = ConvGeometry((2, 2), 2)
    scene = gather(geometry, Numbers.of(geometry, ([[1, 1], [1, 1]], [[4, 5], [6, 7]])))
    corners = {(text.row, text.column): text.text for text in scene.frames[0].texts if text.corner}
    assert corners == {(0, 0): "×4", (0, 1): "×5", (1, 0): "×6", (1, 1): "×7"}
