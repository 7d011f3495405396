"""What a layer returns in a tuple, a dict or a dataclass is looked into as if it stood alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import unconv as uc
from unconv.errors import ModelError
from unconv.network.run.outputs import main_output
from unconv.visualize.experiments.occlusion import occlusion


@dataclass
class State:
    hidden: Tensor
    weights: Any = None


class Pair(NamedTuple):
    maps: Tensor
    aux: Tensor


FORMS: dict[str, tuple[Any, Any]] = {
    "tensor": (lambda y: y, lambda held: held),
    "tuple": (lambda y: (y, None), lambda held: held[0]),
    "list": (lambda y: [y, y + 1], lambda held: held[0]),
    "dict": (lambda y: {"features": y, "step": 3}, lambda held: held["features"]),
    "out": (lambda y: {"aux": y + 1, "out": y}, lambda held: held["out"]),
    "dataclass": (State, lambda held: held.hidden),
    "named tuple": (lambda y: Pair(y, y + 1), lambda held: held.maps),
}


class Block(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.conv, self.wrap = nn.Conv2d(3, 4, 3), FORMS[form][0]

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.conv(x).relu())


class Network(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.block, self.unwrap, self.head = Block(form), FORMS[form][1], nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.unwrap(self.block(x))).mean((2, 3))


def network(form: str) -> Network:
    torch.manual_seed(0)
    return Network(form).eval()


IMAGES = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "tensor"])
def test_layers_are_looked_into_whatever_holds_their_value(form: str, tmp_path: Path) -> None:
    model, plain = network(form), network("tensor")
    projected, expected = uc.project(model, IMAGES, "block", 1), uc.project(plain, IMAGES, "block", 1)
    assert torch.equal(projected.image, expected.image)
    found = uc.scan(model, IMAGES, ["block"], top=2)
    assert torch.equal(found.values["block"], uc.scan(plain, IMAGES, ["block"], top=2).values["block"])
    assert uc.see(model, IMAGES, ["block"], tmp_path, fidelity=0, top_units=1).layers == ("block",)
    maps = occlusion(model, IMAGES[0], layer="block", square=10, stride=10)
    torch.testing.assert_close(
        maps.activation, occlusion(plain, IMAGES[0], layer="block", square=10, stride=10).activation
    )
    graph = uc.trace(model, 40)
    assert graph.value_of("block").shape == (1, 4, 38, 38)


def test_a_layer_without_a_tensor_is_refused() -> None:
    class Numbers(nn.Module):
        def forward(self, x: Tensor) -> dict[str, int]:
            return {"count": len(x)}

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.numbers, self.conv = Numbers(), nn.Conv2d(3, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) * self.numbers(x)["count"]

    with pytest.raises(ModelError, match="layer 'numbers': returns a dict, not a tensor"):
        uc.project(Counting(), IMAGES, "numbers", 0)


def test_losses_do_not_stand_for_an_output() -> None:
    loss, maps = torch.zeros(()), torch.zeros(1, 3)
    assert main_output((loss, maps)).tensor is maps
    assert main_output({"loss": loss, "maps": maps}).tensor is maps
    assert main_output(loss).tensor is loss
