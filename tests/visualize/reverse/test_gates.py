"""Products of activations bear the names that they have in networks, and their parts are not counted twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.visualize.reverse.autograd_nodes import nodes_behind
from unconv.visualize.reverse.coverage import read_coverage
from unconv.visualize.reverse.gates import name_products
from unconv.visualize.reverse.rule_mode import RuleMode

KERNEL = torch.rand(4, 4, 1, 1)
MATRIX = torch.rand(4, 4)


def pooled(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 1)


def excited(x: Tensor) -> Tensor:
    return F.conv2d(F.relu(F.conv2d(pooled(x), KERNEL), inplace=True), KERNEL)


def by_linear(x: Tensor) -> Tensor:
    factors = F.linear(F.relu(F.linear(x.mean((2, 3)), MATRIX)), MATRIX).sigmoid()
    return x * factors.view(*factors.shape, 1, 1)


def attention(x: Tensor) -> Tensor:
    q, k, v = (F.linear(x.flatten(1, 2), MATRIX) for _ in range(3))
    scores = q @ k.transpose(-1, -2) / 2 + torch.eye(q.shape[1])
    return scores.softmax(-1) @ v


@pytest.mark.parametrize(
    ("function", "passed"),
    [
        (lambda x: x * excited(x).sigmoid(), {"squeeze-excite": 1}),
        (lambda x: F.hardsigmoid(excited(x)) * x, {"squeeze-excite": 1}),
        (lambda x: x * F.relu6(excited(x) + 3) / 6, {"squeeze-excite": 1}),
        (by_linear, {"squeeze-excite": 1}),
        (lambda x: x * F.conv2d(x, KERNEL).sigmoid(), {"gate (product of activations)": 1}),
        # A rectifier, SiLU.
        (lambda x: x * x.sigmoid(), {}),
        (lambda x: excited(x) * pooled(x).sigmoid(), {"gate (product of activations)": 1}),
        (lambda x: x * F.conv2d(x, KERNEL), {"product of activations": 1}),
        (lambda x: x.sigmoid() + x, {"sigmoid": 1}),
        (attention, {"attention": 1}),
        (lambda x: x @ x, {"product of activations": 1}),
        (lambda x: x.softmax(1) + x, {"softmax": 1}),
        (lambda x: F.scaled_dot_product_attention(x, x, x), {"attention": 1}),
    ],
)
def test_product_bears_its_name(function: Callable[[Tensor], Tensor], passed: dict[str, int]) -> None:
    x = torch.rand(2, 4, 4, 4, requires_grad=True)
    with RuleMode("guided"):
        assert read_coverage(function(x), "guided").passed == passed


def test_product_with_a_constant_is_none() -> None:
    x = torch.rand(2, 4, 4, 4, requires_grad=True)
    assert name_products(list(nodes_behind(3 * x @ MATRIX))) == {}
