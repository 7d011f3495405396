"""Upsamplers by name: sizes, alignment of odd and even sizes, equal forms in torch, one graph."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

import unconv as uc
from unconv.errors import GeometryError, UnconvError
from unconv.operators.checkerboard import stride_pattern
from unconv.upsample.upsamplers import UPSAMPLERS, upsampler


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_every_reference_is_met_and_leaves_out_only_the_last_cells(name: str) -> None:
    torch.manual_seed(0)
    up = upsampler(name, 3, 2)
    for height in range(1, 41):
        width = 41 - height
        x = torch.randn(1, 3, -(-height // 2), -(-width // 2))
        whole, met = up(x), up(x, torch.empty(1, 7, height, width))
        assert whole.shape[2:] == (2 * x.shape[2], 2 * x.shape[3])
        assert torch.equal(met, whole[..., :height, :width])
        assert torch.equal(met, up(x, (height, width)))


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("name", UPSAMPLERS)
def test_one_and_three_axes(name: str, dim: int) -> None:
    up, x = upsampler(name, 4, 3, dim), torch.randn(2, 4, *(3, 4, 2)[:dim])
    assert up(x).shape == (2, 3, *(6, 8, 4)[:dim])
    assert up(x, (5, 7, 3)[:dim]).shape == (2, 3, *(5, 7, 3)[:dim])


@pytest.mark.parametrize(("name", "padding", "extra"), [("k2", 0, 0), ("k3", 1, 1), ("k4", 1, 0)])
def test_transposed_ones_are_those_of_torch(name: str, padding: int, extra: int) -> None:
    up, x = upsampler(f"transposed-{name}", 4, 3), torch.randn(2, 4, 7, 5)
    expected = F.conv_transpose2d(x, up.layer.weight, up.layer.bias, 2, padding, extra)
    torch.testing.assert_close(up(x), expected)


def test_bilinear_is_interpolation_then_a_convolution_of_one_cell() -> None:
    up, x = upsampler("bilinear", 4, 3).double(), torch.randn(2, 4, 7, 5, dtype=torch.float64)
    convolution, _ = up.layer
    expected = convolution(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
    torch.testing.assert_close(up(x), expected)


def test_resize_is_repetition_then_a_convolution() -> None:
    up, x = upsampler("resize", 4, 3), torch.randn(2, 4, 7, 5)
    torch.testing.assert_close(up(x), up.layer.conv(x.repeat_interleave(2, 2).repeat_interleave(2, 3)))


def test_subpixels_differ_by_the_tie_between_phases_alone() -> None:
    x, inside = torch.ones(1, 64, 8, 8), (..., slice(4, -4), slice(4, -4))
    torch.manual_seed(0)
    free, tied = upsampler("sub-pixel", 64, 32), upsampler("sub-pixel-icnr", 64, 32)
    assert stride_pattern(free(x)[inside], 2) > 0.1
    assert stride_pattern(tied(x)[inside], 2) <= 1e-6
    spread = [float(one.layer.conv.weight.detach().std()) for one in (free, tied)]
    assert spread[0] == pytest.approx(spread[1], rel=0.05)
    assert not any(bool(one.layer.conv.bias.any()) for one in (free, tied))


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_they_learn_and_are_one_graph(name: str) -> None:
    torch.manual_seed(0)
    up, x, skip = upsampler(name, 4, 3), torch.randn(2, 4, 5, 6), torch.randn(2, 1, 9, 12)
    y = up(x, skip)
    y.square().mean().backward()
    assert all(one.grad is not None and bool(one.grad.any()) for one in up.parameters())
    torch._dynamo.reset()
    compiled = torch.compile(copy.deepcopy(up), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, skip), y)
    exported = torch.export.export(up.eval(), (x, skip)).module()(x, skip)
    torch.testing.assert_close(exported, y, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(up(x, skip).float(), y, rtol=0.05, atol=0.05)
    other = upsampler(name, 4, 3)
    other.load_state_dict(up.state_dict())
    assert torch.equal(other(x, skip), up(x, skip))


def test_what_cannot_be_is_refused_in_a_line() -> None:
    up = uc.upsample.upsampler("resize", 4, 3)
    with pytest.raises(
        GeometryError, match=r"resize: 5 cells on axis 1 come to 9 or 10, not to 11; halve it with ceil"
    ):
        up(torch.zeros(1, 4, 5, 5), (9, 11))
    with pytest.raises(GeometryError, match=r"is not .batch, channels, size, size.; dim=2 was asked for"):
        up(torch.zeros(1, 4, 5))
    with pytest.raises(GeometryError, match="has not 2 axes"):
        up(torch.zeros(1, 4, 5, 5), (10,))
    with pytest.raises(UnconvError, match=r"'nearest': unknown; it is transposed-k2, .* or bilinear"):
        upsampler("nearest", 4, 3)
    with pytest.raises(UnconvError, match="dim 4 is none of 1, 2, 3"):
        upsampler("resize", 4, 3, dim=4)
