"""The zero-insertion view is a convolution of stride 1: its own cells, convolved by torch, are the transposed one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings, strategies as st

from tests.explain.cases import transpose_geometries
from tests.explain.oracles import CONV, grid_values, tensors, torch_output
from unconv.explain.numbers import Numbers
from unconv.explain.views.parts import MAX_NUMBERED_CELLS
from unconv.explain.views.zeros import Stretched, zeros
from unconv.operators.geometry.conv import ConvTransposeGeometry


@settings(max_examples=60, deadline=None)
@given(transpose_geometries(), st.integers(0, 1000))
def test_drawn_cells_convolved_at_stride_one_equal_torch(geometry, seed: int) -> None:
    numbers = Numbers.of(geometry, seed)
    stretched = Stretched(geometry)
    drawn = math.prod(high - low for low, high in zip(stretched.low, stretched.high, strict=True))
    assume(drawn + math.prod(geometry.output_size) <= MAX_NUMBERED_CELLS)
    scene = zeros(geometry, numbers)
    stacks = {stack.label: stack for row in scene.rows for stack in row}
    slices = stretched.high[0] - stretched.low[0] if geometry.dimensions == 3 else 1
    first_kernel = stacks["Flipped kernel"].grids[0]
    depth = geometry.kernel_size[0] if geometry.dimensions == 3 else 1
    drawn = grid_values(scene, range(slices))
    kept = torch.tensor([[[role != "cut" for role in row] for row in scene.grids[n].roles] for n in range(slices)])
    box = [slice(int(index.min()), int(index.max()) + 1) for index in kept.nonzero().T]
    kernel = grid_values(scene, range(first_kernel, first_kernel + depth))
    n = geometry.dimensions
    x, w = drawn[tuple(box)], kernel
    x, w = (value.reshape(value.shape[3 - n :] if n < 3 else value.shape) for value in (x, w))
    y = CONV[n](x[None, None], w[None, None], dilation=geometry.dilation)[0, 0]
    torch.testing.assert_close(y, torch_output(geometry, *tensors(numbers, geometry)))


@settings(max_examples=40, deadline=None)
@given(transpose_geometries())
def test_lit_inputs_equal_the_geometry(geometry) -> None:
    stretched = Stretched(geometry)
    scene = zeros(geometry, None)
    for frame in scene.frames:
        window = [cell for _, cell in stretched.window(frame.position)]
        sources = {stretched.source(cell) for cell in window} - {None}
        axes = geometry.inputs_of(frame.position)
        expected = (
            set(map(tuple, torch.cartesian_prod(*map(torch.tensor, axes)).reshape(-1, len(axes)).tolist()))
            if all(axes)
            else set()
        )
        assert sources == expected
        assert sum(mark.tone == "window" for mark in frame.marks) == len(expected)


def test_the_guide_s_example() -> None:
    scene = zeros(ConvTransposeGeometry((2, 2), 3, 2, 1), None)
    roles = scene.grids[0].roles
    assert roles[1] == ("padding", "input", "zero", "input", "padding")
    assert roles[2] == ("padding", "zero", "zero", "zero", "padding")
    assert scene.captions[-1] == "Convolution of stride 1 with the flipped kernel, p′ = d(k − 1) − p = 1"


def test_more_padding_than_kernel_cuts_the_input() -> None:
    scene = zeros(ConvTransposeGeometry(6, 2, 1, 2), None)
    assert scene.grids[0].roles == (("cut", "input", "input", "input", "input", "cut"),)


def test_output_padding_is_marked() -> None:
    scene = zeros(ConvTransposeGeometry(3, 3, 2, 1, 1), None)
    assert scene.grids[1].roles[0][-1] == "extra"
    assert any(entry.text == "output padding 1" for entry in scene.legend)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_stretched_size_is_the_guide_s(stride: int) -> None:
    assert Stretched(ConvTransposeGeometry(4, 3, stride)).size == (stride * 3 + 1,)
