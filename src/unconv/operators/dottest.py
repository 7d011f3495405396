"""The dot test: ⟨Cx, y⟩ = ⟨x, Cᵀy⟩ for random x and y, or what calls itself the transpose is not."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.errors import AdjointError, UnconvError
from unconv.operators.linear import LinearOperator

TOLERANCE_IN_EPS = 32


@tell_wrong_arguments
def dot_test(operator: LinearOperator, *, trials: int = 3, tolerance: float | None = None, seed: int = 0) -> float:
    """Largest relative difference of ⟨Cx, y⟩ and ⟨x, Cᵀy⟩ over some random vectors (Claerbout 1992).

    Differences are relative to ‖Cx‖‖y‖ + ‖x‖‖Cᵀy‖, inner products are taken in float64, and ``tolerance`` is by default
    32 machine epsilons of the operator's own dtype. Raises :class:`~unconv.errors.AdjointError`, naming both inner
    products, where a difference is larger or not a number.

    >>> from unconv.operators.conv import ConvOperator
    >>> dot_test(ConvOperator(torch.randn(2, 3, 3, 3), input_size=(7, 5), stride=2)) < 1e-5
    True
    """
    if not isinstance(operator, LinearOperator):
        raise UnconvError(f"dot test: needs a LinearOperator, not {type(operator).__name__}")
    if trials < 1:
        raise UnconvError(f"dot test: trials {trials} must be at least 1")
    limit = TOLERANCE_IN_EPS * torch.finfo(operator.dtype).eps if tolerance is None else tolerance
    generator = torch.Generator().manual_seed(seed)
    worst = 0.0
    for _ in range(trials):
        x, y = (_random(shape, operator, generator) for shape in (operator.input_shape, operator.output_shape))
        forward, backward = operator @ x, operator.T @ y
        one, two = _inner(forward, y), _inner(x, backward)
        scale = _norm(forward) * _norm(y) + _norm(x) * _norm(backward)
        difference = abs(one - two) / scale if scale else abs(one - two)
        if not (isfinite(one) and isfinite(two)):
            raise AdjointError(
                f"dot test: ⟨Cx, y⟩ = {one:.9g} and ⟨x, Cᵀy⟩ = {two:.9g} are not both finite; look for NaN or infinite "
                f"numbers in {type(operator).__name__}, or for overflow in {operator.dtype}"
            )
        if not difference <= limit:
            raise AdjointError(
                f"dot test: ⟨Cx, y⟩ = {one:.9g} but ⟨x, Cᵀy⟩ = {two:.9g}, a relative difference of {difference:.2g} "
                f"where {limit:.2g} is allowed in {operator.dtype}; forward and adjoint of {type(operator).__name__} "
                "do not belong together"
            )
        worst = max(worst, difference)
    return worst


def _random(shape: tuple[int, ...], operator: LinearOperator, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator).to(operator.device, operator.dtype)


def _inner(one: Tensor, two: Tensor) -> float:
    return float(torch.dot(one.detach().double().flatten(), two.detach().double().flatten()))


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x.detach().double()))
