"""A transposed convolution in its three forms: equal outputs and gradients, there and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from unconv.errors import GeometryError
from unconv.operators.transpose.blocks import flipped
from unconv.upsample.convert import FORMS, ZeroInsertion, convert
from unconv.upsample.phases import phase_kernels
from unconv.upsample.subpixel import SubPixel1d, SubPixel2d, SubPixel3d
from unconv.upsample.to_size import ConvTransposeTo2d

KINDS = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@st.composite
def transposed(draw: st.DrawFn) -> tuple[nn.Module, Tensor]:
    axes = draw(st.integers(1, 3))
    stride, dilation = (tuple(draw(st.lists(st.integers(1, top), min_size=axes, max_size=axes))) for top in (4, 3))
    kernel = tuple(draw(st.lists(st.integers(1, 5), min_size=axes, max_size=axes)))
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    padding = tuple(draw(st.integers(0, d * (k - 1))) for k, d in zip(kernel, dilation, strict=True))
    size = tuple(draw(st.integers(3, 6)) for _ in range(axes))
    groups = draw(st.sampled_from([1, 2]))
    sizes = [
        s * (i - 1) + d * (k - 1) + 1 + m - 2 * p
        for i, s, d, k, m, p in zip(size, stride, dilation, kernel, more, padding, strict=True)
    ]
    padding = tuple(0 if out < 1 else p for out, p in zip(sizes, padding, strict=True))
    torch.manual_seed(draw(st.integers(0, 99)))
    layer = KINDS[axes](4, 6, kernel, stride, padding, more, groups, draw(st.booleans()), dilation)
    return layer.double(), torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)


@settings(max_examples=120, deadline=None)
@given(transposed())
def test_forms_are_equal_with_their_gradients_and_back(case: tuple[nn.Module, Tensor]) -> None:
    layer, x = case
    y = layer(x)
    weights = torch.randn_like(y)
    (expected,) = torch.autograd.grad((y * weights).sum(), x)
    for form in FORMS:
        made = convert(layer, form)
        torch.testing.assert_close(made(x), y, rtol=1e-10, atol=1e-10)
        (found,) = torch.autograd.grad((made(x) * weights).sum(), x)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        back = convert(made, "transposed")
        assert type(back) is type(layer)
        for name, value in layer.state_dict().items():
            torch.testing.assert_close(back.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_gradients_of_the_kernels_pass_through_the_mapping(axes: int) -> None:
    torch.manual_seed(0)
    layer = KINDS[axes](4, 6, 3, stride=2, padding=1, output_padding=1, groups=2).double()
    x = torch.randn(2, 4, *(5, 4, 3)[:axes], dtype=torch.float64)
    (expected,) = torch.autograd.grad(layer(x).square().sum(), layer.weight)
    shuffled, inserted = convert(layer, "sub-pixel"), convert(layer, "zero-insertion")
    weight = layer.weight.detach().clone().requires_grad_()
    for made, kernels in (
        (shuffled, phase_kernels(weight, shuffled.original.arguments)),
        (inserted, flipped(weight, 2)),
    ):
        y = torch.func.functional_call(made, {"conv.weight": kernels}, (x,))
        (found,) = torch.autograd.grad(y.square().sum(), weight)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", [SubPixel1d, SubPixel2d, SubPixel3d])
@pytest.mark.parametrize("factor", [2, 3])
def test_sub_pixel_layers_as_transposed_convolutions(kind: type[nn.Module], factor: int) -> None:
    torch.manual_seed(0)
    layer = kind(3, 2, 3, factor).double()
    nn.init.normal_(layer.conv.weight)
    x = torch.randn(2, 3, *(4, 5, 3)[: layer.axes], dtype=torch.float64)
    for form in FORMS:
        torch.testing.assert_close(convert(layer, form)(x), layer(x), rtol=1e-10, atol=1e-10)


def test_mode_dtype_and_frozen_weights_are_kept() -> None:
    layer = nn.ConvTranspose2d(3, 2, 4, 2, 1).to(torch.bfloat16).eval().requires_grad_(False)
    made = convert(layer, "sub-pixel")
    assert not made.training
    assert not any(one.requires_grad for one in made.parameters())
    assert {one.dtype for one in made.parameters()} == {torch.bfloat16}
    assert made.conv.weight.data_ptr() != layer.weight.data_ptr()


def test_forms_export_and_are_one_graph() -> None:
    layer, x = nn.ConvTranspose2d(3, 2, 5, 3, 1, 1), torch.randn(1, 3, 6, 7)
    for form in FORMS:
        made = convert(layer, form)
        assert torch._dynamo.explain(made)(x).graph_break_count == 0
        exported = torch.export.export(made.eval(), (x,)).module()(x)
        torch.testing.assert_close(exported, layer(x), rtol=1e-5, atol=1e-5)


def test_bad_input_is_one_line() -> None:
    layer = SubPixel2d(3, 2)
    nn.init.normal_(layer.conv.bias)
    for one, form, told in (
        (nn.Conv2d(3, 3, 3), "sub-pixel", "no transposed convolution"),
        (nn.ConvTranspose2d(3, 3, 3), "fourier", "is not one of"),
        (layer, "transposed", "differs from phase to phase"),
        (SubPixel2d(3, 2, 4), "transposed", "odd kernels"),
        (ConvTransposeTo2d(3, 2, 3), "sub-pixel", "may take its size from its input"),
    ):
        with pytest.raises(GeometryError, match=told) as refusal:
            convert(one, form)
        assert "\n" not in str(refusal.value)
    assert isinstance(convert(nn.ConvTranspose1d(2, 2, 3), "zero-insertion"), ZeroInsertion)
