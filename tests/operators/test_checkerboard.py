"""Checkerboard measures against convolutions of constants, the Fourier transform, and the geometry."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings, strategies as st
from torch import Tensor, nn

from unconv.errors import GeometryError, UnconvError
from unconv.operators.checkerboard import checkerboard_score, equalised, overlap, phase_gains, stride_pattern
from unconv.operators.geometry.conv import ConvTransposeGeometry

TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def kernels(draw: st.DrawFn) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    most = 5 if axes < 3 else 3
    return {
        "kernel": tuple(draw(st.integers(1, most)) for _ in range(axes)),
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(axes)),
        "dilation": tuple(draw(st.integers(1, 3)) for _ in range(axes)),
        "seed": draw(st.integers(0, 2**31)),
    }


def weights(case: dict[str, Any], inputs: int = 3, outputs: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(case["seed"])
    return torch.randn(inputs, outputs, *case["kernel"], generator=generator, dtype=torch.float64)


@settings(deadline=None, max_examples=100)
@given(kernels(), st.data())
def test_overlap_is_a_transposed_convolution_of_ones_by_ones(case: dict[str, Any], data: st.DataObject) -> None:
    size = tuple(data.draw(st.integers(1, 6)) for _ in case["kernel"])
    padding = tuple(data.draw(st.integers(0, 2)) for _ in size)
    shared = (case["stride"], padding, 0, case["dilation"])
    try:
        geometry = ConvTransposeGeometry(size, case["kernel"], *shared)
    except GeometryError:
        assume(False)
    ones, taps = torch.ones(1, 1, *size), torch.ones(1, 1, *case["kernel"])
    expected = TRANSPOSED[len(size)](ones, taps, None, case["stride"], padding, 0, 1, case["dilation"])
    assert torch.equal(overlap(geometry), expected[0, 0].long())


@settings(deadline=None, max_examples=100)
@given(kernels())
def test_phase_gains_are_what_becomes_of_a_constant(case: dict[str, Any]) -> None:
    weight = weights(case)
    constant = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    # So far from the borders that all taps are there, and a whole number of periods from the first cell.
    reach = [d * (k - 1) // s + 1 for k, s, d in zip(case["kernel"], case["stride"], case["dilation"], strict=True)]
    images = constant.view(1, 3, *(1,) * len(reach)).expand(1, 3, *(2 * r + 2 for r in reach))
    shown = TRANSPOSED[len(reach)](images, weight, None, case["stride"], 0, 0, 1, case["dilation"])
    for axis, (r, s) in enumerate(zip(reach, case["stride"], strict=True), start=2):
        shown = shown.narrow(axis, r * s, s)
    gains = phase_gains(weight, case["stride"], case["dilation"])
    torch.testing.assert_close(torch.einsum("i,io...->o...", constant, gains)[None], shown)


@settings(deadline=None, max_examples=100)
@given(kernels())
def test_equalised_kernels_pass_a_constant_evenly_and_are_the_nearest(case: dict[str, Any]) -> None:
    weight = weights(case)
    try:
        even = equalised(weight, case["stride"], case["dilation"])
    except GeometryError:
        taps = phase_gains(torch.ones_like(weight), case["stride"], case["dilation"])
        assert bool((taps == 0).any())
        return
    assert checkerboard_score(even, case["stride"], case["dilation"]) <= 1e-6
    assert checkerboard_score(even.float(), case["stride"], case["dilation"]) <= 1e-6
    # The nearest of a linear space: what was added is at right angles to every kernel that passes a constant evenly.
    other = equalised(weights({**case, "seed": case["seed"] + 1}), case["stride"], case["dilation"])
    assert float(((even - weight) * other).sum(tuple(range(2, weight.ndim))).abs().max()) < 1e-9


def test_kernels_smaller_than_the_stride_cannot_be_equalised() -> None:
    with pytest.raises(GeometryError, match="without a tap; take a kernel that is no smaller than the stride"):
        equalised(torch.ones(1, 1, 2), stride=3)


def test_uneven_overlap_shows_even_where_all_taps_are_alike() -> None:
    assert checkerboard_score(torch.ones(1, 1, 4, 4), 2) == 0
    assert checkerboard_score(torch.ones(1, 1, 3, 3), 2) > 0.4
    torch.manual_seed(0)
    assert checkerboard_score(nn.ConvTranspose2d(8, 4, 3, 2).weight, 2) > 0.1
    # Stride 1 has one phase, and zero nothing to deviate.
    assert checkerboard_score(torch.randn(2, 2, 3, 3), 1) == 0
    assert checkerboard_score(torch.zeros(2, 2, 3, 3), 2) == 0


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.lists(st.floats(0, 10), min_size=2, max_size=6))
def test_score_grows_with_an_injected_pattern(seed: int, strengths: list[float]) -> None:
    even = equalised(weights({"kernel": (4, 4), "seed": seed}), stride=2)
    pattern = torch.zeros_like(even)
    pattern[..., ::2, ::2] = 1
    scores = [checkerboard_score(even + strength * (pattern - 0.25), stride=2) for strength in sorted(strengths)]
    assert all(other >= one - 1e-12 for one, other in pairwise(scores))
    # Where one phase of four passes all, three quarters of the energy are not in the mean.
    assert checkerboard_score(pattern, stride=2) == pytest.approx(0.75**0.5)


def test_score_of_actual_inputs_is_the_pattern_of_what_they_become() -> None:
    weight, inputs = weights({"kernel": (3, 3), "seed": 0}), torch.tensor([1.0, 0.2, -0.4], dtype=torch.float64)
    image = inputs.view(1, 3, 1, 1).expand(1, 3, 12, 12)
    inside = F.conv_transpose2d(image, weight, stride=2)[..., 4:-4, 4:-4]
    inside = inside[..., : inside.shape[-2] // 2 * 2, : inside.shape[-1] // 2 * 2]
    assert stride_pattern(inside, 2) == pytest.approx(checkerboard_score(weight, 2, inputs=inputs))
    with pytest.raises(UnconvError, match="for 3 input channels; give the mean of each"):
        checkerboard_score(weight, 2, inputs=inputs[:2])


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 3), st.integers(2, 4), st.integers(0, 2**31))
def test_pattern_is_the_spectrum_at_the_strides_frequencies(axes: int, stride: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2, 3, *(stride * 3,) * axes, generator=generator, dtype=torch.float64)
    power = torch.fft.fftn(values, dim=tuple(range(2, 2 + axes))).abs().square()
    # Every third frequency along each axis is a multiple of 1/s; the first is the mean.
    marked = power[(slice(None), slice(None), *(slice(None, None, 3),) * axes)].flatten(2)
    expected = (marked[..., 1:].sum() / power.sum()).sqrt()
    assert stride_pattern(values, stride) == pytest.approx(float(expected))


def test_gradients_of_strided_convolutions_have_the_pattern_too() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 3, stride=2, padding=1).double()
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv(image).sum(), image)
    # The gradient of a sum is the transposed convolution of ones.
    expected = checkerboard_score(conv.weight, 2, inputs=torch.ones(8, dtype=torch.float64))
    assert stride_pattern(gradient[..., 4:-4, 4:-4], 2) == pytest.approx(expected)


def test_what_is_no_map_is_refused_in_a_line() -> None:
    with pytest.raises(UnconvError, match="is not \\(batch, channel, \\*size\\)"):
        stride_pattern(torch.zeros(2, 3), 2)
    with pytest.raises(GeometryError, match="holds no whole period of stride"):
        stride_pattern(torch.zeros(1, 1, 3), 4)
    with pytest.raises(UnconvError, match="are not \\(in, out, \\*kernel\\)"):
        phase_gains(torch.zeros(2, 2), 2)
