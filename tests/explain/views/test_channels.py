"""Channels: a filter reads the maps of its group, as torch's groups do, and every filter makes one map."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from unconv.errors import GeometryError
from unconv.explain.views.channels import Channels, channels_scene
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import MaxPoolGeometry


@given(st.integers(1, 4), st.integers(1, 2), st.integers(1, 2))
def test_maps_read_are_those_that_torch_connects(groups: int, in_per_group: int, out_per_group: int) -> None:
    channels = Channels(groups * in_per_group, groups * out_per_group, groups)
    x = torch.zeros(1, channels.inputs, 1, 1, requires_grad=True)
    weight = torch.ones(channels.outputs, in_per_group, 1, 1)
    for output in range(channels.outputs):
        y = torch.nn.functional.conv2d(x, weight, groups=groups)[0, output, 0, 0]
        (gradient,) = torch.autograd.grad(y, x)
        assert channels.inputs_of(output) == tuple(gradient[0, :, 0, 0].nonzero().flatten().tolist())


def test_one_filter_of_the_well_known_example_makes_one_map() -> None:
    scene = channels_scene(ConvGeometry((32, 32), 5), Channels(3, 2))
    labels = {stack.label: stack.detail for stack in scene.rows[0]}
    assert labels == {
        "Input": "32 × 32 × 3",
        "Filter 1": "5 × 5 × 3",
        "Filter 2": "5 × 5 × 3",
        "Output": "28 × 28 × 2",
    }
    assert scene.note == "120 of 1,568 steps are shown."
    assert "2 filters of 5 × 5 × 3: 150 weights; each filter makes one map." in scene.captions


def test_only_the_group_and_its_filter_light_up() -> None:
    scene = channels_scene(ConvGeometry((3, 3), 2), Channels(4, 2, 2))
    for frame in scene.frames:
        first = 2 * frame.channel
        lit = {mark.grid for mark in frame.marks}
        assert lit == {first, first + 1, 4 + frame.channel, 6 + first, 7 + first}


def test_transposed_and_pooled_maps_are_drawn_too() -> None:
    assert channels_scene(ConvTransposeGeometry((2, 2), 3, 2), Channels(2, 1)).frames
    assert channels_scene(MaxPoolGeometry((4, 4), 2), Channels(2, 2, 2)).frames


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 1), "in_channels 0 must be"),
        ((3, 2, 2), "groups 2 must divide in_channels 3"),
        ((64, 64), "64 → 64 channels are more than the 8 maps"),
    ],
)
def test_impossible_channels_are_refused_in_one_line(arguments: tuple[int, ...], words: str) -> None:
    with pytest.raises(GeometryError, match=words) as refusal:
        channels_scene(ConvGeometry((4, 4), 2), Channels(*arguments))
    assert "\n" not in str(refusal.value)


def test_pooling_mixes_no_channels() -> None:
    with pytest.raises(GeometryError, match="each channel alone"):
        channels_scene(MaxPoolGeometry((4, 4), 2), Channels(2, 1))


def test_volumes_with_channels_are_refused() -> None:
    with pytest.raises(GeometryError, match="one channel"):
        channels_scene(ConvGeometry((2, 2, 2), 2), Channels(2, 1))
