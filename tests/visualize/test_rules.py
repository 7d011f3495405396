"""Every spelling of every rectifier goes back by the rule, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.visualize.rules import RULES, ReverseRule, find_rule


def _ignoring(in_place: Callable[[Tensor], object]) -> Callable[[Tensor], Tensor]:
    """A caller that ignores what an in-place function returns."""

    def call(x: Tensor) -> Tensor:
        x = x.clone()
        in_place(x)
        return x

    return call


ZERO = torch.zeros(())
# The spelling under test, and the same function written without any rectifier that torch knows.
RELU = lambda x: x * (x > 0)  # noqa: E731
RELU6 = lambda x: x * ((x > 0) & (x < 6)) + 6.0 * (x >= 6)  # noqa: E731
SPELLINGS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "nn.ReLU": (nn.ReLU(), RELU),
    "nn.ReLU inplace": (_ignoring(nn.ReLU(inplace=True)), RELU),
    "F.relu": (F.relu, RELU),
    "F.relu inplace": (_ignoring(lambda x: F.relu(x, inplace=True)), RELU),
    "F.relu_": (_ignoring(F.relu_), RELU),
    "torch.relu": (torch.relu, RELU),
    "torch.relu by keyword": (lambda x: torch.relu(input=x), RELU),
    "torch.relu_": (_ignoring(torch.relu_), RELU),
    "Tensor.relu": (lambda x: x.relu(), RELU),
    "Tensor.relu_": (_ignoring(lambda x: x.relu_()), RELU),
    "Tensor.clamp": (lambda x: x.clamp(min=0), RELU),
    "Tensor.clamp positional": (lambda x: x.clamp(0), RELU),
    "Tensor.clamp_": (_ignoring(lambda x: x.clamp_(min=0.0)), RELU),
    "Tensor.clamp by tensor": (lambda x: x.clamp(min=torch.zeros(5)), RELU),
    "torch.clamp": (lambda x: torch.clamp(x, min=0), RELU),
    "torch.clamp_min": (lambda x: torch.clamp_min(x, 0), RELU),
    "Tensor.clamp_min_": (_ignoring(lambda x: x.clamp_min_(0)), RELU),
    "Tensor.clip": (lambda x: x.clip(0), RELU),
    "F.threshold": (lambda x: F.threshold(x, 0.0, 0.0), RELU),
    "nn.Threshold inplace": (_ignoring(nn.Threshold(0.0, 0.0, inplace=True)), RELU),
    "torch.maximum": (lambda x: torch.maximum(x, ZERO), RELU),
    "torch.maximum swapped": (lambda x: torch.maximum(ZERO, x), RELU),
    "torch.max": (lambda x: torch.max(x, ZERO), RELU),
    "a part in place": (_ignoring(lambda x: x[:].relu_()), RELU),
    "nn.ReLU6": (nn.ReLU6(), RELU6),
    "nn.ReLU6 inplace": (_ignoring(nn.ReLU6(inplace=True)), RELU6),
    "F.relu6": (F.relu6, RELU6),
    "F.hardtanh": (lambda x: F.hardtanh(x, 0.0, 6.0), RELU6),
    "F.hardtanh_": (_ignoring(lambda x: F.hardtanh_(x, 0.0, 6.0)), RELU6),
    "clamp to 6": (lambda x: x.clamp(0, 6), RELU6),
    "nn.LeakyReLU": (nn.LeakyReLU(0.1), lambda x: x * (x > 0) + 0.1 * x * (x <= 0)),
    "F.leaky_relu_": (_ignoring(lambda x: F.leaky_relu_(x, 0.1)), lambda x: x * (x > 0) + 0.1 * x * (x <= 0)),
    "nn.PReLU": (nn.PReLU(), lambda x: x * (x > 0) + 0.25 * x * (x <= 0)),
    "nn.RReLU": (nn.RReLU(0.2, 0.4).eval(), lambda x: x * (x > 0) + 0.3 * x * (x <= 0)),
    "nn.ELU": (nn.ELU(), lambda x: x * (x > 0) + (x.exp() - 1) * (x <= 0)),
    "nn.ELU inplace": (_ignoring(nn.ELU(inplace=True)), lambda x: x * (x > 0) + (x.exp() - 1) * (x <= 0)),
    "nn.CELU": (nn.CELU(2.0), lambda x: x * (x > 0) + 2 * ((x / 2).exp() - 1) * (x <= 0)),
    "nn.SELU": (
        nn.SELU(),
        lambda x: 1.0507009873554805 * (x * (x > 0) + 1.6732632423543772 * (x.exp() - 1) * (x <= 0)),
    ),
    "nn.SiLU": (nn.SiLU(), lambda x: x / (1 + (-x).exp())),
    "nn.SiLU inplace": (_ignoring(nn.SiLU(inplace=True)), lambda x: x / (1 + (-x).exp())),
    "nn.GELU": (nn.GELU(), lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5))),
    "nn.Hardswish": (nn.Hardswish(), lambda x: x * ((x + 3) / 6) * ((x > -3) & (x < 3)) + x * (x >= 3)),
    "nn.Mish": (nn.Mish(), lambda x: x * torch.tanh((1 + x.exp()).log())),
    "nn.Softplus": (nn.Softplus(), lambda x: (1 + x.exp()).log()),
}


def _written_out(rule: str, slope: Tensor, signal: Tensor) -> Tensor:
    positive = torch.where(signal > 0, signal, 0)
    return {"deconvnet": positive, "guided": slope * positive, "gradient": slope * signal}[rule]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_goes_back_by_the_rule(spelling: str, rule: str) -> None:
    rectifier, plain = SPELLINGS[spelling]
    values = torch.tensor([-7.0, -0.5, 0.7, 2.0, 9.0], dtype=torch.float64)
    signal = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0], dtype=torch.float64)
    if isinstance(rectifier, nn.Module):
        rectifier = rectifier.double()
    x = values.clone().requires_grad_()
    (slope,) = torch.autograd.grad(plain(x).sum(), x)
    x = values.clone().requires_grad_()
    with ReverseRule(rule):
        y = rectifier(x.clone())
    torch.testing.assert_close(y, plain(values), rtol=1e-6, atol=1e-6)
    (ours,) = torch.autograd.grad(y, x, signal)
    torch.testing.assert_close(ours, _written_out(rule, slope, signal), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        torch.sigmoid,
        torch.tanh,
        F.hardtanh,
        F.hardsigmoid,
        lambda x: x.softmax(0),
        lambda x: x.clamp(-1, 1),
        lambda x: x.clamp(max=1),
        lambda x: x.clamp(min=0.5),
        lambda x: torch.maximum(x, torch.tensor(0.5)),
        lambda x: torch.max(x, dim=0).values,
        lambda x: F.threshold(x, 0.0, 20.0),
    ],
)
def test_what_is_no_rectifier_keeps_its_gradient(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-2, 2, 9, requires_grad=True)
    with ReverseRule("deconvnet"):
        ours = function(x)
    theirs = function(x)
    signal = torch.linspace(-1, 1, ours.numel()).reshape(ours.shape) if ours.ndim else torch.tensor(-1.0)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, signal)[0] for y in (ours, theirs)))


def test_bound_that_broadcasts_is_no_rectifier() -> None:
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    with ReverseRule("deconvnet"):
        y = torch.maximum(x, torch.zeros(3, 2))
    assert y.shape == (3, 2)
    (ours,) = torch.autograd.grad(y, x, -torch.ones(3, 2))
    assert ours.tolist() == [0.0, -3.0]


def test_mode_leaves_no_trace() -> None:
    with ReverseRule("deconvnet"):
        pass
    x = torch.tensor([-1.0], requires_grad=True)
    torch.relu(x).backward()
    assert x.grad is not None
    assert x.grad.item() == 0


def test_unknown_rule_names_the_known_ones() -> None:
    with pytest.raises(UnconvError, match="'lrp' is not one of deconvnet, guided, gradient"):
        find_rule("lrp")
