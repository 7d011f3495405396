"""Layers that get other axes than they take, as people post them: the answer, applied, makes the model run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unconv as uc
from unconv.network.near_sizes import sizes_near
from unconv.network.shapes.explain_shapes import ShapeError


class Net(nn.Module):
    """Layers by name, and a forward that is given."""

    def __init__(self, forward: Callable[[Any, Tensor], object], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.way = forward

    def forward(self, x: Tensor) -> object:
        return self.way(self, x)


def before(change: Callable[[Tensor], Tensor], layer: nn.Module) -> nn.Module:
    return Net(lambda net, x: net.layer(change(x)), layer=layer)


def behind(maker: nn.Module, layer: nn.Module, change: Callable[[Tensor], Tensor] = torch.clone) -> nn.Module:
    return Net(lambda net, x: net.layer(change(net.maker(x))), maker=maker, layer=layer)


def called(**given: Callable[[Tensor], Any]) -> Callable[[nn.Module], nn.Module]:
    return lambda layer: Net(lambda net, x: net.rnn(**{name: of(x) for name, of in given.items()}), rnn=layer)


def states(*shape: int) -> Callable[[Tensor], Tensor]:
    return lambda _: torch.zeros(shape)


def pair(*shapes: tuple[int, ...]) -> Callable[[Tensor], tuple[Tensor, ...]]:
    return lambda _: tuple(torch.zeros(shape) for shape in shapes)


CONV1, CONV2, CONV3 = nn.Conv1d(12, 8, 3), nn.Conv2d(3, 8, 3), nn.Conv3d(3, 8, 3)
GREY, GRU, LSTM = nn.Conv2d(1, 8, 3), nn.GRU(10, 5, batch_first=True), nn.LSTM(10, 5, 2, batch_first=True)
STEPS, PICTURES, VECTORS = torch.zeros(2, 7, 10), torch.zeros(2, 3, 8, 8), torch.zeros(2, 10)

# Name: the model, its input, what the answer says, what its fix says, and the model mended by that.
CASES: dict[str, tuple[nn.Module, Tensor, str, str, nn.Module]] = {
    "steps before features, in a convolution": (
        *(before(torch.clone, CONV1), torch.zeros(4, 20, 12), "takes 12 channels and gets 20", "x.permute(0, 2, 1)"),
        before(lambda x: x.permute(0, 2, 1), CONV1),
    ),
    "rows of a signal without a channel": (
        before(torch.clone, nn.Conv1d(1, 8, 3)),
        *(torch.zeros(4, 20), "takes 1 channel and gets 4", "x[:, None] where 4 is the batch"),
        before(lambda x: x[:, None], nn.Conv1d(1, 8, 3)),
    ),
    "digits without a channel": (
        *(before(torch.clone, GREY), torch.zeros(16, 28, 28), "(16×28×28, read as one without a batch)", "x[:, None]"),
        before(lambda x: x[:, None], GREY),
    ),
    "one digit": (
        *(before(torch.clone, GREY), torch.zeros(28, 28), "takes 4 axes (batch, channel, rows, columns)"),
        *("x[None, None]", before(lambda x: x[None, None], GREY)),
    ),
    "rows of digits": (
        *(before(torch.clone, GREY), torch.zeros(16, 784), "gets 16×784", "x.reshape(len(x), 1, 28, 28)"),
        before(lambda x: x.reshape(len(x), 1, 28, 28), GREY),
    ),
    "one picture with channels last": (
        *(before(torch.clone, CONV2), torch.zeros(32, 30, 3), "takes 3 channels and gets 32", "x.permute(2, 0, 1)"),
        before(lambda x: x.permute(2, 0, 1), CONV2),
    ),
    "a picture with transparency": (
        *(before(torch.clone, CONV2), torch.zeros(2, 4, 8, 8), "takes 3 channels and gets 4", "x[:, :3]"),
        before(lambda x: x[:, :3], CONV2),
    ),
    "frames before channels": (
        *(before(torch.clone, CONV3), torch.zeros(2, 5, 3, 8, 8), "takes 3 channels and gets 5"),
        *("x.permute(0, 2, 1, 3, 4): its channels stand on axis 2", before(lambda x: x.permute(0, 2, 1, 3, 4), CONV3)),
    ),
    "frames in a convolution of pictures": (
        *(before(torch.clone, CONV2), torch.zeros(2, 5, 3, 8, 8), "gets 2×5×3×8×8", "x.flatten(0, 1)"),
        before(lambda x: x.flatten(0, 1), CONV2),
    ),
    "frames behind channels in a convolution of pictures": (
        *(before(torch.clone, CONV2), torch.zeros(2, 3, 5, 8, 8), "gets 2×3×5×8×8"),
        *("x.permute(0, 2, 1, 3, 4).flatten(0, 1)", before(lambda x: x.permute(0, 2, 1, 3, 4).flatten(0, 1), CONV2)),
    ),
    "noise in a transposed convolution": (
        before(torch.clone, nn.ConvTranspose2d(10, 8, 4)),
        *(
            VECTORS,
            "gets 2×10",
            "x[..., None, None]",
            before(lambda x: x[..., None, None], nn.ConvTranspose2d(10, 8, 4)),
        ),
    ),
    "features in a transposed convolution": (
        behind(nn.Linear(10, 128), nn.ConvTranspose2d(8, 3, 2)),
        *(VECTORS, "gets 2×128 from maker", "x.reshape(len(x), 8, 4, 4)"),
        behind(nn.Linear(10, 128), nn.ConvTranspose2d(8, 3, 2), lambda x: x.reshape(len(x), 8, 4, 4)),
    ),
    "groups of other channels": (
        behind(nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(8, 4, 2, groups=4)),
        *(PICTURES, "takes 8 channels and gets 6 from maker", "nn.ConvTranspose2d(6, 4, kernel_size=2, groups=2"),
        behind(nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(6, 4, 2, groups=2)),
    ),
    "channels of the layer before": (
        behind(nn.Conv2d(3, 6, 3), nn.Conv2d(8, 4, 2, groups=4)),
        *(PICTURES, "(2×6×6×6, batch first)", "8 channels out of layer maker"),
        behind(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 2, groups=4)),
    ),
    "a pooling behind a flatten": (
        nn.Sequential(CONV2, nn.Flatten(), nn.MaxPool2d(2)),
        *(PICTURES, "2 pools over 2 axes of places and gets 2×288 from 1", "the pooling before 1"),
        nn.Sequential(CONV2, nn.MaxPool2d(2), nn.Flatten()),
    ),
    "a norm over features of steps": (
        behind(nn.Linear(10, 16), nn.BatchNorm1d(16)),
        *(STEPS, "takes 16 channels and gets 7", "x.transpose(1, 2) before it"),
        behind(nn.Linear(10, 16), nn.BatchNorm1d(16), lambda x: x.transpose(1, 2)),
    ),
    "a layer norm over channels": (
        *(behind(CONV2, nn.LayerNorm(8)), PICTURES, "takes 8 as last axes and gets 2×8×6×6", "nn.GroupNorm(1, 8)"),
        behind(CONV2, nn.GroupNorm(1, 8)),
    ),
    "a layer norm over channels, turned": (
        *(behind(CONV2, nn.LayerNorm(8)), PICTURES, "takes 8 as last axes", "x.permute(0, 2, 3, 1) before it"),
        behind(CONV2, nn.LayerNorm(8), lambda x: x.permute(0, 2, 3, 1)),
    ),
    "a picture that is not flattened": (
        before(torch.clone, nn.Linear(192, 4)),
        *(PICTURES, "nothing flattens 3×8×8", "x.flatten(1)", before(lambda x: x.flatten(1), nn.Linear(192, 4))),
    ),
    "one picture without a batch": (
        nn.Sequential(CONV2, nn.Flatten(), nn.Linear(288, 4)),
        *(PICTURES[0], "8×36 are 288 numbers together", "x[None]"),
        before(lambda x: x[None], nn.Sequential(CONV2, nn.Flatten(), nn.Linear(288, 4))),
    ),
    "a batch in one row": (
        nn.Sequential(CONV2, nn.Flatten(0), nn.Linear(288, 4)),
        *(PICTURES, "those of all 2 of the batch in one row", "x.flatten(1)"),
        nn.Sequential(CONV2, nn.Flatten(1), nn.Linear(288, 4)),
    ),
    "a batch of one that is squeezed away": (
        behind(nn.AdaptiveAvgPool2d(1), nn.BatchNorm1d(3).eval(), torch.squeeze),
        *(PICTURES[:1], "gets 3 from maker, without a batch", "x.flatten(1)"),
        behind(nn.AdaptiveAvgPool2d(1), nn.BatchNorm1d(3).eval(), lambda x: x.flatten(1)),
    ),
    "features behind the batch of a linear layer": (
        behind(nn.Conv1d(7, 12, 3), nn.Linear(12, 4)),
        *(STEPS, "takes 12 features and gets 8 from maker (2×12×8, batch first)", "x.transpose(1, 2) before it"),
        behind(nn.Conv1d(7, 12, 3), nn.Linear(12, 4), lambda x: x.transpose(1, 2)),
    ),
    "features behind the batch of a recurrent layer": (
        behind(nn.Conv1d(7, 10, 3), GRU),
        *(STEPS, "takes 10 features and gets 8 from maker", "x.transpose(1, 2) before it"),
        behind(nn.Conv1d(7, 10, 3), GRU, lambda x: x.transpose(1, 2)),
    ),
    "features of a recurrent layer, by name": (
        *(called(input=torch.clone)(nn.GRU(9, 5)), STEPS, "rnn takes 9 features and gets 10", "nn.GRU(10, 5"),
        called(input=torch.clone)(nn.GRU(10, 5)),
    ),
    "first states, by name": (
        *(called(input=torch.clone, hx=states(1, 3, 5))(GRU), STEPS, "first states of 1×2×5"),
        *("torch.zeros(1, 2, 5)", called(input=torch.clone, hx=states(1, 2, 5))(GRU)),
    ),
    "first states in the other order of names": (
        *(called(hx=states(1, 7, 5), input=torch.clone)(nn.GRU(10, 5, batch_first=True)), STEPS, "gets 1×7×5"),
        *("batch_first=False in rnn", called(hx=states(1, 7, 5), input=torch.clone)(nn.GRU(10, 5))),
    ),
    "the second of two states": (
        *(called(input=torch.clone, hx=pair((2, 2, 5), (2, 2, 4)))(LSTM), STEPS, "and gets 2×2×4"),
        *("torch.zeros(2, 2, 5)", called(input=torch.clone, hx=pair((2, 2, 5), (2, 2, 5)))(LSTM)),
    ),
    "states of a projected layer": (
        called(input=torch.clone, hx=pair((1, 2, 5), (1, 2, 3)))(nn.LSTM(10, 5, proj_size=3, batch_first=True)),
        *(STEPS, "first states of 1×2×3", "torch.zeros(1, 2, 3)"),
        called(input=torch.clone, hx=pair((1, 2, 3), (1, 2, 5)))(nn.LSTM(10, 5, proj_size=3, batch_first=True)),
    ),
    "states of a cell, by name": (
        *(called(input=torch.clone, hx=states(3, 5))(nn.GRUCell(10, 5)), VECTORS, "first states of 2×5"),
        *("torch.zeros(2, 5)", called(input=torch.clone, hx=states(2, 5))(nn.GRUCell(10, 5))),
    ),
    "states with a batch for steps without one": (
        *(called(input=torch.clone, hx=states(1, 4, 5))(GRU), STEPS[0], "steps of 7×10, which have no batch"),
        *("torch.zeros(1, 5)", called(input=torch.clone, hx=states(1, 5))(GRU)),
    ),
    "what a recurrent layer returns": (
        nn.Sequential(GRU, nn.Linear(5, 3)),
        *(STEPS, "1 takes a tensor and gets a tuple of 2 (2×7×5, 1×2×5): 0 returns its output", "output, states ="),
        Net(lambda net, x: net.head(net.rnn(x)[0]), rnn=GRU, head=nn.Linear(5, 3)),
    ),
    "a linear layer, by name": (
        *(called(input=torch.clone)(nn.Linear(8, 2)), VECTORS, "rnn takes 8 features and gets 10", "nn.Linear(10, 2)"),
        called(input=torch.clone)(nn.Linear(10, 2)),
    ),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", CASES)
def test_answers_make_the_model_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where no size works, the search for some takes all of its time.
    monkeypatch.setattr("unconv.network.shapes.explain_shapes.sizes_near", partial(sizes_near, seconds=0.5))
    model, x, says, fix, mended = CASES[name]
    for call in (lambda: _in_context(model, x), lambda: uc.explain_shapes(model, x)):
        with pytest.raises(ShapeError) as told:
            call()
        assert says in str(told.value)
        assert fix in told.value.fix
    mended(x)
    uc.explain_shapes(mended, x)


def _in_context(model: nn.Module, x: Tensor) -> None:
    with uc.explain_shapes():
        model(x)
