"""Kernels packed for oneDNN, and kernels by factors, against torch's own convolutions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from unconv.visualize.cone.kernels import ConvCall, convolve, transpose
from unconv.visualize.cone.packed_kernels import Packs, can_pack

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


def channels_last(*shape: int, seed: int = 0) -> torch.Tensor:
    numbers = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return numbers.contiguous(memory_format=torch.channels_last)


@settings(deadline=None, max_examples=60)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    size=st.tuples(st.integers(7, 14), st.integers(7, 14)),
    channels=st.tuples(st.sampled_from([32, 40]), st.sampled_from([5, 16, 48])),
    bias=st.booleans(),
)
def test_both_ways_are_torchs(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    size: tuple[int, int],
    channels: tuple[int, int],
    bias: bool,
) -> None:
    x = channels_last(2, channels[0], *size)
    weight = channels_last(channels[1], channels[0], *kernel, seed=1)
    offset = torch.randn(channels[1]) if bias else None
    call = ConvCall(weight, size, stride, padding, dilation, 1, Packs(weight))
    assert can_pack(x, weight, 1)
    leaf = x.double().requires_grad_()
    expected = F.conv2d(leaf, weight.double(), None if offset is None else offset.double(), stride, padding, dilation)
    for _ in range(2):
        found = convolve(call, x, offset, padding)
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-3)
        signal = torch.randn_like(found)
        (gradient,) = torch.autograd.grad(expected, leaf, signal.double(), retain_graph=True)
        back = transpose(call, signal, size, padding)
        torch.testing.assert_close(back.double(), gradient, rtol=1e-4, atol=1e-3)


def test_the_bits_are_those_of_torch() -> None:
    # Three taps: torch gives them to oneDNN whatever the number of threads.
    x, weight = channels_last(2, 64, 14, 14), channels_last(64, 64, 3, 3, seed=1)
    call = ConvCall(weight, (14, 14), (1, 1), (1, 1), (1, 1), 1, Packs(weight))
    assert torch.equal(convolve(call, x, None, (1, 1)), F.conv2d(x, weight, padding=1))


def test_maps_of_another_size_than_the_first_are_packed_for_anew() -> None:
    weight = channels_last(40, 64, 1, 1)
    kept = Packs(weight)
    for size in ((1, 1), (7, 7), (2, 5)):
        x = channels_last(2, 64, *size, seed=2)
        found = kept.convolve(x, None, (1, 1), (0, 0), (1, 1))
        torch.testing.assert_close(found, F.conv2d(x, weight), rtol=1e-4, atol=1e-4)


def test_what_onednn_would_not_get_from_torch_is_not_packed() -> None:
    x, weight = channels_last(2, 8, 9, 9), torch.randn(4, 8, 3, 3)
    assert can_pack(x, weight, 1)
    assert not can_pack(x, weight, 2)
    assert not can_pack(x.double(), weight.double(), 1)
    assert not can_pack(x.contiguous(), weight, 1)
    assert not can_pack(x[:0], weight, 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_pack(x, weight, 1)
    torch._C._set_mkldnn_enabled(False)
    try:
        assert not can_pack(x, weight, 1)
    finally:
        torch._C._set_mkldnn_enabled(True)


def test_factors_are_multiplied_in_once_and_again_when_they_change() -> None:
    weight, variance = channels_last(4, 3, 3, 3), torch.rand(4)
    kept = Packs(weight)

    def scaled() -> Packs:
        return kept.scale(lambda: 2 * variance, (variance, None), 1e-5)

    once = scaled()
    torch.testing.assert_close(once.weight, weight * 2 * variance.view(-1, 1, 1, 1))
    assert scaled() is once
    assert kept.scale(lambda: variance, (variance, None), 1e-3) is not once
    variance.mul_(3)
    torch.testing.assert_close(scaled().weight, weight * 2 * variance.view(-1, 1, 1, 1))
