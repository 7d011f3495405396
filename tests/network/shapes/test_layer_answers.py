"""Layers with conditions of their own: the answer names them, and makes the model run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc
from unconv.network.shapes.explain_shapes import ShapeError


class Net(nn.Module):
    """Layers by name, and a forward that is given."""

    def __init__(self, forward: Callable[..., object], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.way = forward

    def forward(self, *inputs: Tensor) -> object:
        return self.way(self, *inputs)


def unpooled(mid: nn.Module, way: Callable[[Any, Tensor, Tensor, Tensor], object] | None = None) -> nn.Module:
    def forward(net: Any, x: Tensor) -> object:
        skip = net.enter(x)
        small, places = net.pool(skip)
        return way(net, net.mid(small), places, skip) if way else net.unpool(net.mid(small), places)

    pool = nn.MaxPool2d(2, return_indices=True)
    return Net(forward, enter=nn.Conv2d(3, 8, 3, padding=1), pool=pool, mid=mid, unpool=nn.MaxUnpool2d(2))


def decoder(features: int, *between: nn.Module, view: Callable[[Tensor], Tensor]) -> nn.Module:
    body = nn.Sequential(nn.Linear(10, features), *between)
    return Net(lambda net, x: net.up(view(net.body(x))), body=body, up=nn.ConvTranspose2d(8, 3, 2, 2))


def joined(padding: int = 0, sized: bool = False) -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        e = net.enter(x)
        up = net.up(net.pool(e), output_size=e.shape[2:]) if sized else net.up(net.pool(e))
        return torch.cat([e, F.relu(net.conv(up))], 1)

    layers = {"pool": nn.MaxPool2d(2), "up": nn.ConvTranspose2d(8, 8, 2, 2), "conv": nn.Conv2d(8, 8, 3, 1, padding)}
    return Net(forward, enter=nn.Conv2d(3, 8, 3, padding=1), **layers)


def stem(*layers: nn.Module, channels: int = 8, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, channels, kernel), *layers)


def expanded(way: Callable[[Tensor], Tensor]) -> nn.Module:
    return Net(lambda net, x: way(net.conv(x)), conv=nn.Conv2d(3, 8, 3))


def sized(net: Any, x: Tensor, places: Tensor, skip: Tensor) -> Tensor:
    return net.unpool(x, places, output_size=skip.shape[2:]) + skip  # type: ignore[no-any-return]


def recurrent(size: int, steps: Callable[[Tensor], Tensor] = torch.detach) -> nn.Module:
    return Net(lambda net, x: net.rnn(steps(net.conv(x))), conv=nn.Conv2d(3, 8, 3), rnn=nn.LSTM(size, 5))


def started(width: Callable[[Tensor], int], **more: bool) -> nn.Module:
    return Net(lambda net, x: net.rnn(x, torch.zeros(1, width(x), 5)), rnn=nn.GRU(10, 5, **more))


PICTURES, VECTORS, STEPS = torch.zeros(2, 3, 8, 8), torch.zeros(2, 10), torch.zeros(2, 7, 10)
EVEN, ODD = torch.zeros(2, 3, 44, 44), torch.zeros(2, 3, 45, 44)

# Name: the model, its input, what the answer says, what its fix says, and the model mended by that.
CASES: dict[str, tuple[nn.Module, Tensor, str, str, nn.Module]] = {
    "unpooling of a smaller map": (
        *(unpooled(nn.Conv2d(8, 8, 3)), EVEN, "the numbers of mid, 2×8×20×20, by indices of a pooling, 2×8×22×22"),
        *("padding=1 in layer mid", unpooled(nn.Conv2d(8, 8, 3, padding=1))),
    ),
    "unpooling of fewer channels": (
        *(unpooled(nn.Conv2d(8, 4, 1)), EVEN, "the numbers of mid, 2×4×22×22"),
        *("8 channels out of layer mid", unpooled(nn.Conv2d(8, 8, 1))),
    ),
    "unpooling to a size out of reach": (
        unpooled(nn.Identity(), lambda net, x, places, _: net.unpool(x, places, output_size=(60, 60))),
        *(EVEN, "from 22×22 to 43×43 up to 45×45, not to 60×60", "an output_size from 43×43 up to 45×45"),
        unpooled(nn.Identity(), lambda net, x, places, _: net.unpool(x, places, output_size=(45, 43))),
    ),
    "unpooling, and a skip connection": (
        unpooled(nn.Identity(), lambda net, x, places, skip: net.unpool(x, places) + skip),
        *(ODD, "unpool comes to 44×44 and enter to 45×44"),
        *("self.unpool(x, indices, output_size=skip.shape[2:])", unpooled(nn.Identity(), sized)),
    ),
    "a pixel shuffle": (
        *(stem(nn.PixelShuffle(2), channels=6), PICTURES, "of every 4 channels, and 0 has 6"),
        *("8 channels out of layer 0", stem(nn.PixelShuffle(2))),
    ),
    "a pixel unshuffle": (
        *(stem(nn.PixelUnshuffle(2), kernel=2), PICTURES, "0 comes to 7×7", "F.pad(x, (0, 1, 0, 1))"),
        stem(nn.ZeroPad2d((0, 1, 0, 1)), nn.PixelUnshuffle(2), kernel=2),
    ),
    "a channel shuffle": (
        *(stem(nn.ChannelShuffle(4), channels=6), PICTURES, "in 4 groups, and 0 has 6"),
        *("8 channels out of layer 0", stem(nn.ChannelShuffle(4))),
    ),
    "nn.Unflatten": (
        nn.Sequential(nn.Linear(10, 100), nn.ReLU(), nn.Unflatten(1, (8, 4, 4))),
        *(VECTORS, "the 100 numbers of 1 apart into 8×4×4, which are 128", "nn.Linear(10, 128) in layer 0"),
        nn.Sequential(nn.Linear(10, 128), nn.ReLU(), nn.Unflatten(1, (8, 4, 4))),
    ),
    "a view behind a linear layer": (
        decoder(100, view=lambda x: x.view(-1, 8, 4, 4)),
        *(VECTORS, "100 numbers do not fill 8×4×4", "nn.Linear(10, 128) in layer body.0"),
        decoder(128, view=lambda x: x.view(-1, 8, 4, 4)),
    ),
    "a view behind a norm": (
        decoder(100, nn.BatchNorm1d(100), nn.ReLU(), view=lambda x: x.reshape(len(x), 8, 4, 4)),
        *(VECTORS, "do not fill 8×4×4", "nn.Linear(10, 128) in layer body.0, and 128 in body.1 behind it"),
        decoder(128, nn.BatchNorm1d(128), nn.ReLU(), view=lambda x: x.reshape(len(x), 8, 4, 4)),
    ),
    "the batch of another call": (
        decoder(128, view=lambda x: x.view(16, 8, 4, 4)),
        *(VECTORS, "the batch is 2", "x.reshape(len(x), 8, 4, 4)"),
        decoder(128, view=lambda x: x.reshape(len(x), 8, 4, 4)),
    ),
    "a reflection larger than the map": (
        *(stem(nn.ReflectionPad2d(8)), PICTURES, "pads 6×6 from 0 by 8 + 8 in mode reflect"),
        *("nn.ReplicationPad2d", stem(nn.ReplicationPad2d(8))),
    ),
    "a reflection inside a convolution": (
        nn.Sequential(nn.MaxPool2d(4), nn.Conv2d(3, 8, 7, padding=3, padding_mode="reflect")),
        *(PICTURES, "takes at most 1×1", 'mode="replicate"'),
        nn.Sequential(nn.MaxPool2d(4), nn.Conv2d(3, 8, 7, padding=3, padding_mode="replicate")),
    ),
    "a circle": (
        *(stem(nn.CircularPad2d(8)), PICTURES, "in mode circular, which takes at most 6×6"),
        *("a padding of at most 6×6", stem(nn.CircularPad2d(6))),
    ),
    "a crop of everything": (
        *(stem(nn.ZeroPad2d(-4)), PICTURES, "nothing is left", "a smaller crop", stem(nn.ZeroPad2d(-2))),
    ),
    "an expansion of places": (
        *(expanded(lambda x: x.expand(-1, -1, 12, 12)), PICTURES, "only axes of 1 can be expanded"),
        *("F.interpolate(x, size=(12, 12))", expanded(lambda x: F.interpolate(x, size=(12, 12)))),
    ),
    "an expansion of channels": (
        *(expanded(lambda x: x.expand(-1, 16, -1, -1)), PICTURES, "2×8×6×6, to 2×16×6×6"),
        *("x.repeat(1, 2, 1, 1)", expanded(lambda x: x.repeat(1, 2, 1, 1))),
    ),
    "an expansion of a vector": (
        *(expanded(lambda x: x.mean((2, 3)).expand_as(x)), PICTURES, "to 2×8×6×6", "x[..., None, None]"),
        expanded(lambda x: x.mean((2, 3))[..., None, None].expand_as(x)),
    ),
    "a fold of more blocks": (
        stem(nn.Flatten(2), nn.Fold((8, 8), 2, stride=2)),
        *(PICTURES, "4×4 = 16 places, and 0 has 36", "output_size=(12, 12)"),
        stem(nn.Flatten(2), nn.Fold((12, 12), 2, stride=2)),
    ),
    "a fold of uneven blocks": (
        stem(nn.Flatten(2), nn.Fold((12, 12), 2, stride=2), channels=10),
        *(PICTURES, "4 numbers a channel, and 0 has 10", "12 channels out of layer 0"),
        stem(nn.Flatten(2), nn.Fold((12, 12), 2, stride=2), channels=12),
    ),
    "the features of a recurrent layer": (
        *(nn.Sequential(nn.Linear(10, 20), nn.LSTM(30, 5)), STEPS, "1 takes 30 features and gets 20"),
        *("nn.LSTM(20, 5", nn.Sequential(nn.Linear(10, 20), nn.LSTM(20, 5))),
    ),
    "the features of a recurrent cell": (
        *(nn.Sequential(nn.Linear(10, 20), nn.GRUCell(30, 5)), VECTORS, "takes 30 features and gets 20"),
        *("nn.GRUCell(20, 5", nn.Sequential(nn.Linear(10, 20), nn.GRUCell(20, 5))),
    ),
    "maps in a recurrent layer": (
        *(recurrent(10), PICTURES, "rnn takes steps with features", "x.flatten(2).permute(2, 0, 1)"),
        recurrent(8, lambda x: x.flatten(2).permute(2, 0, 1)),
    ),
    "first states of another batch": (
        *(started(lambda _: 3, batch_first=True), STEPS, "first states of 1×2×5", "torch.zeros(1, 2, 5)"),
        started(lambda _: 2, batch_first=True),
    ),
    "steps that come behind the batch": (
        *(started(len), STEPS, "batch and steps are swapped", "batch_first=True in rnn"),
        started(len, batch_first=True),
    ),
    "attention": (
        nn.Sequential(nn.Linear(10, 6), nn.TransformerEncoderLayer(8, 2, 16)),
        *(STEPS, "takes 8 features in its query and gets 6", "nn.Linear(6, 8) before it"),
        nn.Sequential(nn.Linear(10, 6), nn.Linear(6, 8), nn.TransformerEncoderLayer(8, 2, 16)),
    ),
    "slopes of other channels": (
        *(stem(nn.PReLU(5)), PICTURES, "slopes for 5 channels and gets 8 from 0", "nn.PReLU(8)", stem(nn.PReLU(8))),
    ),
    "batch norm of one image": (
        stem(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8)),
        *(
            PICTURES[:1],
            "one number for each channel from 1, 1×8×1×1 (batch first)",
            "nn.GroupNorm(1, 8)",
        ),
        stem(nn.AdaptiveAvgPool2d(1), nn.GroupNorm(1, 8)),
    ),
    "batch norm of one image, in evaluation": (
        *(nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8)), VECTORS[:1], "one number has no variance"),
        *("model.eval()", nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8)).eval()),
    ),
    "instance norm of one cell": (
        stem(nn.AdaptiveAvgPool2d(1), nn.InstanceNorm2d(8)),
        *(PICTURES, "one number for each channel of each image from 1", "nn.GroupNorm(1, 8)"),
        stem(nn.AdaptiveAvgPool2d(1), nn.GroupNorm(1, 8)),
    ),
    "an image without a batch": (
        *(stem(nn.BatchNorm2d(8)), PICTURES[0], "one image without a batch", "x[None]"),
        Net(lambda net, x: net.body(x[None]), body=stem(nn.BatchNorm2d(8))),
    ),
    "units behind the layer to change": (
        *(joined(padding=1), ODD, "relu comes to 44×44 and enter to 45×44"),
        *("self.up(x, output_size=skip.shape[2:]), here output_padding=(1, 0)", joined(padding=1, sized=True)),
    ),
    "a convolution that takes the border off": (
        *(joined(), EVEN, "enter comes to 44×44 and relu to 42×42", "padding=1 in layer conv", joined(padding=1)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_make_the_model_run(name: str) -> None:
    model, x, says, fix, mended = CASES[name]
    with pytest.raises((RuntimeError, ValueError, AssertionError)) as plain:
        model(x)
    with pytest.raises(ShapeError) as told, uc.explain_shapes():
        model(x)
    assert says in str(told.value)
    assert fix in told.value.fix
    assert "pad the input" not in told.value.fix
    assert str(told.value.__cause__) == str(plain.value)
    mended(x)
    for (size,) in told.value.input_sizes:
        model(torch.zeros(len(x), *size))


def test_two_inputs_are_told_apart() -> None:
    model = Net(lambda _, x, y: torch.cat([x, y], 1))
    says = "the first input comes to 8×8 and the second input to 9×8"
    with pytest.raises(ShapeError, match=says) as told, uc.explain_shapes():
        model(PICTURES, torch.zeros(2, 3, 9, 8))
    for one, other in told.value.input_sizes:
        model(torch.zeros(2, *one), torch.zeros(2, *other))


def test_sizes_that_work_by_repetition_alone_are_not_offered() -> None:
    # At 4×4 the slice has one row, which is repeated to two.
    model = Net(lambda net, x: net.conv(x).add_(net.conv(x)[:, :, 1:]), conv=nn.Conv2d(3, 8, 3))
    model(torch.zeros(2, 3, 4, 4))
    with pytest.raises(ShapeError, match="slice to 5×6") as told, uc.explain_shapes():
        model(PICTURES)
    assert told.value.input_sizes == ()
