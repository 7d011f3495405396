"""Transposed convolutions to a size, against torch's output padding and against the convolution back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor

from unconv.errors import GeometryError
from unconv.upsample.sized import conv_transpose_to, reachable_sizes

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    most = 9 if axes < 3 else 4
    kernel = [draw(st.integers(1, 4)) for _ in range(axes)]
    dilation = [draw(st.integers(1, 2)) for _ in range(axes)]
    pads = [draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(axes)]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [max(1, span - sum(pad)) + draw(st.integers(0, most)) for span, pad in zip(spans, pads, strict=True)]
    return {
        "size": size,
        "kernel": kernel,
        "stride": [draw(st.integers(1, 3)) for _ in range(axes)],
        "dilation": dilation,
        "padding": draw(st.sampled_from([pads, "same_upper", "same_lower"])),
        "groups": draw(st.sampled_from([1, 2])),
        "seed": draw(st.integers(0, 2**31)),
    }


def pads_of(case: dict[str, Any]) -> list[tuple[int, int]]:
    """Explicit padding of the convolution; SAME as ONNX and TensorFlow write it down."""
    if not isinstance(case["padding"], str):
        return list(case["padding"])
    pads = []
    for size, kernel, stride, dilation in zip(
        case["size"], case["kernel"], case["stride"], case["dilation"], strict=True
    ):
        total = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if case["padding"] == "same_upper" else (large, small))
    return pads


@settings(deadline=None, max_examples=200)
@given(cases(), st.booleans())
def test_it_is_the_transpose_of_the_convolution_back_to_its_input_size(case: dict[str, Any], reference: bool) -> None:
    generator = torch.Generator().manual_seed(case["seed"])

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    axes, groups = len(case["size"]), case["groups"]
    weight = numbers(2 * groups, 3, *case["kernel"])
    image = numbers(2, 3 * groups, *case["size"])
    flat = [side for pair in reversed(pads_of(case)) for side in pair]
    settings_ = {"stride": case["stride"], "dilation": case["dilation"], "groups": groups}
    y = CONVOLUTIONS[axes](F.pad(image, flat), weight, **settings_)
    signal = numbers(*y.shape)
    wanted = numbers(1, 1, *case["size"]) if reference else tuple(case["size"])
    back = conv_transpose_to(signal, weight, output_size=wanted, padding=case["padding"], **settings_)
    assert back.shape == image.shape
    # ⟨Cx, y⟩ = ⟨x, Cᵀy⟩
    torch.testing.assert_close((y * signal).sum(), (image * back).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("padding", [1, "same_upper", "same_lower"])
def test_sizes_asked_for_are_the_sizes_that_come_for_every_input(kernel: int, stride: int, padding: int | str) -> None:
    weight = torch.randn(1, 1, kernel)
    for size in range(17, 301):
        pad = padding if isinstance(padding, int) else 0
        inputs = (size + 2 * pad - kernel) // stride + 1 if isinstance(padding, int) else -(-size // stride)
        x = torch.zeros(1, 1, inputs)
        assert conv_transpose_to(x, weight, output_size=size, stride=stride, padding=padding).shape[-1] == size


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3))
def test_sizes_that_can_be_reached_are_those_of_torch(size: int, kernel: int, stride: int, pad: int, hole: int) -> None:
    reached = []
    for extra in range(max(stride, hole)):
        try:
            y = F.conv_transpose1d(torch.ones(1, 1, size), torch.ones(1, 1, kernel), None, stride, pad, extra, 1, hole)
        except RuntimeError:
            continue
        reached.append(y.shape[-1])
    assert list(reachable_sizes(size, kernel, stride, (pad, pad), hole)) == reached


def test_a_size_out_of_reach_names_those_that_are_not() -> None:
    x, weight = torch.randn(1, 2, 22, 22), torch.randn(2, 2, 3, 3)
    with pytest.raises(GeometryError) as refusal:
        conv_transpose_to(x, weight, output_size=(45, 48), stride=2)
    assert str(refusal.value) == (
        "conv_transpose: output size 48 on axis 1 cannot be reached from 22 with kernel 3, stride 2, padding (0, 0) "
        "and dilation 1; 45 to 46 can"
    )
    with pytest.raises(GeometryError, match="padding 'same_uper' is not known"):
        conv_transpose_to(x, weight, stride=2, padding="same_uper")
    with pytest.raises(GeometryError, match="has no single meaning; use 'same_upper'"):
        conv_transpose_to(x, weight, stride=2, padding="same")
    assert conv_transpose_to(x, weight, padding="same").shape == x.shape
    with pytest.raises(GeometryError, match="has no 2 axes of size"):
        conv_transpose_to(x, weight, stride=2, output_size=torch.zeros(3))
