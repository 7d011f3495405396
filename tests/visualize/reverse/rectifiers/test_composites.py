"""A rectifier composed of any operations is that rectifier: reversed as a whole, and named."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.visualize.reverse.rectifiers.custom import Hardswish, Swish, SwishInPlace
from unconv.visualize.reverse.coverage import Coverage, ends_rectified, read_coverage
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.rule_mode import RuleMode
from unconv.visualize.reverse.rules import REVERSE_RULES

Function = Callable[[Tensor], Tensor]
ROOT = math.sqrt(2 / math.pi)
SLOPES = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64).view(1, 3, 1, 1)
ZERO, TENTH = torch.zeros(()), torch.tensor(0.1)


def changing(in_place: Callable[[Tensor], object]) -> Function:
    """A function that overwrites a copy of its argument, whatever it returns."""

    def call(x: Tensor) -> Tensor:
        x = x.clone()
        in_place(x)
        return x

    return call


def zero_below(y: Tensor) -> None:
    y[y < 0] = 0


def shrink_below(y: Tensor) -> None:
    y[y < 0] *= 0.1


def exponential_below(y: Tensor) -> None:
    below = y <= 0
    y[below] = torch.exp(y[below]) - 1


def without_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        mask = x > 0
    return x * mask


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def elu(x: Tensor) -> Tensor:
    return F.elu(x)


def prelu(x: Tensor) -> Tensor:
    return F.prelu(x, SLOPES.flatten())


def tanh_gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


# A spelling, and torch's function of the same values.
SPELLINGS: dict[str, tuple[Function, Function]] = {
    "x * (x > 0)": (lambda x: x * (x > 0), F.relu),
    "(x > 0) * x": (lambda x: (x > 0) * x, F.relu),
    "x * (x > 0).float()": (lambda x: x * (x > 0).float(), F.relu),
    "x * x.gt(0).type_as(x)": (lambda x: x * x.gt(0).type_as(x), F.relu),
    "x * (x > 0).to(x)": (lambda x: x * (x > 0).to(x), F.relu),
    "x * x.detach().gt(0)": (lambda x: x * x.detach().gt(0), F.relu),
    "x * (x.data > 0)": (lambda x: x * (x.data > 0), F.relu),
    "a mask without gradient": (without_gradient, F.relu),
    "x * ~(x < 0)": (lambda x: x * ~(x < 0), F.relu),
    "heaviside": (lambda x: x * torch.heaviside(x.detach(), ZERO.to(x)), F.relu),
    "sign": (lambda x: x * (torch.sign(x) + 1) / 2, F.relu),
    "where": (lambda x: torch.where(x > 0, x, 0.0), F.relu),
    "where, zeros like": (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), F.relu),
    "Tensor.where": (lambda x: x.where(x > 0, ZERO.to(x)), F.relu),
    "masked_fill": (lambda x: x.masked_fill(x < 0, 0), F.relu),
    "masked_fill_": (changing(lambda x: x.masked_fill_(x < 0, 0.0)), F.relu),
    "x *= x > 0": (changing(lambda x: x.__imul__(x > 0)), F.relu),
    "x[x < 0] = 0": (changing(zero_below), F.relu),
    "(x + |x|) / 2": (lambda x: (x + x.abs()) / 2, F.relu),
    "0.5 x + 0.5 |x|": (lambda x: 0.5 * x + torch.abs(x).mul(0.5), F.relu),
    "-min(-x, 0)": (lambda x: -torch.minimum(-x, ZERO.to(x)), F.relu),
    "relu(x) - relu(x - 6)": (lambda x: F.relu(x) - F.relu(x - 6), F.relu6),
    "relu(x).clamp(max=6)": (lambda x: F.relu(x).clamp(max=6), F.relu6),
    "where twice": (lambda x: torch.where(x > 6, 6.0, torch.where(x < 0, 0.0, x)), F.relu6),
    "maximum(x, x / 10)": (lambda x: torch.maximum(x, 0.1 * x), leaky),
    "max(x / 10, x)": (lambda x: torch.max(x * TENTH.to(x), x), leaky),
    "where(x > 0, x, x / 10)": (lambda x: torch.where(x > 0, x, 0.1 * x), leaky),
    "relu(x) - relu(-x) / 10": (lambda x: x.relu() - 0.1 * (-x).relu(), leaky),
    "both sides clamped": (lambda x: x.clamp(min=0) + 0.1 * x.clamp(max=0), leaky),
    "x[x < 0] *= 0.1": (changing(shrink_below), leaky),
    "0.55 x + 0.45 |x|": (lambda x: 0.55 * x + 0.45 * x.abs(), leaky),
    "prelu by where": (lambda x: torch.where(x > 0, x, SLOPES * x), prelu),
    "prelu by relu": (lambda x: F.relu(x) + SLOPES * (x - x.abs()) * 0.5, prelu),
    "elu by where": (lambda x: torch.where(x > 0, x, x.exp() - 1), elu),
    "elu by sums": (lambda x: F.relu(x) + x.clamp(max=0).exp() - 1, elu),
    "elu by a mask": (changing(exponential_below), elu),
    "selu": (lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * x.expm1()), F.selu),
    "celu": (lambda x: torch.where(x > 0, x, 2 * torch.expm1(x / 2)), lambda x: F.celu(x, 2.0)),
    "x * sigmoid(x)": (lambda x: x * torch.sigmoid(x), F.silu),
    "x / (1 + exp(-x))": (lambda x: x / (1 + torch.exp(-x)), F.silu),
    "x.mul_(x.sigmoid())": (changing(lambda x: x.mul_(x.sigmoid())), F.silu),
    "x (1 + tanh(x / 2)) / 2": (lambda x: x * (1 + torch.tanh(x / 2)) / 2, F.silu),
    "nn.Sigmoid() * x": (lambda x: nn.Sigmoid()(x) * x, F.silu),
    "a function of autograd": (lambda x: Swish.apply(x), F.silu),
    "one that divides": (lambda x: Hardswish.apply(x), F.hardswish),
    "one that overwrites": (changing(lambda x: SwishInPlace.apply(x)), F.silu),
    "x * relu6(x + 3) / 6": (lambda x: x * F.relu6(x + 3) / 6, F.hardswish),
    "x * (relu6(x + 3) / 6)": (lambda x: x * (F.relu6(x + 3.0) * (1 / 6)), F.hardswish),
    "x * hardsigmoid(x)": (lambda x: x * F.hardsigmoid(x), F.hardswish),
    "x * clamp(x / 6 + 1/2, 0, 1)": (lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1), F.hardswish),
    "x.mul_(hardtanh(x + 3, 0, 6)).div_(6)": (
        changing(lambda x: x.mul_(F.hardtanh(x + 3, 0.0, 6.0)).div_(6)),
        F.hardswish,
    ),
    "x * tanh(softplus(x))": (lambda x: x * torch.tanh(F.softplus(x)), F.mish),
    "x * tanh(log1p(exp(x)))": (lambda x: x * x.exp().log1p().tanh(), F.mish),
    "x Φ(x)": (lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))), F.gelu),
    "0.5 (x (1 + erf))": (lambda x: 0.5 * (x + x * torch.erf(x / math.sqrt(2.0))), F.gelu),
    "gelu by tanh": (lambda x: 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.044715 * x.pow(3)))), tanh_gelu),
    "gelu by products": (lambda x: 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.044715 * x * x * x))), tanh_gelu),
    "log(1 + exp(x))": (lambda x: torch.log(1 + torch.exp(x)), F.softplus),
    "logaddexp(x, 0)": (lambda x: torch.logaddexp(x, torch.zeros_like(x)), F.softplus),
    "relu + log1p(exp(-|x|))": (lambda x: x.relu() + torch.log1p(torch.exp(-x.abs())), F.softplus),
    "-logsigmoid(-x)": (lambda x: -F.logsigmoid(-x), F.softplus),
    "log(1 + exp(2 x)) / 2": (lambda x: (1 + (2 * x).exp()).log() / 2, lambda x: F.softplus(x, beta=2)),
    "behind a view": (lambda x: (lambda y: y * y.sigmoid())(x.flatten(1)).view_as(x), F.silu),
    "a part": (changing(lambda x: (lambda y: y.mul_(y > 0))(x[:])), F.relu),
}
PLACES: dict[str, Callable[[Function], Function]] = {
    "given": lambda function: function,
    "written over its argument": lambda function: changing(lambda x: x.copy_(function(x.clone()))),
    "changed behind": lambda function: lambda x: function(x).mul_(1.0),
}


def send_back(function: Function, rule: str, x: Tensor, signal: Tensor) -> tuple[Tensor, Tensor, Coverage]:
    leaf = x.clone().requires_grad_()
    with RuleMode(rule):
        y = function(leaf.clone()).clone()
    return y.detach(), torch.autograd.grad(y, leaf, signal)[0], read_coverage(y, rule)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_composed_rectifier_goes_back_as_torchs_does(spelling: str) -> None:
    composed, named = SPELLINGS[spelling]
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn(2, 3, 2, 4, generator=generator, dtype=torch.float64)
    signal = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    for rule in REVERSE_RULES:
        expected, wanted, by_name = send_back(named, rule, x, signal)
        for place in PLACES.values():
            value, back, coverage = send_back(place(composed), rule, x, signal)
            # Torch's own hardsigmoid is exact to 1e-7, the constants of SELU and GELU are written to some digits.
            torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
            torch.testing.assert_close(back, wanted, rtol=1e-6, atol=1e-6)
            assert coverage.rectifiers == by_name.rectifiers
            assert (coverage.reversed, coverage.passed) == (1, {})


OTHERS: dict[str, tuple[Function, Function]] = {
    # Rectifiers that torch has no name for, and their derivatives.
    "rectifier of mul, sigmoid": (
        lambda x: x * torch.sigmoid(1.702 * x),
        lambda x: torch.sigmoid(1.702 * x) * (1 + 1.702 * x * torch.sigmoid(-1.702 * x)),
    ),
    "rectifier of mul, add, sqrt": (lambda x: (x + (x * x + 4).sqrt()) / 2, lambda x: (1 + x / (x * x + 4).sqrt()) / 2),
    "rectifier of relu, pow": (lambda x: F.relu(x) ** 2, lambda x: 2 * x.clamp(min=0)),
    "rectifier of relu, div, tanh": (
        lambda x: torch.tanh(F.relu(x) / 3),
        lambda x: (1 - torch.tanh(x / 3) ** 2) / 3 * (x > 0),
    ),
    "rectifier of gt, mul": (lambda x: x * (x > 0.5), lambda x: (x > 0.5).double()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_rectifier_without_a_name_follows_the_formulas(name: str) -> None:
    function, derivative = OTHERS[name]
    x = torch.linspace(-5, 5, 12, dtype=torch.float64)
    signal = torch.linspace(-1, 2, 12, dtype=torch.float64).flip(0)
    slope = derivative(x)
    formulas = {"deconvnet": signal.clamp(min=0), "guided": slope * signal.clamp(min=0), "gradient": slope * signal}
    assert formulas.keys() == REVERSE_RULES.keys()
    for rule, wanted in formulas.items():
        _, back, coverage = send_back(function, rule, x, signal)
        torch.testing.assert_close(back, wanted, rtol=1e-6, atol=1e-9)
        assert (coverage.rectifiers, coverage.reversed, coverage.passed) == ({name: 1}, 1, {})


NONE: dict[str, Function] = {
    "squashed": lambda x: x.sigmoid() + x.tanh(),
    "|x|": lambda x: (x * x).sqrt(),
    "x tanh(x)": lambda x: x * x.tanh(),
    "square": lambda x: x * x + x,
    "sine": lambda x: x + x.sin() ** 2,
    "residual": lambda x: x + x.sigmoid(),
    "the other side": lambda x: torch.where(x < 0, x, 0.0),
    "above one half": lambda x: torch.where(x > 0.5, x, 0.5),
    "exponential": lambda x: (x / 4).exp(),
    "a choice by another value": lambda x: torch.where(x.roll(1) > 0, x, 0.0),
    "a gate of another value": lambda x: x * x.roll(1).sigmoid(),
}


@pytest.mark.parametrize("name", NONE)
def test_what_rectifies_nothing_keeps_its_gradient_and_is_listed(name: str) -> None:
    x = torch.linspace(-3, 3, 10, dtype=torch.float64)
    signal = torch.linspace(-1, 2, 10, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(NONE[name](leaf), leaf, signal)
    _, back, coverage = send_back(NONE[name], "deconvnet", x, signal)
    torch.testing.assert_close(back, wanted)
    assert coverage.total == 0
    assert coverage.passed


def test_rectifiers_behind_each_other_are_several() -> None:
    def twice(x: Tensor) -> Tensor:
        y = x * (x > 0)
        return torch.relu(y * torch.sigmoid(y) - 0.1)

    x = torch.linspace(-3, 3, 10, dtype=torch.float64)
    _, back, coverage = send_back(twice, "deconvnet", x, torch.ones_like(x) - 2 * (x > 1))
    assert coverage.rectifiers == {"relu": 2, "silu": 1}
    torch.testing.assert_close(back, (x <= 1).double())


def test_scaling_is_none_of_the_rectifiers_wherever_it_is_written() -> None:
    x, signal = torch.linspace(-3, 3, 10, dtype=torch.float64), torch.linspace(-1, 2, 10, dtype=torch.float64)
    ways: tuple[Function, ...] = (
        lambda x: 3 * F.silu(x),
        lambda x: 3 * x * torch.sigmoid(x),
        lambda x: x * (3 * torch.sigmoid(x)),
        lambda x: x * torch.sigmoid(x) * 3,
    )
    for way in ways:
        torch.testing.assert_close(send_back(way, "deconvnet", x, signal)[1], 3 * signal.clamp(min=0))


class Block(nn.Module):
    """A network of convolutions with a rectifier of its own writing."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        y = self.function(self.first(x))
        return self.third(self.function(self.second(y)) + y[..., 1:-1, 1:-1])


