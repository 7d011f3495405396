"""Input sizes in every way that people write them lead to the same size."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, strategies as st
from torch import nn

import unconv as uc
from unconv.errors import ModelError
from unconv.network.run.input_sizes import as_input_sizes, input_dtypes

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
MLP = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))


@given(axes=st.sampled_from([1, 2, 3]), channels=st.integers(1, 4), batch=st.integers(1, 4), data=st.data())
def test_all_ways_to_write_a_size_mean_the_same(axes, channels, batch, data) -> None:
    size = tuple(data.draw(st.integers(3, 6)) for _ in range(axes))
    model = nn.Sequential(CONVS[axes](channels, 2, 1))
    wanted = ((channels, *size),)
    ways = [
        (channels, *size),
        [channels, *size],
        (batch, channels, *size),
        torch.Size((batch, channels, *size)),
        torch.zeros(batch, channels, *size),
        torch.zeros(channels, *size),
        np.zeros((batch, channels, *size)),
        [(channels, *size)],
        [torch.zeros(batch, channels, *size)],
        "x".join(map(str, (channels, *size))),
        tuple(np.array((channels, *size))),
    ]
    if axes > 1 and size[0] > 4:
        # The channels are the first convolution's.
        ways += [size, "x".join(map(str, size)), ["x".join(map(str, size))]]
    assert [as_input_sizes(way, model) for way in ways] == [wanted] * len(ways)
    # The size is one that the model takes.
    assert model(torch.zeros(1, *wanted[0])).shape == (1, 2, *size)
    square = ((channels, *(5,) * axes),)
    assert as_input_sizes(5, model) == as_input_sizes("5", model) == as_input_sizes(np.int64(5), model) == square


def test_frames_are_no_batch() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1))
    assert as_input_sizes((3, 8, 64, 64), model) == ((3, 8, 64, 64),)
    assert as_input_sizes((1, 3, 64, 64), nn.Conv3d(1, 2, 1)) == ((1, 3, 64, 64),)


def test_several_inputs_are_told_from_one() -> None:
    model = nn.ModuleList([nn.Conv2d(3, 2, 1)])
    assert as_input_sizes([(3, 8, 8), (10,)], model) == as_input_sizes((torch.zeros(1, 3, 8, 8), (10,)), model)


def test_without_convolutions_shapes_have_a_batch_and_tuples_none() -> None:
    assert as_input_sizes(torch.zeros(5, 12), MLP) == as_input_sizes((12,), MLP) == ((12,),)
    with pytest.raises(ModelError, match="no convolution tells how many channels a picture has"):
        as_input_sizes(13, MLP)


def test_none_is_what_the_model_says() -> None:
    assert as_input_sizes(None, nn.Conv2d(1, 2, 3)) == ((1, 224, 224),)
    assert as_input_sizes(None, MLP) == ((12,),)
    assert as_input_sizes(None, nn.ReLU()) == ((3, 224, 224),)
    assert as_input_sizes(None, timm.create_model("efficientnet_b2")) == ((3, 256, 256),)
    with pytest.raises(
        ModelError, match="first convolution has 1 axes, so that no size can be assumed; say input_size"
    ):
        as_input_sizes(None, nn.Conv1d(3, 2, 3))
    assert uc.trace(nn.Conv2d(1, 2, 3)).input_sizes == ((1, 224, 224),)
    assert uc.trace("lenet5").input_sizes == ((1, 32, 32),)
    assert uc.trace("dcgan-32", 1).input_sizes == uc.trace("dcgan-32").input_sizes


@pytest.mark.parametrize(
    "size",
    ["", "3x", "3x-4x4", (3, 0, 4), (3, 4.0), (), (1, 2, 3, 4, 5, 6), True, 3.0, {"x": (3, 4)}, [(3, 4), "a"]],
)
def test_what_is_no_size_is_refused(size: object) -> None:
    with pytest.raises(ModelError, match=r"^audit: input size .* must be \(channels, \*axes\) in whole numbers"):
        as_input_sizes(size, nn.Conv2d(3, 2, 1), "audit")


def test_tokens_are_of_the_type_that_they_are_given_in() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    tokens = torch.zeros(3, 7, dtype=torch.int64)
    assert input_dtypes([tokens, (3, 4)]) == [torch.int64, None]
    assert uc.trace(model, tokens).layers[-1].output_shape == (7, 2)
    assert uc.trace(model, tokens).macs == uc.trace(model, (7,), dtype=torch.int64).macs


def test_trace_audit_and_windows_take_them_alike() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3))
    ways = [(3, 40, 40), (2, 3, 40, 40), torch.zeros(2, 3, 40, 40), 40, "3x40x40"]
    assert len({uc.trace(model, way).macs for way in ways}) == 1
    assert len({uc.audit(model, way, measure=False).macs for way in ways}) == 1
    assert {uc.network.windows_of(model, "2", way).size for way in ways} == {
        uc.network.windows_of(uc.trace(model, 40), "2").size
    }
    images = torch.rand(2, 3, 40, 40)
    assert uc.audit(model, images=images, measure=False).graph.input_sizes == ((3, 40, 40),)


def test_what_begins_with_a_linear_layer_takes_its_features() -> None:
    generator = nn.Sequential(nn.Linear(64, 2048), nn.Unflatten(1, (128, 4, 4)), nn.ConvTranspose2d(128, 3, 4, 2, 1))
    ways = (None, 64, "64", (64,), torch.zeros(5, 64), ["64"])
    assert {as_input_sizes(way, generator) for way in ways} == {((64,),)}
    assert uc.audit(generator).layers[-1].output_shape == (3, 8, 8)
    with pytest.raises(ModelError, match=r"or \(12,\) for the linear layer that it begins with"):
        as_input_sizes(13, MLP)
    # A network of pictures may have a linear layer for something else.
    timed = nn.ModuleDict({"time": nn.Linear(16, 8), "enter": nn.Conv2d(1, 8, 3)})
    assert as_input_sizes(16, timed) == ((1, 16, 16),)
    assert as_input_sizes((28, 28), timed) == ((28, 28),)
    # A signal that becomes a picture inside, as a spectrogram does.
    assert as_input_sizes((2, 16000), nn.Conv2d(2, 8, 3)) == ((2, 16000),)
    # Of several inputs two numbers are what they say.
    assert as_input_sizes([(1, 28, 28), (77, 512)], timed) == ((1, 28, 28), (77, 512))


def test_a_size_that_does_not_meet_points_to_the_audit() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.MaxPool2d(2), nn.ConvTranspose2d(1, 1, 2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, self.up(self.down(x))], 1)

    with pytest.raises(ModelError, match=r"audit with this size says which layers do not meet"):
        uc.trace(Skip(), (1, 65, 65))
    with pytest.raises(ModelError) as other:
        uc.trace(Skip(), (3, 64, 64))
    assert "audit" not in str(other.value)
