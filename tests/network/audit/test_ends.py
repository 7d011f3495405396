"""Dead ends: what torch's own modules leave unused, and what a model keeps, are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unconv.network.audit.audit import audit


class Uses(nn.Module):
    """Calls a layer on (batch, steps, channels) and returns a part of what that returns."""

    def __init__(self, layer: nn.Module, use: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.use = layer, use

    def forward(self, x: Tensor) -> Any:
        return self.use(self.layer, x.transpose(1, 2))


def first(layer: nn.Module, x: Tensor) -> Any:
    return layer(x)[0]


def second(layer: nn.Module, x: Tensor) -> Any:
    return layer(x)[1]


def attends(layer: nn.Module, x: Tensor) -> Any:
    return layer(x, x, x)[0]


def dead_ends(model: nn.Module, size: tuple[int, ...]) -> list[str]:
    return [one.layer for one in audit(model, size, measure=False).findings if one.rule == "dead-end"]


@pytest.mark.parametrize(
    ("layer", "use"),
    [
        *((kind(8, 4, 2, batch_first=True), use) for kind in (nn.LSTM, nn.GRU, nn.RNN) for use in (first, second)),
        (nn.LSTM(8, 4, batch_first=True, bidirectional=True), lambda m, x: m(x)[1][1]),
        (nn.LSTMCell(8, 4), lambda m, x: m(x[:, 0])[0]),
        (nn.LSTMCell(8, 4), lambda m, x: m(x[:, 0])[1]),
        (nn.MultiheadAttention(8, 2, batch_first=True), attends),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), lambda m, x: m(x)),
        (nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), lambda m, x: m(x, x)),
        (nn.AdaptiveMaxPool1d(4, return_indices=True), first),
        (nn.Identity(), lambda _, x: x.chunk(2, 1)[1]),
        (nn.Identity(), lambda _, x: x.unbind(1)[3]),
    ],
)
def test_unused_outputs_of_layers_are_no_dead_ends(layer: nn.Module, use: Callable[[nn.Module, Tensor], Any]) -> None:
    assert dead_ends(Uses(layer, use), (8, 6)) == []


@pytest.mark.parametrize("layer", [nn.LSTM(8, 4, batch_first=True), nn.MultiheadAttention(8, 2, batch_first=True)])
def test_a_layer_none_of_whose_outputs_is_used_is_one_dead_end(layer: nn.Module) -> None:
    def use(layer: nn.Module, x: Tensor) -> Tensor:
        layer(*[x] * (3 if isinstance(layer, nn.MultiheadAttention) else 1))
        return x.relu()

    (name,) = dead_ends(Uses(layer, use), (8, 6))
    assert name.startswith("layer")


@dataclass
class Memory:
    features: list[Tensor] = field(default_factory=list)


class Keeps(nn.Module):
    """Keeps the output of its side branch in some way, and returns another."""

    def __init__(self, keep: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.main, self.side, self.keep = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), keep
        self.register_buffer("state", torch.zeros(1, 4, 6, 6))
        self.features: dict[str, list[Tensor]] = {"side": []}
        self.memory = Memory()

    def forward(self, x: Tensor) -> Tensor:
        self.keep(self, self.side(x))
        y: Tensor = self.main(x)
        return y


KEEPS: dict[str, Callable[[Any, Tensor], Any]] = {
    "attribute": lambda m, y: setattr(m, "kept", y.detach()),
    "list in a dictionary": lambda m, y: m.features["side"].append(y),
    "dataclass": lambda m, y: m.memory.features.append(y.relu()),
    "buffer, copied into": lambda m, y: m.state.copy_(y),
    "buffer, moving average": lambda m, y: m.state.mul_(0.9).add_(y, alpha=0.1),
    "buffer, in part": lambda m, y: m.state[:, :2].copy_(y[:, :2]),
    "buffer, replaced": lambda m, y: setattr(m, "state", y),
}


@pytest.mark.parametrize("way", KEEPS)
def test_features_that_a_model_keeps_are_no_dead_ends(way: str) -> None:
    model = Keeps(KEEPS[way])
    assert dead_ends(model, (3, 8, 8)) == []
    assert model.state.sum() == 0
    assert model.features["side"] == model.memory.features == []


def test_features_that_nothing_keeps_are_dead_ends() -> None:
    assert dead_ends(Keeps(lambda *_: None), (3, 8, 8)) == ["side"]
