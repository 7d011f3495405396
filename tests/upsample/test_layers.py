"""Upsampling layers: sizes, equal forms, patterns at the start, and what torch does with modules."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from unconv.errors import GeometryError, UnconvError
from unconv.operators.checkerboard import stride_pattern
from unconv.upsample.bilinear import Bilinear2d
from unconv.upsample.resize import ResizeConv1d, ResizeConv2d, ResizeConv3d
from unconv.upsample.smooth import Smooth, smoothing_kernel
from unconv.upsample.subpixel import SubPixel1d, SubPixel2d, SubPixel3d, pixel_shuffle
from unconv.upsample.to_size import ConvTransposeTo1d, ConvTransposeTo2d, ConvTransposeTo3d
from unconv.upsample.unpool import Unpool2d

SIZES = {1: (9,), 2: (7, 9), 3: (4, 5, 3)}
LAYERS: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "ConvTransposeTo1d": (1, lambda: ConvTransposeTo1d(4, 3, 3, stride=2)),
    "ConvTransposeTo2d": (2, lambda: ConvTransposeTo2d(4, 3, 3, stride=2)),
    "ConvTransposeTo2d grouped": (2, lambda: ConvTransposeTo2d(4, 6, 4, stride=2, padding=1, groups=2, bias=False)),
    "ConvTransposeTo3d": (3, lambda: ConvTransposeTo3d(4, 3, 3, stride=2)),
    "SubPixel1d": (1, lambda: SubPixel1d(4, 3)),
    "SubPixel2d": (2, lambda: SubPixel2d(4, 3)),
    "SubPixel3d": (3, lambda: SubPixel3d(4, 3)),
    "ResizeConv1d": (1, lambda: ResizeConv1d(4, 3)),
    "ResizeConv2d": (2, lambda: ResizeConv2d(4, 3)),
    "ResizeConv2d linear": (2, lambda: ResizeConv2d(4, 3, mode="linear")),
    "ResizeConv3d": (3, lambda: ResizeConv3d(4, 3)),
    "Smooth": (2, lambda: nn.Sequential(ConvTransposeTo2d(4, 3, 3, stride=2), Smooth(2))),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_double_the_size_train_and_are_one_graph(name: str) -> None:
    axes, make = LAYERS[name]
    torch.manual_seed(0)
    layer, x = make(), torch.randn(2, 4, *SIZES[axes])
    y = layer(x)
    assert y.shape[2:] == tuple(2 * size for size in SIZES[axes])
    y.square().mean().backward()
    assert all(one.grad is not None and bool(one.grad.isfinite().all()) for one in layer.parameters())
    explained = torch._dynamo.explain(layer)(x)
    assert explained.graph_break_count == 0
    exported = torch.export.export(layer.eval(), (x,)).module()(x)
    torch.testing.assert_close(exported, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_run_in_bfloat16_and_with_channels_last(name: str) -> None:
    axes, make = LAYERS[name]
    torch.manual_seed(0)
    layer, x = make(), torch.randn(2, 4, *SIZES[axes])
    y = layer(x)
    half = copy.deepcopy(layer).to(torch.bfloat16)(x.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), y, rtol=0.05, atol=0.05)
    if axes == 2:
        last = copy.deepcopy(layer).to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(last, y, rtol=1e-4, atol=1e-5)


SIZED: dict[str, tuple[Callable[[], nn.Module], int]] = {
    **{
        f"transposed, kernel {k}, stride {s}": (partial(ConvTransposeTo2d, 1, 1, k, s), s)
        for k in (2, 3, 4, 5, 7)
        for s in (2, 3, 4)
    },
    **{f"sub-pixel, {s}": (partial(SubPixel2d, 1, 1, scale_factor=s), s) for s in (2, 3, 4)},
    **{f"resize, {mode}": (partial(ResizeConv2d, 1, 1, mode=mode), 2) for mode in ("nearest", "linear")},
    **{f"bilinear, {s}": (partial(Bilinear2d, 1, s), s) for s in (2, 3, 4, 8)},
    **{f"bilinear, learned, {s}": (partial(Bilinear2d, 1, s, learnable=True), s) for s in (2, 3)},
}


@pytest.mark.parametrize("name", SIZED)
def test_sizes_asked_for_are_the_sizes_that_come_from_17_to_300(name: str) -> None:
    make, step = SIZED[name]
    layer = make()
    with torch.no_grad():
        for size in range(17, 301):
            # Whatever halved it so that it rounds up, as a padded convolution of that stride does.
            x = torch.zeros(1, 1, -(-size // step), 3)
            skip = torch.empty(1, 5, size, 3 * step - 1, device="meta")
            assert layer(x, skip).shape == layer(x, (size, 3 * step - 1)).shape == (1, 1, size, 3 * step - 1)


@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil"), [(2, 2, 0, False), (3, 2, 1, False), (3, 3, 0, True)])
def test_unpooling_comes_to_the_size_that_was_pooled(kernel: int, stride: int, padding: int, ceil: bool) -> None:
    pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil, return_indices=True)
    for size in range(17, 301):
        x = torch.zeros(1, 1, size, 7)
        assert Unpool2d(kernel, stride, padding)(*pool(x), x).shape == x.shape


def test_state_dicts_go_to_torch_and_back() -> None:
    ours, theirs = ConvTransposeTo2d(4, 3, 4, stride=2, padding=1), nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 4, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours(x, (13, 11)), theirs(x, (13, 11)))
    assert "padding='same_upper'" in repr(ConvTransposeTo2d(4, 3, 4, stride=2))


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_pixel_shuffle_puts_every_phase_in_its_place(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 3))
    factors = tuple(data.draw(st.integers(1, 3)) for _ in range(axes))
    sizes = tuple(data.draw(st.integers(1, 3)) for _ in range(axes))
    phases = int(torch.tensor(factors).prod())
    x = torch.arange(2 * 3 * phases * int(torch.tensor(sizes).prod())).reshape(2, 3 * phases, *sizes)
    y = pixel_shuffle(x, factors)
    for phase in range(phases):
        offsets = torch.unravel_index(torch.tensor(phase), factors)
        strided = tuple(slice(int(first), None, step) for first, step in zip(offsets, factors, strict=True))
        assert torch.equal(y[(slice(None), slice(None), *strided)], x[:, phase::phases])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_fresh_layers_have_no_pattern(axes: int) -> None:
    torch.manual_seed(0)
    x = torch.ones(1, 4, *(8,) * axes)
    inside = (slice(None), slice(None), *(slice(4, -4),) * axes)
    subpixel = {1: SubPixel1d, 2: SubPixel2d, 3: SubPixel3d}[axes](4, 3)
    resize = {1: ResizeConv1d, 2: ResizeConv2d, 3: ResizeConv3d}[axes](4, 3)
    transposed = {1: ConvTransposeTo1d, 2: ConvTransposeTo2d, 3: ConvTransposeTo3d}[axes](4, 3, 3, stride=2)
    assert stride_pattern(subpixel(x)[inside], 2) <= 1e-6
    assert stride_pattern(resize(x)[inside], 2) <= 1e-6
    assert stride_pattern(transposed(x)[inside], 2) > 0.05
    assert stride_pattern(Smooth(2)(transposed(x))[inside], 2) <= 1e-6


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_smoothing_kernel_is_blind_at_the_strides_frequencies(stride: int, order: int) -> None:
    kernel = smoothing_kernel(stride, order)
    assert len(kernel) == order * (stride - 1) + 1
    assert float(kernel.sum()) == pytest.approx(1)
    for multiple in range(1, stride):
        wave = torch.exp(2j * torch.pi * multiple / stride * torch.arange(len(kernel), dtype=torch.float64))
        assert abs(complex((kernel * wave).sum())) < 1e-12


def test_smooth_takes_the_pattern_of_a_slope_with_order_two() -> None:
    slope = torch.arange(20.0).view(1, 1, 20) * torch.tensor([1.0, 0.5]).repeat(10)
    kept = [Smooth(2, order)(slope)[..., 3:-3].diff(n=3).abs().max() for order in (1, 2)]
    assert kept[0] > 0.4
    assert kept[1] < 1e-5


def test_what_does_not_fit_is_refused_in_a_line() -> None:
    with pytest.raises(GeometryError, match="5 channels are no multiple of the 4 phases"):
        pixel_shuffle(torch.zeros(1, 5, 2, 2), 2)
    with pytest.raises(UnconvError, match="mode 'cubic' is not 'nearest' or 'linear'"):
        ResizeConv2d(2, 2, mode="cubic")
    with pytest.raises(GeometryError, match="order 0 must be at least 1"):
        Smooth(2, 0)
    with pytest.raises(GeometryError, match="output size 50 on axis 0 cannot be reached from 22"):
        ConvTransposeTo2d(2, 2, 3, 2)(torch.zeros(1, 2, 22, 22), 50)
    with pytest.raises(GeometryError, match="sub-pixel: output size 45 on axis 0 cannot be reached from 22"):
        SubPixel2d(2, 2)(torch.zeros(1, 2, 22, 22), 45)


def test_nearest_is_exact_for_sizes_that_are_no_multiples() -> None:
    layer = ResizeConv1d(1, 1, kernel_size=1)
    nn.init.ones_(layer.conv.weight)
    nn.init.zeros_(layer.conv.bias)  # type: ignore[arg-type]
    x: Tensor = torch.arange(5.0).view(1, 1, 5)
    assert torch.equal(layer(x, 9), F.interpolate(x, 9, mode="nearest-exact"))
