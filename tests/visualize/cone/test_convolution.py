"""Convolutions whose way back is cut to the cone, against torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from unconv.visualize.cone import convolution as cone
from unconv.visualize.cone.boxes import find_nonzero_boxes
from unconv.visualize.cone.convolution import Convolution, convolve_on_cone, way_back
from unconv.visualize.cone.kernels import Kept, keep_kernels, lay_out
from unconv.visualize.cone.schedule import Needed, limit_convolutions

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    kernel = [draw(st.integers(1, 4)) for _ in range(axes)]
    dilation = [draw(st.integers(1, 2)) for _ in range(axes)]
    padding = [draw(st.integers(0, 2)) for _ in range(axes)]
    least = [d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [max(1, n) + draw(st.integers(0, 9 if axes < 3 else 3)) for n in least]
    return {
        "size": size,
        "kernel": kernel,
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(axes)),
        "padding": tuple(padding),
        "dilation": tuple(dilation),
        "groups": draw(st.sampled_from([1, 2])),
        "bias": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**31)),
    }


@settings(deadline=None, max_examples=150)
@given(cases(), st.integers(0, 4))
def test_way_back_is_torchs_for_signals_of_any_extent(case: dict[str, Any], lit: int) -> None:
    generator = torch.Generator().manual_seed(case["seed"])
    groups = case["groups"]

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = numbers(3, 2 * groups, *case["size"]).requires_grad_()
    weight = numbers(2 * groups, 2, *case["kernel"])
    bias = numbers(2 * groups) if case["bias"] else None
    settings_ = (case["stride"], case["padding"], case["dilation"], groups)
    ours = Convolution.apply(x, weight, bias, *settings_)
    torchs = CONVOLUTIONS[len(case["size"])](x, weight, bias, *settings_)
    torch.testing.assert_close(ours, torchs)
    signal = torch.zeros_like(torchs)
    flat = signal.view(3, -1)
    for _ in range(lit):
        row = int(torch.randint(3, (), generator=generator))
        flat[row, int(torch.randint(flat.shape[1], (), generator=generator))] = 1.0
    for one in (signal, numbers(*torchs.shape)):
        (back,) = torch.autograd.grad(ours, x, one, retain_graph=True)
        (expected,) = torch.autograd.grad(torchs, x, one, retain_graph=True)
        torch.testing.assert_close(back, expected)


@pytest.mark.parametrize("padding", ["valid", 1, (1, 2)])
def test_every_spelling_of_a_call_is_understood(padding: Any) -> None:
    x, weight = torch.randn(2, 4, 9, 9, requires_grad=True), torch.randn(6, 4, 3, 3)
    for args, kwargs in (
        ((x, weight, None, 1, padding), {}),
        ((x, weight), {"padding": padding}),
        ((), {"input": x, "weight": weight, "padding": padding, "stride": 1}),
    ):
        found = convolve_on_cone(args, kwargs)
        assert found is not None
        torch.testing.assert_close(found, F.conv2d(x, weight, padding=padding))


def test_what_it_is_not_for_is_left_to_torch() -> None:
    x, weight = torch.randn(1, 2, 5, 5, requires_grad=True), torch.randn(2, 2, 3, 3)
    assert convolve_on_cone((x.detach(), weight), {}) is None
    assert convolve_on_cone((x, weight.requires_grad_()), {}) is None
    assert convolve_on_cone((x[0], weight.detach()), {}) is None
    assert convolve_on_cone((x, weight.detach()), {"padding": "same"}) is None


def test_once_a_box_is_too_large_no_other_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        cone, "find_nonzero_boxes", lambda signal: looked.append(signal.shape[2:]) or find_nonzero_boxes(signal)
    )
    x, weight = torch.randn(1, 2, 20, 20, requires_grad=True), torch.randn(2, 2, 7, 7)
    value = x
    for _ in range(3):
        value = Convolution.apply(value, weight, None, (1, 1), (3, 3), (1, 1), 1)
    signal = torch.zeros_like(value)
    signal[0, 0, :, 9] = 1
    signal[0, 0, 9] = 1
    with way_back():
        (back,) = torch.autograd.grad(value, x, signal)
    assert looked == [(20, 20)]
    expected = x
    for _ in range(3):
        expected = F.conv2d(expected, weight, padding=3)
    torch.testing.assert_close(back, torch.autograd.grad(expected, x, signal)[0], rtol=1e-4, atol=1e-3)


def test_boxes_hold_all_that_is_not_zero() -> None:
    signal = torch.zeros(3, 2, 6, 7)
    signal[0, 1, 2, 3] = 1
    signal[1, 0, 0, 0] = signal[1, 1, 5, 6] = -1
    assert find_nonzero_boxes(signal) == [((2, 3), (3, 4)), ((0, 6), (0, 7)), ((0, 0), (0, 0))]


@settings(deadline=None, max_examples=150)
@given(cases(), st.data())
def test_forward_in_a_box_is_torchs_there_and_zero_elsewhere(case: dict[str, Any], data: st.DataObject) -> None:
    generator = torch.Generator().manual_seed(case["seed"])
    groups = case["groups"]
    x = torch.randn(3, 2 * groups, *case["size"], generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(2 * groups, 2, *case["kernel"], generator=generator, dtype=torch.float64)
    bias = torch.randn(2 * groups, generator=generator, dtype=torch.float64) if case["bias"] else None
    settings_ = (case["stride"], case["padding"], case["dilation"], groups)
    torchs = CONVOLUTIONS[len(case["size"])](x, weight, bias, *settings_)
    boxes = []
    for _ in range(3):
        edges = [sorted(data.draw(st.tuples(*[st.integers(0, size)] * 2))) for size in torchs.shape[2:]]
        boxes.append(tuple((start, stop) for start, stop in edges))
    ours = Convolution.apply(x, weight, bias, *settings_, tuple(boxes))
    for one, whole, box in zip(ours, torchs, boxes, strict=True):
        inside = (slice(None), *(slice(start, stop) for start, stop in box))
        torch.testing.assert_close(one[inside], whole[inside])
        assert bool(((one == 0) | torch.isclose(one, whole)).all())


def test_large_boxes_are_computed_each_in_its_own_size() -> None:
    x, weight = torch.randn(2, 2, 80, 80, dtype=torch.float64, requires_grad=True), torch.randn(3, 2, 3, 3).double()
    boxes = (((0, 50), (0, 60)), ((40, 78), (30, 78)))
    ours = Convolution.apply(x, weight, None, (1, 1), (0, 0), (1, 1), 1, boxes)
    whole = F.conv2d(x, weight)
    expected = torch.zeros_like(whole)
    for number, (rows, columns) in enumerate(boxes):
        inside = (number, slice(None), slice(*rows), slice(*columns))
        expected[inside] = whole[inside]
    torch.testing.assert_close(ours, expected)
    (one,), (two,) = (torch.autograd.grad(each, x, expected) for each in (ours, whole))
    torch.testing.assert_close(one, two)


def test_boxes_at_the_same_place_are_cut_out_together_and_others_apart() -> None:
    x, weight = torch.randn(5, 2, 20, 20, dtype=torch.float64, requires_grad=True), torch.randn(3, 2, 3, 3).double()
    here, there = ((2, 6), (3, 7)), ((10, 14), (0, 4))
    boxes = (here, here, there, here, ((0, 0), (0, 0)))
    for layout in (torch.contiguous_format, torch.channels_last):
        laid = x.detach().contiguous(memory_format=layout).requires_grad_()
        ours = Convolution.apply(laid, weight, None, (1, 1), (1, 1), (1, 1), 1, boxes)
        whole = F.conv2d(laid, weight, padding=1)
        expected = torch.zeros_like(whole)
        for number, (rows, columns) in enumerate(boxes[:4]):
            inside = (number, slice(None), slice(*rows), slice(*columns))
            expected[inside] = whole[inside]
        torch.testing.assert_close(ours[:4], expected[:4])
        assert ours.is_contiguous(memory_format=layout)
        (one,), (two,) = (torch.autograd.grad(each, laid, expected) for each in (ours, whole))
        torch.testing.assert_close(one, two)


def test_nothing_is_looked_for_where_the_boxes_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cone, "find_nonzero_boxes", lambda _: pytest.fail("the signal was looked through"))
    x, weight = torch.randn(1, 2, 20, 20, requires_grad=True), torch.randn(2, 2, 3, 3)
    with limit_convolutions([Needed(2, (3, 3), (((4, 5), (6, 7)),))]) as schedule:
        value = convolve_on_cone((x, weight), {"padding": 1})
    assert value is not None
    assert schedule.kept
    signal = torch.zeros_like(value)
    signal[0, 1, 4, 6] = 1
    with way_back([Needed(2, (3, 3), (((4, 5), (6, 7)),))]):
        (back,) = torch.autograd.grad(value, x, signal)
    torch.testing.assert_close(back, torch.autograd.grad(F.conv2d(x, weight, padding=1), x, signal)[0])


@pytest.mark.parametrize("boxes", [(), (((1, 4), (0, 3)), ((2, 5), (1, 4)))])
@pytest.mark.parametrize("size", [1, 5, 40])
def test_kernels_of_one_tap_give_what_torch_gives_and_may_be_overwritten(size: int, boxes: Any) -> None:
    if boxes and size == 1:
        boxes = (((0, 1), (0, 1)),) * 2
    x = torch.randn(2, 8, size, size, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    weight, bias = torch.randn(6, 8, 1, 1).double(), torch.randn(6).double()
    ours = Convolution.apply(x, weight, bias, (1, 1), (0, 0), (1, 1), 1, boxes)
    whole = F.conv2d(x, weight, bias)
    inside = [
        (number, slice(None), *(slice(*edge) for edge in boxes[number])) if boxes else (number,) for number in range(2)
    ]
    for part in inside:
        torch.testing.assert_close(ours[part], whole[part])
    signal = torch.zeros_like(whole)
    for part in inside:
        signal[part] = torch.randn_like(whole[part])
    (one,), (two,) = (torch.autograd.grad(y, x, signal, retain_graph=True) for y in (ours, whole))
    torch.testing.assert_close(one, two)
    rectified = ours.relu_()
    for part in inside:
        torch.testing.assert_close(rectified[part], whole[part].relu())


def test_kernels_are_laid_out_once_and_again_when_they_change() -> None:
    weight = nn.Parameter(torch.randn(4, 3, 3, 3), requires_grad=False)
    x = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    with keep_kernels():
        once, kept = lay_out(weight, x)
        assert once.is_contiguous(memory_format=torch.channels_last)
        assert lay_out(weight, x)[0] is once
        assert kept is not None
        assert kept.weight is weight
        weight.mul_(2)
        assert torch.equal(lay_out(weight, x)[0], weight)
    assert lay_out(weight, x) == (weight, None)


def test_factors_are_multiplied_in_once_and_again_when_they_change() -> None:
    weight = torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    variance = torch.rand(4)
    kept = Kept(weight, weight._version, weight)

    def scaled() -> torch.Tensor:
        return kept.scale(lambda: 2 * variance, (variance, None), 1e-5)

    once = scaled()
    torch.testing.assert_close(once, weight * 2 * variance.view(-1, 1, 1, 1))
    assert once.is_contiguous(memory_format=torch.channels_last)
    assert scaled() is once
    assert kept.scale(lambda: variance, (variance, None), 1e-3) is not once
    variance.mul_(3)
    torch.testing.assert_close(scaled(), weight * 2 * variance.view(-1, 1, 1, 1))
