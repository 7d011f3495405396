"""Unpooling and bilinear layers against torch's pooling, its adjoint and its interpolation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from unconv.errors import GeometryError
from unconv.upsample.bilinear import Bilinear1d, Bilinear2d, Bilinear3d
from unconv.upsample.unpool import Unpool1d, Unpool2d, Unpool3d

POOLS = {1: (nn.MaxPool1d, Unpool1d), 2: (nn.MaxPool2d, Unpool2d), 3: (nn.MaxPool3d, Unpool3d)}
LAYERS = {1: (Bilinear1d, "linear"), 2: (Bilinear2d, "bilinear"), 3: (Bilinear3d, "trilinear")}


@settings(max_examples=80, deadline=None)
@given(
    axes=st.integers(1, 3),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    ceil=st.booleans(),
    extra=st.integers(0, 9),
)
def test_unpooling_is_the_gradient_of_pooling(axes: int, kernel: int, stride: int, ceil: bool, extra: int) -> None:
    torch.manual_seed(extra)
    padding = extra % (kernel // 2 + 1)
    pool, unpool = POOLS[axes]
    x = torch.randn(2, 3, *(kernel + extra, 7, 6)[:axes], dtype=torch.float64, requires_grad=True)
    y, switches = pool(kernel, stride, padding, ceil_mode=ceil, return_indices=True)(x)
    given_back = torch.randn_like(y)
    (expected,) = torch.autograd.grad((y * given_back).sum(), x)
    layer = unpool(kernel, stride, padding)
    torch.testing.assert_close(layer(given_back, switches, x), expected)
    torch.testing.assert_close(layer(given_back, switches, tuple(x.shape[2:])), expected)


def test_unpooling_equals_torch_where_windows_do_not_overlap() -> None:
    y, switches = nn.MaxPool2d(2, return_indices=True)(torch.randn(1, 3, 8, 10))
    torch.testing.assert_close(Unpool2d(2)(y, switches), nn.MaxUnpool2d(2)(y, switches))
    assert torch._dynamo.explain(Unpool2d(2))(y, switches).graph_break_count == 0
    torch.export.export(Unpool2d(2), (y, switches))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
def test_bilinear_layers_equal_interpolation_at_the_borders_too(axes: int, factor: int) -> None:
    kind, mode = LAYERS[axes]
    x = torch.randn(2, 3, *(5, 4, 3)[:axes])
    expected = F.interpolate(x, scale_factor=factor, mode=mode, align_corners=False)
    fixed, learnable = kind(3, factor), kind(3, factor, learnable=True)
    assert not list(fixed.parameters())
    assert len(list(learnable.parameters())) == 1
    torch.testing.assert_close(fixed(x), expected)
    torch.testing.assert_close(learnable(x), expected, rtol=1e-5, atol=1e-6)
    cut = tuple(size - (factor - 1) // 2 for size in expected.shape[2:])
    assert learnable(x, cut).shape[2:] == cut == fixed(x, torch.empty(1, 1, *cut)).shape[2:]
    learnable(x).square().mean().backward()
    assert bool(learnable.weight.grad.abs().sum() > 0)


def test_bilinear_layers_export_and_run_in_half() -> None:
    x = torch.randn(1, 3, 6, 5)
    for layer in (Bilinear2d(3), Bilinear2d(3, learnable=True)):
        assert torch._dynamo.explain(layer)(x).graph_break_count == 0
        torch.export.export(layer, (x,))
        assert layer.to(torch.bfloat16)(x.to(torch.bfloat16)).dtype == torch.bfloat16


def test_bad_input_is_one_line() -> None:
    y, switches = nn.MaxPool2d(2, return_indices=True)(torch.randn(1, 3, 8, 10))
    for call, told in (
        (lambda: Unpool2d(2)(y, switches, 12), "cannot have been pooled"),
        (lambda: Unpool2d(2)(y, switches[:, :1]), "with switches of shape"),
        (lambda: Unpool2d(0), "kernel_size"),
        (lambda: Bilinear2d(3, 2)(y, 5), "cannot be reached from 4 with factor 2; 7 to 8 can"),
        (lambda: Bilinear2d(4, 2)(y), "batch, 4"),
        (lambda: Bilinear2d(0), "0 channels"),
    ):
        with pytest.raises(GeometryError, match=told) as refusal:
            call()
        assert "\n" not in str(refusal.value)
