"""A kept trace is used while a network is built as it was, and not a moment longer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.visualize.reference import network
from unconv.network.kept_traces import keep_trace, structure_of
from unconv.network.trace.trace import trace


class Switching(nn.Module):
    """Holds what modules hold besides layers: numbers, lists, dictionaries, functions, methods."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.steps = [1, 2]
        self.options = {"pad": {"size": 1}}
        self.act = torch.relu
        self.scale = self.double

    def double(self, x: Tensor) -> Tensor:
        return 2 * x

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.act(self.conv(x)))


CHANGES: list[Callable[[Switching], Any]] = [
    lambda model: setattr(model.conv, "stride", (2, 2)),
    lambda model: setattr(model, "conv", nn.Conv2d(3, 4, 5)),
    lambda model: model.steps.append(3),
    lambda model: model.options["pad"].update(size=2),
    lambda model: setattr(model, "act", torch.sigmoid),
    lambda model: setattr(model, "act", nn.ReLU6()),
    lambda model: model.add_module("more", nn.ReLU()),
    lambda model: setattr(model, "forward", model.double),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_may_change_a_graph_makes_another_trace(change: Callable[[Switching], Any]) -> None:
    model = Switching()
    before = keep_trace(model, (3, 16, 16))
    assert keep_trace(model, (3, 16, 16)) is before
    change(model)
    after = keep_trace(model, (3, 16, 16))
    assert after is not before
    assert after.graph is not None
    assert after.graph.to_dict() == trace(model, (3, 16, 16)).to_dict()


def test_weights_and_modes_do_not_count() -> None:
    model = Switching()
    before = keep_trace(model, (3, 16, 16))
    with torch.no_grad():
        model.conv.weight.mul_(2)
    model.eval().requires_grad_(False)
    model.load_state_dict(Switching().state_dict())
    assert keep_trace(model, (3, 16, 16)) is before


def test_a_class_that_gets_another_forward_is_traced_anew() -> None:
    class Patched(Switching):
        pass

    model = Patched()
    before = keep_trace(model, (3, 16, 16))
    Patched.forward = lambda self, x: self.conv(x)  # type: ignore[method-assign]
    assert keep_trace(model, (3, 16, 16)) is not before


class Opaque:
    pass


@pytest.mark.parametrize("held", [Opaque(), torch.relu, None])
def test_what_cannot_be_compared_is_not_kept(held: Any) -> None:
    model = Switching()
    seen: list[int] = []
    if held is None:
        # A hook whose list nobody sees into.
        model.conv.register_forward_hook(lambda *_: seen.append(1))
    else:
        model.held = held
    comparable = callable(held)
    assert (structure_of(model) is not None) == comparable
    assert (keep_trace(model, (3, 16, 16)) is keep_trace(model, (3, 16, 16))) == comparable


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "googlenet", "mnasnet1_0"])
def test_networks_of_torchvision_can_be_compared(name: str) -> None:
    model = network(name)
    assert structure_of(model) is not None
    assert structure_of(model) == structure_of(model)


def test_refusals_are_kept_too_and_sizes_are_apart() -> None:
    model = Switching()
    refused = keep_trace(model, (5, 16, 16))
    assert refused.graph is None
    assert "channels" in refused.refusal
    assert keep_trace(model, (5, 16, 16)) is refused
    assert keep_trace(model, (3, 24, 16)).graph is not None


def test_a_network_that_is_gone_leaves_nothing() -> None:
    model = Switching()
    keep_trace(model, (3, 16, 16))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_a_trace_that_a_buffer_decides_on_is_made_again() -> None:
    class Pruned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.tensor([True, True, False]))

        def forward(self, x: Tensor) -> Tensor:
            return x[:, self.mask].relu()

    model = Pruned()
    shapes = []
    for keeps in (True, False):
        model.mask[1] = keeps
        graph = keep_trace(model, (3, 8, 8)).graph
        assert graph is not None
        shapes.append(graph.layers[-1].output_shape)
    assert shapes == [(2, 8, 8), (1, 8, 8)]


def test_of_a_network_that_cannot_be_traced_the_part_up_to_a_layer_is() -> None:
    class Decides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.body(x)
            return y if y.sum() > 0 else y[y > 0]

    model = Decides()
    assert keep_trace(model, (3, 8, 8)).graph is None
    kept = keep_trace(model, (3, 8, 8), "body")
    assert kept.graph is not None
    assert kept.graph["body"].receptive_field.size == (3, 3)
    assert keep_trace(model, (3, 8, 8), "body") is kept