@pytest.mark.parametrize("spelling", ["x * sigmoid(x)", "x[x < 0] = 0", "one that divides", "one that overwrites"])
@pytest.mark.parametrize("rule", REVERSE_RULES)
def test_networks_with_rectifiers_of_their_own(spelling: str, rule: str) -> None:
    composed, named = SPELLINGS[spelling]
    torch.manual_seed(0)
    ours = Block(composed).double()
    theirs = Block(named).double()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    one, other = (project(model, images, "third", [0, 1], (2, 3), rule) for model in (ours, theirs))
    torch.testing.assert_close(one.image, other.image, rtol=0, atol=1e-10)
    assert one.coverage == other.coverage


def test_what_a_pass_remembers_goes_with_its_graph() -> None:
    def kept() -> int:
        leaf = torch.ones(3, requires_grad=True)
        with RuleMode("guided"):
            x = 2 * leaf
            gate = x.sigmoid()
            x.mul_(gate)
            x.add_(F.relu6(x + 3, inplace=True).roll(1).tanh())
        nodes.append(weakref.ref(x))
        return 0

    nodes: list[Any] = []
    kept()
    gc.collect()
    assert nodes[0]() is None


def test_scaled_rectifier_ends_rectified() -> None:
    x = torch.linspace(-3, 3, 10, requires_grad=True)
    with RuleMode("guided"):
        assert ends_rectified(x * F.relu6(x + 3) / 6)
        assert not ends_rectified(-x * F.relu6(x + 3) / 6 * -1 + x)
