"""Elementwise functions of one value that a model composes are told beside the layers that rectify."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc


def written_over(y: Tensor) -> Tensor:
    y = y.clone()
    y[y < 0] = 0
    return y


# What ends the function, and what rectifies by itself.
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], list[str], list[str]]] = {
    "swish": (lambda y: y * torch.sigmoid(y), ["mul"], []),
    "hardswish": (lambda y: y * F.relu6(y + 3) / 6, ["mul"], ["hardtanh"]),
    "mish": (lambda y: y * torch.tanh(F.softplus(y)), ["mul"], ["softplus"]),
    "mask": (lambda y: y * (y > 0), ["mul"], []),
    "where": (lambda y: torch.where(y > 0, y, 0.1 * y), ["where"], []),
    "masked fill": (lambda y: y.masked_fill(y < 0, 0), ["masked_fill"], []),
    "written over": (written_over, ["index_put"], []),
    "largest": (lambda y: torch.maximum(y, 0.1 * y), ["maximum"], []),
    "larger than nothing": (lambda y: torch.maximum(y, torch.zeros_like(y)), ["maximum"], []),
    "gelu": (lambda y: 0.5 * y * (1 + torch.erf(y / 2**0.5)), ["mul#1"], []),
    "mean with absolute": (lambda y: (y + y.abs()) / 2, ["add"], []),
    "twice": (lambda y: F.conv2d(y * y.sigmoid(), torch.ones(4, 4, 1, 1)) * y.sigmoid(), ["mul"], []),
    "relu": (F.relu, [], ["relu"]),
    "sigmoid": (torch.sigmoid, [], []),
    "square": (lambda y: y * y, [], []),
    "affine": (lambda y: 2 * y + 1, [], []),
    "gate of all places": (lambda y: y * torch.sigmoid(y.mean((2, 3), keepdim=True)), [], []),
    "residual": (lambda y: y + F.avg_pool2d(y, 3, 1, 1), [], []),
}


class Between(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.function(self.first(x)))
        return y


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_several_operations_are_told(name: str) -> None:
    function, composed, rectifiers = FUNCTIONS[name]
    graph = uc.trace(Between(function), (3, 6, 6))
    assert [layer.name for layer in graph.composed] == composed
    assert [layer.name for layer in graph.rectifiers] == rectifiers
    told = graph.to_dict()
    assert (told["composed"], told["rectifiers"]) == (composed, rectifiers)


def test_what_a_network_does_to_its_input_itself_counts() -> None:
    class Alone(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.sigmoid(x)

    assert [layer.name for layer in uc.trace(Alone(), (3, 6, 6)).composed] == ["mul"]
