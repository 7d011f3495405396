"""The dot test must catch what is wrong, by little and by much, and pass what is right."""

from __future__ import annotations

from dataclasses import dataclass

import jaxtyping
import pytest
import torch

import unconv as uc


@dataclass(frozen=True, eq=False)
class Altered(uc.operators.LinearOperator):
    """A convolution whose adjoint is wrong in one place."""

    right: uc.ConvOperator
    error: float

    input_shape = property(lambda self: self.right.input_shape)
    output_shape = property(lambda self: self.right.output_shape)
    dtype = property(lambda self: self.right.dtype)
    device = property(lambda self: self.right.device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.right.forward(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        back = self.right.adjoint(y).clone()
        back[:, 0, 0, 0] = back[:, 0, 0, 0] + self.error
        return back

    def matrix(self) -> torch.Tensor:
        return self.right.matrix()


@pytest.fixture
def right() -> uc.ConvOperator:
    return uc.ConvOperator(torch.randn(4, 3, 3, 3, dtype=torch.float64), (9, 8), stride=2, padding=1)


@pytest.mark.parametrize("error", [1.0, 1e-6])
def test_wrong_adjoint_is_named_with_both_inner_products(right: uc.ConvOperator, error: float) -> None:
    with pytest.raises(uc.errors.AdjointError, match=r"⟨Cx, y⟩ = .* but ⟨x, Cᵀy⟩ = .* Altered do not belong together"):
        uc.dot_test(Altered(right, error))


def test_numbers_that_are_not_finite_are_named_and_not_blamed_on_the_adjoint(right: uc.ConvOperator) -> None:
    broken = uc.ConvOperator(torch.full((1, 1, 3), float("nan")), 4)
    for operator in (Altered(right, float("nan")), broken):
        with pytest.raises(uc.errors.AdjointError, match="are not both finite; look for NaN"):
            uc.dot_test(operator)


def test_right_adjoint_passes(right: uc.ConvOperator) -> None:
    assert uc.dot_test(right) < 1e-14
    assert uc.dot_test(Altered(right, 0.0)) < 1e-14


def test_zero_operator_passes() -> None:
    assert uc.dot_test(uc.ConvOperator(torch.zeros(1, 1, 3), 4)) == 0.0


def test_only_operators_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would speak first
    with pytest.raises(uc.UnconvError, match="needs a LinearOperator, not int"):
        uc.dot_test(3)


def test_no_trials_prove_nothing(right: uc.ConvOperator) -> None:
    with pytest.raises(uc.UnconvError, match="trials 0 must be at least 1"):
        uc.dot_test(right, trials=0)
