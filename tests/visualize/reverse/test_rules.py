"""Every spelling of every rectifier goes back by the rule, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.visualize.reverse.rule_mode import RuleMode
from unconv.visualize.reverse.rules import REVERSE_RULES, find_rule


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
LEAKY = lambda x: x * (x > 0) + 0.1 * x * (x <= 0)  # noqa: E731
PRELU = lambda x: x * (x > 0) + 0.25 * x * (x <= 0)  # noqa: E731
RRELU = lambda x: x * (x > 0) + 0.3 * x * (x <= 0)  # noqa: E731
ELU = lambda x: x * (x > 0) + (x.exp() - 1) * (x <= 0)  # noqa: E731
CELU = lambda x: x * (x > 0) + 2 * ((x / 2).exp() - 1) * (x <= 0)  # noqa: E731
SELU = lambda x: 1.0507009873554805 * (x * (x > 0) + 1.6732632423543772 * (x.exp() - 1) * (x <= 0))  # noqa: E731
SILU = lambda x: x / (1 + (-x).exp())  # noqa: E731
GELU = lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5))  # noqa: E731
TANH_GELU = lambda x: x * 0.5 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))  # noqa: E731
HARDSWISH = lambda x: x * ((x + 3) / 6) * ((x > -3) & (x < 3)) + x * (x >= 3)  # noqa: E731
MISH = lambda x: x * torch.tanh((1 + x.exp()).log())  # noqa: E731
SOFTPLUS = lambda x: (1 + x.exp()).log()  # noqa: E731
SLOPE = torch.tensor([0.25], dtype=torch.float64)
SPELLINGS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "nn.ReLU": (nn.ReLU(), RELU),
    "nn.ReLU inplace": (_ignoring(nn.ReLU(inplace=True)), RELU),
    "F.relu": (F.relu, RELU),
    "F.relu inplace": (_ignoring(lambda x: F.relu(x, inplace=True)), RELU),
    "F.relu inplace, by place": (_ignoring(lambda x: F.relu(x, True)), RELU),
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
    "nn.Hardtanh inplace": (_ignoring(nn.Hardtanh(0.0, 6.0, inplace=True)), RELU6),
    "torch.clip by keyword": (lambda x: torch.clip(x, min=0, max=6), RELU6),
    "Tensor.clip_": (_ignoring(lambda x: x.clip_(0, 6)), RELU6),
    "torch.clamp_": (_ignoring(lambda x: torch.clamp_(x, 0.0, 6.0)), RELU6),
    "nn.LeakyReLU": (nn.LeakyReLU(0.1), LEAKY),
    "nn.LeakyReLU inplace": (_ignoring(nn.LeakyReLU(0.1, inplace=True)), LEAKY),
    "F.leaky_relu": (lambda x: F.leaky_relu(x, negative_slope=0.1), LEAKY),
    "F.leaky_relu_": (_ignoring(lambda x: F.leaky_relu_(x, 0.1)), LEAKY),
    "nn.PReLU": (nn.PReLU(), PRELU),
    "F.prelu": (lambda x: F.prelu(x, SLOPE), PRELU),
    "torch.prelu": (lambda x: torch.prelu(x, SLOPE), PRELU),
    "Tensor.prelu": (lambda x: x.prelu(SLOPE), PRELU),
    "nn.RReLU": (nn.RReLU(0.2, 0.4).eval(), RRELU),
    "nn.RReLU inplace": (_ignoring(nn.RReLU(0.2, 0.4, inplace=True).eval()), RRELU),
    "F.rrelu": (lambda x: F.rrelu(x, 0.2, 0.4), RRELU),
    "torch.rrelu_": (_ignoring(lambda x: torch.rrelu_(x, 0.2, 0.4)), RRELU),
    "nn.ELU": (nn.ELU(), ELU),
    "nn.ELU inplace": (_ignoring(nn.ELU(inplace=True)), ELU),
    "F.elu": (F.elu, ELU),
    "F.elu_": (_ignoring(F.elu_), ELU),
    "nn.CELU": (nn.CELU(2.0), CELU),
    "F.celu inplace": (_ignoring(lambda x: F.celu(x, 2.0, inplace=True)), CELU),
    "torch.celu_": (_ignoring(lambda x: torch.celu_(x, 2.0)), CELU),
    "nn.SELU": (nn.SELU(), SELU),
    "F.selu inplace": (_ignoring(lambda x: F.selu(x, inplace=True)), SELU),
    "torch.selu": (torch.selu, SELU),
    "torch.selu_": (_ignoring(torch.selu_), SELU),
    "nn.SiLU": (nn.SiLU(), SILU),
    "nn.SiLU inplace": (_ignoring(nn.SiLU(inplace=True)), SILU),
    "F.silu": (F.silu, SILU),
    "nn.GELU": (nn.GELU(), GELU),
    "F.gelu": (F.gelu, GELU),
    "F.gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), TANH_GELU),
    "nn.Hardswish": (nn.Hardswish(), HARDSWISH),
    "nn.Hardswish inplace": (_ignoring(nn.Hardswish(inplace=True)), HARDSWISH),
    "F.hardswish": (F.hardswish, HARDSWISH),
    "nn.Mish": (nn.Mish(), MISH),
    "F.mish inplace": (_ignoring(lambda x: F.mish(x, inplace=True)), MISH),
    "nn.Softplus": (nn.Softplus(), SOFTPLUS),
    "F.softplus": (F.softplus, SOFTPLUS),
    "F.threshold_": (_ignoring(lambda x: F.threshold_(x, 0.0, 0.0)), RELU),
    "Tensor.maximum": (lambda x: x.maximum(ZERO), RELU),
    "Tensor.clamp_min": (lambda x: x.clamp_min(0), RELU),
    "torch.clamp_min_": (_ignoring(lambda x: torch.clamp_min_(x, 0.0)), RELU),
    "torch.fmax": (lambda x: torch.fmax(x, ZERO), RELU),
}


def _written_out(rule: str, slope: Tensor, signal: Tensor) -> Tensor:
    positive = torch.where(signal > 0, signal, 0)
    return {
        "deconvnet": positive,
        "guided": slope * positive,
        "gradient": slope * signal,
    }[rule]


@pytest.mark.parametrize("rule", REVERSE_RULES)
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
    with RuleMode(rule):
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
    with RuleMode("deconvnet"):
        ours = function(x)
    theirs = function(x)
    signal = torch.linspace(-1, 1, ours.numel()).reshape(ours.shape) if ours.ndim else torch.tensor(-1.0)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, signal)[0] for y in (ours, theirs)))


def _into(y: Tensor) -> None:
    y[1:3] = y[1:3] + 5


OVERWRITES: dict[str, Callable[[Tensor], object]] = {
    "+=": lambda y: y.__iadd__(5),
    "*=": lambda y: y.__imul__(-1),
    "add_": lambda y: y.add_(5),
    "a part": _into,
    "zero_": lambda y: y.zero_(),
    "another rectifier": lambda y: F.relu6(y, inplace=True),
    "itself again": lambda y: y.relu_(),
}


@pytest.mark.parametrize("rule", REVERSE_RULES)
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("overwrite", OVERWRITES)
def test_what_a_relu_returned_may_be_overwritten(overwrite: str, in_place: bool, rule: str) -> None:
    values = torch.tensor([-1.0, 2.0, 3.0, -4.0, 9.0])
    signal = torch.tensor([1.0, -2.0, 3.0, 4.0, 5.0])

    def way_back(relu: Callable[[Tensor], Tensor], change: Callable[[Tensor], object]) -> Tensor:
        x = values.clone().requires_grad_()
        with RuleMode(rule):
            y = relu(x.clone())
            kept = y.clone()
            change(y)
        return torch.autograd.grad(kept, x, signal)[0]

    relu = (lambda x: x.relu_()) if in_place else torch.relu
    assert torch.equal(way_back(relu, OVERWRITES[overwrite]), way_back(torch.relu, lambda _: None))


@settings(deadline=None, max_examples=60)
@given(
    axes=st.integers(0, 3),
    affine=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    last=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_batch_norm_goes_back_as_torchs_does(
    axes: int, affine: bool, dtype: torch.dtype, last: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    x = numbers(2, 3, *(4,) * axes)
    if last and axes == 2:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    arguments = (numbers(3), numbers(3).abs() + 0.1, *((numbers(3), numbers(3)) if affine else ()))
    with RuleMode("guided"):
        ours = F.batch_norm(x, *arguments, eps=1e-3)
    theirs = F.batch_norm(x, *arguments, eps=1e-3)
    assert torch.equal(ours, theirs)
    assert (
        ours.is_contiguous(memory_format=torch.channels_last) == theirs.is_contiguous(memory_format=torch.channels_last)
        or axes != 2
    )
    signal = numbers(*x.shape)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, signal)[0] for y in (ours, theirs)))


def test_batch_norm_by_the_batchs_own_statistics_is_left_to_torch() -> None:
    x = torch.randn(4, 3, 5, 5, requires_grad=True)
    with RuleMode("guided"):
        ours = F.batch_norm(x, None, None, training=True)
    assert ours.grad_fn is not None
    assert "NativeBatchNorm" in ours.grad_fn.name()


def test_bound_that_broadcasts_is_no_rectifier() -> None:
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    with RuleMode("deconvnet"):
        y = torch.maximum(x, torch.zeros(3, 2))
    assert y.shape == (3, 2)
    (ours,) = torch.autograd.grad(y, x, -torch.ones(3, 2))
    assert ours.tolist() == [0.0, -3.0]


def test_mode_leaves_no_trace() -> None:
    with RuleMode("deconvnet"):
        pass
    x = torch.tensor([-1.0], requires_grad=True)
    torch.relu(x).backward()
    assert x.grad is not None
    assert x.grad.item() == 0


def test_unknown_rule_names_the_known_ones() -> None:
    with pytest.raises(UnconvError, match="'lrp' is not one of deconvnet, guided, gradient"):
        find_rule("lrp")
