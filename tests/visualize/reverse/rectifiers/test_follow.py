"""What a pass does to its values is followed: any composition, masks without gradient, parts that are overwritten."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from tests.visualize.reverse.rectifiers.custom import Swish
from unconv.visualize.layers import list_feature_maps, view_network
from unconv.visualize.reverse.coverage import read_coverage
from unconv.visualize.reverse.rule_mode import RuleMode

Function = Callable[[Tensor], Tensor]
KERNEL = torch.rand(4, 4, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
CONSTANT = torch.rand(2, 4, 4, 4, generator=torch.Generator().manual_seed(1)) > 0.5

ONE: dict[str, Function] = {
    "relu": F.relu,
    "relu6_": lambda x: F.relu6(x.clone(), inplace=True),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "abs": torch.abs,
    "minus": lambda x: -x,
    "scaled": lambda x: 0.7 * x + 0.2,
    "square": lambda x: x * x,
    "exp": lambda x: x.clamp(max=2).exp(),
    "softplus": lambda x: torch.log1p(x.clamp(max=9).exp()),
    "doubled in place": lambda x: x.clone().mul_(2),
    "custom": Swish.apply,
}
TWO: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "difference": torch.sub,
    "product": torch.mul,
    "maximum": torch.maximum,
    "choice": lambda x, y: torch.where(x > 0, x, y),
    "mask": lambda x, y: x * (y > 0),
    "mask in place": lambda x, y: x.clone().masked_fill_(y < 0, 0.0),
    "product in place": lambda x, y: x.clone().mul_(y),
}
FUNCTIONS = st.recursive(
    st.just(lambda x: x),
    lambda inner: st.one_of(
        st.builds(lambda name, f: lambda x: ONE[name](f(x)), st.sampled_from(sorted(ONE)), inner),
        st.builds(lambda name, f, g: lambda x: TWO[name](f(x), g(x)), st.sampled_from(sorted(TWO)), inner, inner),
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=60)
@given(function=FUNCTIONS, seed=st.integers(0, 99))
def test_any_composition_keeps_its_values_and_its_gradient(function: Function, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, signal = (torch.randn(2, 3, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    leaf = x.clone().requires_grad_()
    plain = function(leaf.clone()).clone()
    wanted = torch.autograd.grad(plain, leaf, signal)[0]
    backs = {}
    for rule in ("gradient", "guided", "deconvnet"):
        leaf = x.clone().requires_grad_()
        with RuleMode(rule):
            y = function(leaf.clone()).clone()
        assert torch.equal(y, plain)
        backs[rule] = torch.autograd.grad(y, leaf, signal)[0]
        coverage = read_coverage(y, rule)
        assert coverage.reversed == coverage.total
    torch.testing.assert_close(backs["gradient"], wanted)
    if coverage.total == 1 and not coverage.passed and not coverage.linear:
        # One function, reversed as a whole: f'(x) max(g, 0), and a multiple of max(g, 0).
        slope = torch.autograd.grad(function(leaf).sum(), leaf)[0]
        torch.testing.assert_close(backs["guided"], slope * signal.clamp(min=0))
        assert torch.equal(backs["deconvnet"] > 0, signal > 0)
    elif not coverage.total and not coverage.passed:
        torch.testing.assert_close(backs["deconvnet"], wanted)


def by_slices(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, :2] = x[:, 2:]
    y[:, 2:] = 3 * x[:, :2]
    y[..., 0] *= 2
    return y


def by_methods_of_parts(x: Tensor) -> Tensor:
    y = 2 * x
    y[:, 0].copy_(x[:, 1])
    y[:, 1].zero_()
    y[:, 2].fill_(3.0)
    F.dropout(y[:, 3], 0.5, training=False, inplace=True)
    return F.dropout(y.flatten(1), 0.5, training=False, inplace=True)


def relu_of_a_part(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, :2].relu_()
    return y


def composed_of_a_part(x: Tensor) -> Tensor:
    y = x.clone()
    part = y[:, :2]
    part.mul_(part > 0)
    return y


def exponential_of_a_part(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, :2].exp_()
    return y


def by_a_constant_mask(x: Tensor) -> Tensor:
    y = x.clone()
    y[CONSTANT] = 0
    return y


def without_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        mask = (F.conv2d(x, KERNEL) > 0).double()
    return x * mask


def test_layer_before_a_composed_clip_is_known() -> None:
    model, image = Composed(lambda x: F.relu(x).clamp(max=6)), torch.rand(1, 3, 12, 12)
    for maps in (view_network(model, image).feature_maps, list_feature_maps(model, image)):
        assert {one.layer: one.unclipped for one in maps} == {"conv": None, "act": "conv", "last": None}


DETACHED = "product with detached activations"
# What a function does, and what of that is rectified and what is listed.
FOLLOWED: dict[str, tuple[Function, dict[str, int], dict[str, int]]] = {
    "slices": (by_slices, {}, {}),
    "methods of parts": (by_methods_of_parts, {}, {}),
    "rectifier of a part": (relu_of_a_part, {"relu": 1}, {}),
    "composed rectifier of a part": (composed_of_a_part, {"relu": 1}, {}),
    "exponential of a part": (exponential_of_a_part, {}, {"exp": 1}),
    "constant mask": (by_a_constant_mask, {}, {}),
    "constant choice": (lambda x: torch.where(CONSTANT, x, 2 * x), {}, {}),
    "constant masked_fill": (lambda x: x.masked_fill(CONSTANT, 0.0), {}, {}),
    "ones like it": (lambda x: x * torch.ones_like(x) * x.new_full((), 2.0), {}, {}),
    "type of it": (lambda x: x * KERNEL.float().type_as(x)[0], {}, {}),
    "unpooling": (lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), {}, {}),
    "factor without gradient": (lambda x: x * F.conv2d(x, KERNEL).detach(), {}, {DETACHED: 1}),
    "mask of another value": (lambda x: x * (F.conv2d(x, KERNEL) > 0), {}, {DETACHED: 1}),
    "mask without gradient": (without_gradient, {}, {DETACHED: 1}),
    "quotient": (lambda x: x / x.detach().norm(), {}, {DETACHED: 1}),
    "sorted": (lambda x: x.gather(1, x.argsort(1)), {}, {"gather with detached activations": 1}),
    "computed kernels": (
        lambda x: F.conv2d(x, KERNEL * x.detach().mean()),
        {},
        {"convolution with detached activations": 1},
    ),
    "a number read": (
        lambda x: x * (1 / x.norm().item()),
        {},
        {"scaling by a number, perhaps one read from the activations": 1},
    ),
    "straight through": (lambda x: x + (x.round() - x).detach(), {}, {"add with detached activations": 1}),
    "choice by another value": (lambda x: torch.where(F.conv2d(x, KERNEL) > 0, x, 0.0), {}, {"where": 1}),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_only_what_is_constant_counts_as_constant(name: str) -> None:
    function, rectifiers, passed = FOLLOWED[name]
    x = torch.randn(2, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    with RuleMode("guided"):
        y = function(x.clone()).clone()
    coverage = read_coverage(y, "guided")
    assert (coverage.rectifiers, coverage.passed) == (rectifiers, passed)
    torch.autograd.grad(y.sum(), x)


class Composed(nn.Module):
    """Feature maps behind a rectifier."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.conv, self.act, self.last = nn.Conv2d(3, 4, 3), Act(function), nn.Conv2d(4, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.conv(x)))


class Act(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * torch.sigmoid(x),
        lambda x: x * F.relu6(x + 3) / 6,
        lambda x: torch.where(x > 0, x, 0.1 * x),
        lambda x: x.masked_fill(x < 0, 0.0),
        lambda x: x.mul_(x.sigmoid()),
        F.relu,
    ],
)
def test_layers_of_composed_rectifiers_are_rectified_layers(function: Function) -> None:
    """Both in a pass on shapes alone, and in one with numbers."""
    model, image = Composed(function), torch.rand(1, 3, 12, 12)
    for maps in (view_network(model, image).feature_maps, list_feature_maps(model, image)):
        assert {one.layer: one.rectified for one in maps} == {"conv": False, "act": True, "last": False}
