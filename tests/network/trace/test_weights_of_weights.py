"""Weights that a forward pass makes of other weights: their MACs and parameters count, however the layer gets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import unconv as uc


class Merged(nn.Module):
    """A convolution whose weight is two others' put one behind the other, as in re-parametrised networks."""

    def __init__(self, apply: Callable[[Any, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 6, 1, bias=False), nn.Conv2d(6, 4, 3, bias=False)
        self.merged = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.apply_merged = apply

    def forward(self, x: Tensor) -> Tensor:
        weight = F.conv2d(self.first.weight.permute(1, 0, 2, 3), self.second.weight.flip(2, 3), padding=2)
        return self.apply_merged(self, x, weight.flip(2, 3).permute(1, 0, 2, 3))


def assigned(model: Any, x: Tensor, weight: Tensor) -> Tensor:
    model.merged.weight.data = weight.detach().contiguous()
    return model.merged(x)  # type: ignore[no-any-return]


def copied(model: Any, x: Tensor, weight: Tensor) -> Tensor:
    with torch.no_grad():
        model.merged.weight.copy_(weight)
    return model.merged(x)  # type: ignore[no-any-return]


def copied_to_data(model: Any, x: Tensor, weight: Tensor) -> Tensor:
    model.merged.weight.data[:] = weight.detach()
    return model.merged(x)  # type: ignore[no-any-return]


def functional(_: Any, x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=1)


def transposed(model: Any, x: Tensor, weight: Tensor) -> Tensor:
    kernel = F.conv_transpose2d(model.second.weight, model.first.weight)
    return F.conv2d(x, kernel + weight, padding=1)


@pytest.mark.parametrize("apply", [assigned, copied, copied_to_data, functional, transposed])
def test_macs_are_those_of_torch_and_nothing_counts_as_unused(apply: Callable[[Any, Tensor, Tensor], Tensor]) -> None:
    model = Merged(apply).eval()
    before = [one.clone() for one in model.parameters()]
    graph = uc.trace(model, (2, 9, 7))
    assert all(map(torch.equal, before, model.parameters()))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 2, 9, 7))
    assert graph.macs == counter.get_total_flops() // 2
    assert graph.unused in ((), ("merged.weight",))


def test_a_weight_of_another_size_is_told() -> None:
    def apply(model: Any, x: Tensor, weight: Tensor) -> Tensor:
        return assigned(model, x, weight[:, :, :1, :1])

    with pytest.raises(uc.errors.ModelError, match="a weight of 4×2×3×3 is given data of 4×2×1×1"):
        uc.trace(Merged(apply), (2, 9, 7))
