"""Linear operations are told from those that only move values, and from those that are not linear."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.visualize.reverse.autograd_nodes import is_switch, linear_kind, nodes_behind

KERNEL = torch.rand(4, 4, 2, 2)
MATRIX = torch.rand(3, 6)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: F.conv2d(x, KERNEL), "convolution"),
        (lambda x: F.conv_transpose2d(x, KERNEL), "transposed convolution"),
        (lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4)), "batch norm"),
        (lambda x: F.linear(x, MATRIX), "linear layer"),
        (lambda x: x + 2 * x, "addition"),
        (lambda x: torch.cat([x, x]), "concatenation"),
        (lambda x: F.avg_pool2d(x, 2), "average pooling"),
        (lambda x: x.mean((2, 3)), "average pooling"),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), "upsampling"),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "padding"),
        (lambda x: F.pixel_shuffle(x, 2), "shuffle"),
        (lambda x: x / 3, "scaling"),
        (lambda x: x + 3, ""),
        (lambda x: x.flip(2).transpose(0, 1), ""),
        (lambda x: F.batch_norm(x, None, None, training=True), None),
        (lambda x: x.exp(), None),
    ],
)
def test_last_operation_is_of_its_kind(function: Callable[[Tensor], Tensor], kind: str | None) -> None:
    x = torch.rand(2, 4, 6, 6, requires_grad=True)
    y = function(x)
    kinds = [linear_kind(node) for node in nodes_behind(y)]
    assert kind in kinds
    assert {found for found in kinds if found} <= {kind, "scaling", "linear layer"}
    # What is called linear is: it sends sums to sums, up to a constant.
    ones, other = torch.rand_like(x), torch.rand_like(x)
    straight = function(ones) + function(other) - function(ones + other)
    constant = function(torch.zeros_like(x))
    assert torch.allclose(straight, constant, atol=1e-4) == (kind is not None)


def test_maxima_go_back_through_switches() -> None:
    x = torch.rand(2, 4, 6, 6, requires_grad=True)
    for y in (F.max_pool2d(x, 2), F.adaptive_max_pool2d(x, 2), x.amax((2, 3)), x.max(1).values):
        assert sum(map(is_switch, nodes_behind(y))) == 1
