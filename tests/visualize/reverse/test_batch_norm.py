"""Batch norm of a convolution, whose way back goes through both at once, against torch's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from unconv.visualize.cone.kernels import keep_kernels
from unconv.visualize.reverse.autograd_nodes import NORMED, nodes_behind, operation_of
from unconv.visualize.reverse.coverage import read_coverage
from unconv.visualize.reverse.passage import run_forward


class Block(nn.Module):
    """A convolution and a batch norm that has seen something, and what a model does between and behind them."""

    def __init__(self, between: Callable[[Tensor, Tensor], Tensor], affine: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8, affine=affine)
        self.between = between
        for numbers in (self.norm.running_mean, self.norm.running_var, *self.norm.parameters()):
            assert numbers is not None
            nn.init.uniform_(numbers, 0.5, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x * 1.0
        y = self.first(x)
        return self.norm(self.between(x, y)) + 0 * y.mean() + y


def gone_through(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, set[str]]:
    """Ours and torch's way back from everything, and the operations of ours."""
    with keep_kernels():
        passage = run_forward(model, x, [""], "gradient")
        signal = torch.randn_like(passage.values[""])
        ours = passage.back("", signal)
    leaf = x.clone().requires_grad_()
    (torchs,) = torch.autograd.grad(model.eval()(leaf), leaf, signal)
    return ours, torchs, {operation_of(node) for node in nodes_behind(passage.values[""])}


def scaled_in_place(x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
    return y.mul_(2)


def input_changed(x: Tensor, y: Tensor) -> Tensor:
    x.mul_(3)
    return y


def watched(x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
    y.register_hook(lambda signal: 5 * signal)
    return y


@pytest.mark.parametrize("affine", [True, False])
def test_both_are_gone_through_at_once_and_others_keep_their_way(affine: bool) -> None:
    model = Block(lambda _, y: y, affine)
    ours, torchs, names = gone_through(model, torch.randn(2, 3, 9, 11))
    assert NORMED in names
    # The convolution's output is read by a sum too.
    assert "Convolution" in names
    torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("between", [scaled_in_place, watched, lambda _, y: y * 2, lambda _, y: y[:]])
def test_what_happens_between_them_is_not_passed_over(between: Callable[[Tensor, Tensor], Tensor]) -> None:
    ours, torchs, names = gone_through(Block(between), torch.randn(2, 3, 9, 11))
    assert NORMED not in names
    torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-5)


def test_an_input_that_is_overwritten_is_not_led_to() -> None:
    with keep_kernels():
        passage = run_forward(Block(input_changed), torch.randn(2, 3, 9, 11), [""], "gradient")
    names = {operation_of(node) for node in nodes_behind(passage.values[""])}
    assert NORMED not in names
    assert "BatchNorm" in names


def test_coverage_names_both() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    plain = run_forward(model, torch.randn(2, 3, 9, 9), ["4"], "guided")
    with keep_kernels():
        passage = run_forward(model, torch.randn(2, 3, 9, 9), ["4"], "guided")
    names = [operation_of(node) for node in nodes_behind(passage.values["4"])]
    assert names.count(NORMED) == 2
    assert read_coverage(passage.values["4"], "guided") == read_coverage(plain.values["4"], "guided")


def test_statistics_that_change_between_two_passes_count() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    x = torch.randn(2, 3, 9, 9)
    with keep_kernels():
        for _ in range(2):
            passage = run_forward(model, x, ["1"], "gradient")
            signal = torch.randn_like(passage.values["1"])
            leaf = x.clone().requires_grad_()
            (torchs,) = torch.autograd.grad(model(leaf), leaf, signal)
            torch.testing.assert_close(passage.back("1", signal), torchs, rtol=1e-4, atol=1e-5)
            assert isinstance(model[1].running_var, Tensor)
            model[1].running_var.mul_(4)
