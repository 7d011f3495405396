"""The symbolic matrix is the guide's, and any weights put into it give torch's result."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from tests.explain.cases import conv_geometries, transpose_geometries
from tests.explain.oracles import torch_output
from unconv.errors import GeometryError
from unconv.explain.symbolic import latex_entries, matrix_taps, symbolic_matrix, symbolic_transpose
from unconv.operators.geometry.conv import ConvGeometry
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry

GUIDE = """\
w00 w01 w02 0   w10 w11 w12 0   w20 w21 w22 0   0   0   0   0
0   w00 w01 w02 0   w10 w11 w12 0   w20 w21 w22 0   0   0   0
0   0   0   0   w00 w01 w02 0   w10 w11 w12 0   w20 w21 w22 0
0   0   0   0   0   w00 w01 w02 0   w10 w11 w12 0   w20 w21 w22"""
"""§4.1 of Dumoulin & Visin (2016)."""

PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789", "⎡⎢⎣⎤⎥⎦")


def test_the_guide_s_matrix_to_the_letter() -> None:
    drawn = symbolic_matrix(ConvGeometry((4, 4), 3)).translate(PLAIN)
    assert [line.split() for line in drawn.splitlines()] == [line.split() for line in GUIDE.splitlines()]


def test_the_transpose_is_its_transpose() -> None:
    drawn = symbolic_transpose(ConvGeometry((4, 4), 3)).translate(PLAIN)
    columns = zip(*(line.split() for line in GUIDE.splitlines()), strict=True)
    assert [line.split() for line in drawn.splitlines()] == [list(column) for column in columns]


@settings(max_examples=40, deadline=None)
@given(st.one_of(conv_geometries(), transpose_geometries()), st.integers(0, 1000))
def test_weights_put_in_give_torch_s_result(geometry, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(geometry.input_size, generator=generator, dtype=torch.float64)
    w = torch.randn(geometry.kernel_size, generator=generator, dtype=torch.float64)
    taps = matrix_taps(geometry, most=10**6)
    C = torch.tensor([[0.0 if tap is None else w[tap].item() for tap in row] for row in taps], dtype=torch.float64)
    torch.testing.assert_close(C @ x.flatten(), torch_output(geometry, x, w).flatten())


def test_the_transpose_of_a_geometry_has_the_transposed_matrix() -> None:
    geometry = ConvGeometry((5, 4), (3, 2), (2, 1), 1)
    there, back = matrix_taps(geometry), matrix_taps(geometry.transpose())
    assert back == tuple(zip(*there, strict=True))


def test_pools_have_their_own_entries() -> None:
    assert latex_entries(AvgPoolGeometry(4, 2)) == [["1/2", "1/2", "0", "0"], ["0", "0", "1/2", "1/2"]]
    assert latex_entries(MaxPoolGeometry(2, 2)) == [["s_{0}", "s_{1}"]]


def test_a_mean_that_leaves_padding_out_has_its_own_shares() -> None:
    entries = latex_entries(AvgPoolGeometry(3, 2, 2, 1, count_include_pad=False))
    assert entries == [["1/1", "0", "0"], ["0", "1/2", "1/2"]]


def test_large_kernels_keep_their_indices_apart() -> None:
    assert "w₁₀,₁₁" in symbolic_matrix(ConvGeometry((11, 12), (11, 12)))


def test_a_matrix_too_large_to_write_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"matrix: 48,400 × 50,176 entries for 224 × 224 → 220 × 220 are more"):
        symbolic_matrix(ConvGeometry((224, 224), 5))


def test_a_matrix_beyond_the_machines_word_is_refused() -> None:
    with pytest.raises(GeometryError, match="more than the 4,096 that are written out"):
        symbolic_matrix(ConvGeometry(input_size=10**30, kernel_size=3))
