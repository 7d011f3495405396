"""C and Cᵀ against torch, the explicit matrix, and a naive loop."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

import unconv as uc
from tests.operators.strategies import ConvCase, TransposeCase, conv_cases, transpose_cases

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
DTYPES = st.sampled_from([torch.float32, torch.float64])

CORNERS = [
    ConvCase((1,), (1,), (1,), (0,), (1,), 1, 1, 1),
    ConvCase((1,), (5,), (3,), (4,), (2,), 1, 2, 1),
    ConvCase((2, 3), (5, 4), (1, 2), (2, 3), (1, 1), 2, 1, 2),
    ConvCase((1, 9), (1, 3), (4, 1), (0, 0), (3, 3), 3, 1, 1),
    ConvCase((6, 1), (2, 3), (5, 2), (0, 1), (1, 1), 1, 3, 2),
    ConvCase((1, 1, 1), (3, 3, 3), (1, 2, 3), (1, 1, 1), (1, 1, 1), 1, 1, 2),
    ConvCase((5, 2, 7), (2, 1, 3), (3, 1, 2), (0, 0, 2), (2, 1, 3), 2, 2, 1),
]
"""Kernels larger than the input, size 1, strides larger than the kernel, depthwise, dilation."""


def operator_of(case: ConvCase, dtype: torch.dtype, requires_grad: bool = False) -> uc.ConvOperator:
    torch.manual_seed(0)
    weight = torch.randn(case.out_channels, case.in_per_group, *case.kernel_size, dtype=dtype)
    weight.requires_grad_(requires_grad)
    return uc.ConvOperator(weight, case.input_size, case.stride, case.padding, case.dilation, case.groups)


def check_against_torch(case: ConvCase, dtype: torch.dtype) -> None:
    """Forward, adjoint, matrix and both gradients of one geometry."""
    C = operator_of(case, dtype, requires_grad=True)
    x = torch.randn(2, *C.input_shape, dtype=dtype, requires_grad=True)
    expected = CONV[len(case.input_size)](x, C.weight, None, case.stride, case.padding, case.dilation, case.groups)
    y = C @ x
    torch.testing.assert_close(y, expected, rtol=0, atol=0)
    cotangent = torch.randn_like(y)
    grad_x, grad_weight = torch.autograd.grad(expected, (x, C.weight), cotangent)
    back = C.T @ cotangent
    torch.testing.assert_close(back, grad_x)
    matrix = C.matrix().to_dense()
    torch.testing.assert_close((x.flatten(1) @ matrix.T).reshape(y.shape), y)
    torch.testing.assert_close((cotangent.flatten(1) @ matrix).reshape(x.shape), back)
    torch.testing.assert_close(torch.autograd.grad(y, (x, C.weight), cotangent), (grad_x, grad_weight))
    # the weight gradient of ⟨Cᵀc, x⟩ is that of ⟨c, Cx⟩, and the input gradient of Cᵀ is C
    seed = cotangent.detach().requires_grad_()
    through_back = torch.autograd.grad(C.T @ seed, (seed, C.weight), x.detach())
    torch.testing.assert_close(through_back, (y.detach(), grad_weight))
    assert (
        uc.operators.matrix_structure(C.geometry, C.input_shape[0], C.output_shape[0], case.groups).nonzeros
        == C.matrix()._nnz()
    )


@pytest.mark.parametrize("case", CORNERS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_operator_matrix_and_gradients_equal_torch_in_the_corners(case: ConvCase, dtype: torch.dtype) -> None:
    check_against_torch(case, dtype)


@settings(max_examples=700, deadline=None)
@given(conv_cases(1), DTYPES)
def test_operator_matrix_and_gradients_equal_torch_in_1d(case: ConvCase, dtype: torch.dtype) -> None:
    check_against_torch(case, dtype)


@settings(max_examples=700, deadline=None)
@given(conv_cases(2), DTYPES)
def test_operator_matrix_and_gradients_equal_torch_in_2d(case: ConvCase, dtype: torch.dtype) -> None:
    check_against_torch(case, dtype)


@settings(max_examples=400, deadline=None)
@given(conv_cases(3), DTYPES)
def test_operator_matrix_and_gradients_equal_torch_in_3d(case: ConvCase, dtype: torch.dtype) -> None:
    check_against_torch(case, dtype)


def check_transpose_against_torch(case: TransposeCase, dtype: torch.dtype) -> None:
    """Size, values and gradients of a transposed convolution, and its operator where one exists."""
    torch.manual_seed(0)
    dimensions = len(case.input_size)
    weight = torch.randn(case.groups * case.in_per_group, case.out_per_group, *case.kernel_size, dtype=dtype)
    x = torch.randn(2, case.groups * case.in_per_group, *case.input_size, dtype=dtype, requires_grad=True)
    weight.requires_grad_()
    arguments = (None, case.stride, case.padding, case.output_padding, case.groups, case.dilation)
    expected = CONV_TRANSPOSE[dimensions](x, weight, *arguments)
    geometry = uc.ConvTransposeGeometry(
        case.input_size, case.kernel_size, case.stride, case.padding, case.output_padding, case.dilation
    )
    assert geometry.output_size == tuple(expected.shape[2:])
    ours = uc.conv_transpose(x, weight, *arguments)
    torch.testing.assert_close(ours, expected)
    cotangent = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, (x, weight), cotangent), torch.autograd.grad(expected, (x, weight), cotangent)
    )
    if all(a < s for a, s in zip(case.output_padding, case.stride, strict=True)):
        up = uc.operators.transpose_operator(
            weight, case.input_size, case.stride, case.padding, case.output_padding, case.dilation, case.groups
        )
        torch.testing.assert_close(up @ x, expected)


@settings(max_examples=250, deadline=None)
@given(transpose_cases(1), DTYPES)
def test_transposed_convolution_equals_torch_in_1d(case: TransposeCase, dtype: torch.dtype) -> None:
    check_transpose_against_torch(case, dtype)


@settings(max_examples=250, deadline=None)
@given(transpose_cases(2), DTYPES)
def test_transposed_convolution_equals_torch_in_2d(case: TransposeCase, dtype: torch.dtype) -> None:
    check_transpose_against_torch(case, dtype)


@settings(max_examples=150, deadline=None)
@given(transpose_cases(3), DTYPES)
def test_transposed_convolution_equals_torch_in_3d(case: TransposeCase, dtype: torch.dtype) -> None:
    check_transpose_against_torch(case, dtype)


def naive_conv(x: torch.Tensor, C: uc.ConvOperator) -> torch.Tensor:
    """The definition, one product at a time; asymmetric padding included."""
    geometry, weight = C.geometry, C.weight
    y = torch.zeros(C.output_shape, dtype=x.dtype)
    per_group_out, per_group_in = weight.shape[0] // C.groups, weight.shape[1]
    for out_channel, *output in product(*map(range, C.output_shape)):
        for in_channel, *tap in product(range(per_group_in), *map(range, geometry.kernel_size)):
            rows = zip(output, tap, geometry.stride, geometry.padding, geometry.dilation, strict=True)
            cell = [s * o + d * t - p[0] for o, t, s, p, d in rows]
            if all(0 <= c < i for c, i in zip(cell, geometry.input_size, strict=True)):
                source = out_channel // per_group_out * per_group_in + in_channel
                y[(out_channel, *output)] += weight[(out_channel, in_channel, *tap)] * x[(source, *cell)]
    return y


@pytest.mark.parametrize("padding", [((0, 3), (2, 0)), ((1, 2), (1, 1)), "same_upper", "same_lower", "valid"])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [((1, 1), (1, 1), 1), ((2, 3), (2, 1), 2)])
def test_uneven_padding_equals_the_definition(padding, stride, dilation, groups) -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 4 // groups, 3, 2, dtype=torch.float64)
    C = uc.ConvOperator(weight, (7, 6), stride, padding, dilation, groups)
    x = torch.randn(C.input_shape, dtype=torch.float64)
    torch.testing.assert_close(C @ x, naive_conv(x, C))
    torch.testing.assert_close((C.matrix() @ x.flatten()).reshape(C.output_shape), C @ x)
    uc.dot_test(C)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_uneven_padding_passes_dot_test_and_equals_its_matrix(data: st.DataObject) -> None:
    dimensions = data.draw(st.integers(1, 3))
    case = data.draw(conv_cases(dimensions))
    pads = tuple((p, data.draw(st.integers(p, p + 3))) for p in case.padding)
    pads = tuple(pair if data.draw(st.booleans()) else pair[::-1] for pair in pads)
    weight = torch.randn(case.out_channels, case.in_per_group, *case.kernel_size, dtype=torch.float64)
    C = uc.ConvOperator(weight, case.input_size, case.stride, pads, case.dilation, case.groups)
    y = torch.randn(C.output_shape, dtype=torch.float64)
    torch.testing.assert_close((C.matrix().T @ y.flatten()).reshape(C.input_shape), C.T @ y)
    uc.dot_test(C)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_adjoint_passes_dot_test_in_every_dtype(dtype: torch.dtype, dimensions: int) -> None:
    weight = torch.randn(4, 3, *(3, 2, 3)[:dimensions]).to(dtype)
    C = uc.ConvOperator(weight, (8, 7, 5)[:dimensions], stride=2, padding=1)
    uc.dot_test(C)
    uc.dot_test(C.T)


def test_samples_batches_and_batches_of_batches_agree() -> None:
    C = uc.ConvOperator(torch.randn(2, 3, 3, 3), input_size=(6, 5))
    x = torch.randn(4, 2, *C.input_shape)
    y = C @ x
    assert y.shape == (4, 2, *C.output_shape)
    torch.testing.assert_close(y[1, 0], C @ x[1, 0])
    assert (C @ x[:0]).shape == (0, 2, *C.output_shape)


def test_composition_equals_the_product_of_matrices_and_passes_dot_test() -> None:
    one = uc.ConvOperator(torch.randn(2, 3, 3, 3, dtype=torch.float64), (8, 7), stride=2, padding=1)
    two = uc.ConvOperator(torch.randn(4, 2, 2, 2, dtype=torch.float64), one.output_shape[1:])
    both = two @ one
    x = torch.randn(one.input_shape, dtype=torch.float64)
    torch.testing.assert_close(both @ x, two @ (one @ x))
    torch.testing.assert_close(both.matrix().to_dense(), two.matrix().to_dense() @ one.matrix().to_dense())
    assert both.T.T is both
    uc.dot_test(both)
    uc.dot_test(both.T)


def test_forward_of_one_is_backward_of_the_other() -> None:
    """The statement of the whole subject: convolution C / Cᵀ, transposed convolution Cᵀ / C."""
    weight = torch.randn(4, 3, 3, 3, dtype=torch.float64)
    C = uc.ConvOperator(weight, (7, 6), stride=2, padding=1)
    x = torch.randn(1, *C.input_shape, dtype=torch.float64, requires_grad=True)
    y = torch.randn(1, *C.output_shape, dtype=torch.float64, requires_grad=True)
    convolution = F.conv2d(x, weight, stride=2, padding=1)
    transposed = F.conv_transpose2d(y, weight, stride=2, padding=1, output_padding=C.geometry.remainder)
    torch.testing.assert_close(C @ x, convolution)
    torch.testing.assert_close(C.T @ y, transposed)
    torch.testing.assert_close(torch.autograd.grad(convolution, x, y)[0], C.T @ y)
    torch.testing.assert_close(torch.autograd.grad(transposed, y, x)[0], C @ x)


def test_the_size_comes_back_and_the_values_do_not() -> None:
    C = uc.ConvOperator(torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64), (8, 8))
    x = torch.rand(C.input_shape, dtype=torch.float64)
    back = C.T @ (C @ x)
    assert back.shape == x.shape
    gram = (C.T @ C).matrix().to_dense()
    assert torch.linalg.matrix_rank(gram) == 36
    assert (gram - torch.eye(64, dtype=torch.float64)).abs().max() > 0.5


def test_matrix_is_differentiable_in_the_weight() -> None:
    weight = torch.randn(2, 1, 3, dtype=torch.float64, requires_grad=True)
    C = uc.ConvOperator(weight, 5, padding=1)
    x = torch.randn(5, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((C.matrix().to_dense() @ x).sum(), weight)
    torch.testing.assert_close(gradient, torch.autograd.grad((C @ x[None]).sum(), weight)[0])


def test_memory_format_is_kept() -> None:
    C = uc.ConvOperator(torch.randn(4, 3, 3, 3), (6, 5))
    x = torch.randn(2, 3, 6, 5).to(memory_format=torch.channels_last)
    assert (C @ x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: uc.ConvOperator(torch.ones(2, 2), 4), "kernel axes"),
        (lambda: uc.ConvOperator(torch.ones(3, 1, 3, 3), (4, 4), groups=2), "groups 2 does not divide the 3"),
        (lambda: uc.ConvOperator(torch.ones(1, 1, 3, 3), (2, 4)), "kernel 3 is larger than the padded input 2"),
        (lambda: uc.ConvOperator(torch.ones(1, 1, 3, 3), (4, 4, 4)), "2 and 3 spatial axes"),
        (lambda: uc.ConvOperator(torch.ones(1, 1, 3), 4) @ np.ones((1, 4)), "torch.as_tensor"),
        (lambda: uc.ConvOperator(torch.ones(1, 1, 3), 4) @ torch.ones(1, 5), "does not end in the input shape"),
        (lambda: uc.ConvOperator(torch.ones(1, 1, 3), 4) @ torch.ones(1, 4).double(), "convert one"),
        (lambda: uc.ConvOperator(torch.ones(64, 64, 3, 3), (224, 224)).matrix(), "use C @ x"),
        (
            lambda: uc.ConvOperator(torch.ones(1, 1, 3), 4) @ uc.ConvOperator(torch.ones(1, 1, 3), 4),
            "they must be equal",
        ),
    ],
)
def test_what_does_not_fit_is_one_clear_line(call, words: str) -> None:
    with pytest.raises(uc.UnconvError, match=words.replace("(", r"\(")) as refusal:
        call()
    assert "\n" not in str(refusal.value)
