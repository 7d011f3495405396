"""Pooling as operators against torch: values, unpooling, matrices, ceil_mode and every count rule."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings, strategies as st

import unconv as uc
from unconv.operators.pool import switches_of

MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@st.composite
def pool_axis(draw: st.DrawFn, largest_dilation: int, ceil_mode: bool) -> tuple[int, int, int, int, int]:
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    dilation = draw(st.integers(1, largest_dilation))
    span = dilation * (kernel - 1) + 1
    padding = draw(st.integers(0, kernel // 2))
    overhang = stride - 1 if ceil_mode else 0
    size = draw(st.integers(max(1, span - 2 * padding - overhang), 10))
    return size, kernel, stride, padding, dilation


@st.composite
def pool_cases(draw: st.DrawFn, largest_dilation: int):
    ceil_mode = draw(st.booleans())
    axes = [draw(pool_axis(largest_dilation, ceil_mode)) for _ in range(draw(st.integers(1, 3)))]
    return (*zip(*axes, strict=True), ceil_mode)


@settings(max_examples=300, deadline=None)
@given(pool_cases(2))
def test_max_pooling_equals_torch_and_its_gradient(case) -> None:
    size, kernel, stride, padding, dilation, ceil_mode = case
    geometry = uc.operators.MaxPoolGeometry(size, kernel, stride, padding, dilation, ceil_mode)
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    expected = MAX_POOL[len(size)](x, kernel, stride, padding, dilation, ceil_mode)
    assert geometry.output_size == tuple(expected.shape[2:])
    assume(torch.isfinite(expected).all())  # a dilated window may see padding only
    P = uc.operators.MaxPoolOperator.of(x.detach(), geometry)
    torch.testing.assert_close(P @ x, expected, rtol=0, atol=0)
    y = torch.randn_like(expected)
    torch.testing.assert_close(P.T @ y, torch.autograd.grad(expected, x, y)[0])
    torch.testing.assert_close((P.matrix() @ x.detach().flatten()).reshape(P.output_shape), P @ x.detach())
    uc.dot_test(P)


@settings(max_examples=300, deadline=None)
@given(pool_cases(1), st.booleans())
def test_average_pooling_equals_torch_and_its_gradient(case, count_include_pad: bool) -> None:
    size, kernel, stride, padding, _, ceil_mode = case
    assume(len(size) < 3 or all(i >= k for i, k in zip(size, kernel, strict=True)))  # torch's own rule in 3-D
    geometry = uc.operators.AvgPoolGeometry(size, kernel, stride, padding, ceil_mode, count_include_pad)
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    expected = AVG_POOL[len(size)](x, kernel, stride, padding, ceil_mode, count_include_pad)
    assert geometry.output_size == tuple(expected.shape[2:])
    A = uc.operators.AvgPoolOperator(geometry, channels=3, dtype=torch.float64)
    torch.testing.assert_close(A @ x, expected)
    y = torch.randn_like(expected)
    torch.testing.assert_close(A.T @ y, torch.autograd.grad(expected, x, y)[0])
    torch.testing.assert_close((A.matrix() @ x[0].detach().flatten()).reshape(A.output_shape), A @ x[0].detach())
    uc.dot_test(A)


@pytest.mark.parametrize("padding", ["same_upper", "same_lower"])
def test_uneven_padding_pools_as_minus_infinity_does(padding: str) -> None:
    geometry = uc.operators.MaxPoolGeometry((6, 5), kernel_size=(3, 2), stride=(2, 2), padding=padding)
    x = torch.randn(2, 6, 5)
    sides = [side for pads in reversed(geometry.padding) for side in pads]
    padded = F.pad(x[None], sides, value=float("-inf"))
    expected = F.max_pool2d(padded, (3, 2), (2, 2))[0]
    P = uc.operators.MaxPoolOperator.of(x, geometry)
    torch.testing.assert_close(P @ x, expected, rtol=0, atol=0)
    torch.testing.assert_close(switches_of(x, geometry), P.switches)


def test_overlapping_windows_add_what_they_send_to_one_cell() -> None:
    x = torch.tensor([[0.0, 5.0, 0.0]])
    P = uc.operators.MaxPoolOperator.of(x, uc.operators.MaxPoolGeometry(3, kernel_size=2, stride=1))
    torch.testing.assert_close(P.T @ torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 3.0, 0.0]]))


def test_each_sample_of_a_batch_keeps_its_own_switches() -> None:
    x = torch.randn(4, 2, 6)
    geometry = uc.operators.MaxPoolGeometry(6, kernel_size=2)
    batch = uc.operators.MaxPoolOperator.of(x, geometry)
    for sample in range(4):
        single = uc.operators.MaxPoolOperator.of(x[sample], geometry)
        torch.testing.assert_close((batch @ x)[sample], single @ x[sample])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: uc.operators.MaxPoolGeometry(5, kernel_size=2, padding=2), "more than half the kernel 2"),
        (lambda: uc.operators.AvgPoolGeometry(2, kernel_size=5), "kernel 5 is larger than the padded input 2"),
        (
            lambda: uc.operators.MaxPoolOperator(uc.operators.MaxPoolGeometry(4, 2), torch.tensor([[0, 9]])),
            "leave the input of 4 cells",
        ),
        (
            lambda: uc.operators.MaxPoolOperator(uc.operators.MaxPoolGeometry(4, 2), torch.tensor([[0]])),
            "do not end in the output size",
        ),
        (
            lambda: switches_of(
                torch.ones(1, 1), uc.operators.MaxPoolGeometry(1, kernel_size=2, stride=1, padding=1, dilation=2)
            ),
            "a window sees padding only",
        ),
        (lambda: switches_of(torch.ones(1, 3), uc.operators.MaxPoolGeometry(4, 2)), "does not end in the input size"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(call, words: str) -> None:
    with pytest.raises(uc.UnconvError, match=words):
        call()
