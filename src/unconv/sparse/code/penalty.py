"""Weighted ℓ₁ penalties λ: one number a kernel, one a coefficient, or a rule that needs no array of them.

A solver asks for λ row block by row block, so that a penalty which differs everywhere never has to exist at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from unconv.errors import SparseError
from unconv.results import Shown
from unconv.sparse.code.validate import as_tensor
from unconv.sparse.types import PenaltyLike


class Penalty(ABC):
    """λ_i > 0 for every coefficient i of one image's codes."""

    needs_correlation: ClassVar[bool] = False

    @abstractmethod
    def values(self, correlation: Tensor | None, rows: slice) -> Tensor:
        """λ of the code rows ``rows`` (first spatial axis), in a shape that broadcasts to (K, rows, *other axes).

        ``correlation`` is DᵀW²s on those rows; penalties whose ``needs_correlation`` is False take None as well.
        """

    @abstractmethod
    def fitted(self, n_kernels: int, code_size: Sequence[int], like: Tensor, where: str) -> Penalty:
        """The same penalty checked against the codes it is for, in the dtype and on the device of ``like``."""

    @abstractmethod
    def describe(self) -> str:
        """The penalty in a few words."""


@dataclass(frozen=True, eq=False, repr=False)
class PerKernel(Shown, Penalty):
    """One λ for each kernel: ``penalties`` (K,).

    >>> PerKernel(torch.tensor([0.1, 0.2])).values(None, slice(0, 4)).flatten()
    tensor([0.1000, 0.2000])
    """

    penalties: Tensor
    axes: int = 2

    @override
    def values(self, correlation: Tensor | None, rows: slice) -> Tensor:
        """(K, 1, ..): the same everywhere."""
        return self.penalties.reshape(-1, *(1,) * self.axes)

    @override
    def fitted(self, n_kernels: int, code_size: Sequence[int], like: Tensor, where: str) -> PerKernel:
        """Checked: K numbers, positive and finite."""
        penalties = as_tensor(self.penalties, "penalty", where).to(like)
        if penalties.shape != (n_kernels,):
            raise SparseError(
                f"{where}: penalty of shape {tuple(penalties.shape)} for {n_kernels} kernels; give one number, or "
                "one for each kernel"
            )
        if not bool(((penalties > 0) & torch.isfinite(penalties)).all()):
            raise SparseError(f"{where}: penalty {_first_bad(self.penalties, False)} is not positive and finite")
        return replace(self, penalties=penalties.contiguous(), axes=len(code_size))

    @override
    def describe(self) -> str:
        """The number, or how many numbers there are and their range."""
        low, high = float(self.penalties.min()), float(self.penalties.max())
        return f"{low:.6g}" if low == high else f"per kernel, {low:.6g} to {high:.6g}"


@dataclass(frozen=True, eq=False, repr=False)
class PerPosition(Shown, Penalty):
    """One λ for each coefficient: ``penalties`` broadcastable to (K, *code); inf forbids a coefficient."""

    penalties: Tensor

    @override
    def values(self, correlation: Tensor | None, rows: slice) -> Tensor:
        """The rows asked for; axes of size 1 stay so."""
        if self.penalties.shape[1] == 1:
            return self.penalties
        return self.penalties[:, rows]

    @override
    def fitted(self, n_kernels: int, code_size: Sequence[int], like: Tensor, where: str) -> PerPosition:
        """Checked: a shape that broadcasts, all positive."""
        target = (n_kernels, *code_size)
        penalties = as_tensor(self.penalties, "penalty", where).to(like)
        penalties = penalties.reshape((1,) * (len(target) - penalties.ndim) + tuple(penalties.shape))
        fits = penalties.ndim == len(target) and all(
            size in (1, wanted) for size, wanted in zip(penalties.shape, target, strict=True)
        )
        if not fits:
            raise SparseError(
                f"{where}: penalty of shape {tuple(self.penalties.shape)} does not broadcast to codes of shape "
                f"{target} (kernels, *positions)"
            )
        if not bool((penalties > 0).all()):
            raise SparseError(f"{where}: penalty {_first_bad(self.penalties, True)} is not positive")
        return PerPosition(penalties)

    @override
    def describe(self) -> str:
        """The range."""
        return f"per position, {float(self.penalties.min()):.6g} to {float(self.penalties.max()):.6g}"


@dataclass(frozen=True)
class InverseCorrelation(Penalty):
    """λ_i = scale / max(|DᵀW²s|_i^power, floor): little for what the image already shows, much for what it does not.

    SPORCO's weighted denoising (Wohlberg 2017, the examples on Gaussian noise) has power 2 and floor 1e-8.

    >>> InverseCorrelation(0.5).values(torch.tensor([[1.0, 2.0]]), slice(0, 2))
    tensor([[0.5000, 0.1250]])
    """

    needs_correlation: ClassVar[bool] = True

    scale: float
    power: float = 2.0
    floor: float = 1e-8

    @override
    def values(self, correlation: Tensor | None, rows: slice) -> Tensor:
        """The rule applied to the block."""
        return self.scale / _given(correlation).abs().pow(self.power).clamp_min(self.floor)

    @override
    def fitted(self, n_kernels: int, code_size: Sequence[int], like: Tensor, where: str) -> InverseCorrelation:
        """Checked: numbers for which λ is positive and finite."""
        for name, number in (("scale", self.scale), ("floor", self.floor)):
            if not 0 < number < float("inf"):
                raise SparseError(f"{where}: penalty {name} {number} is not positive and finite")
        if not 0 <= self.power < float("inf"):
            raise SparseError(f"{where}: penalty power {self.power} is not a finite number of at least 0")
        return self

    @override
    def describe(self) -> str:
        """The formula."""
        return f"{self.scale:.6g} / max(|correlation|^{self.power:g}, {self.floor:g})"


@dataclass(frozen=True, eq=False, repr=False)
class FromCorrelation(Shown, Penalty):
    """λ by the user's own rule: ``function`` gets a block of DᵀW²s, (K, rows, *other axes), and returns its λ.

    >>> rule = FromCorrelation(lambda correlation: 0.1 + 0 * correlation)
    >>> rule.values(torch.tensor([[1.0, 2.0]]), slice(0, 2))
    tensor([[0.1000, 0.1000]])
    """

    needs_correlation: ClassVar[bool] = True

    function: Callable[[Tensor], Tensor]

    @override
    def values(self, correlation: Tensor | None, rows: slice) -> Tensor:
        """What the function returns, checked: the shape of the block, all positive."""
        block = _given(correlation)
        found = self.function(block)
        if not isinstance(found, Tensor) or found.shape != block.shape:
            what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise SparseError(
                f"encode: penalty function returned {what} for a block of shape {tuple(block.shape)}; "
                "return a tensor of that shape"
            )
        found = found.detach().to(block)
        if not bool((found > 0).all()):
            raise SparseError(f"encode: penalty function returned {_first_bad(found, True)}; it must be positive")
        return found

    @override
    def fitted(self, n_kernels: int, code_size: Sequence[int], like: Tensor, where: str) -> FromCorrelation:
        """Nothing to check before the function is called."""
        return self

    @override
    def describe(self) -> str:
        """The function's name."""
        return f"function {getattr(self.function, '__name__', type(self.function).__name__)}"


def as_penalty(
    value: PenaltyLike, n_kernels: int, code_size: Sequence[int], like: Tensor, where: str = "encode"
) -> Penalty:
    """The penalty that a user's value means, checked against the codes of one image.

    A number; K numbers (a sequence or an array of one axis): one a kernel; an array that broadcasts to (K, *code): one
    a coefficient; a callable: :class:`FromCorrelation`; a :class:`Penalty` as it is. dtype and device become those of
    ``like``. What "0.1max" means depends on images: :func:`relative`.

    >>> as_penalty(0.2, 3, (8, 8), torch.zeros(())).values(None, slice(0, 8)).shape
    torch.Size([3, 1, 1])

    Raises :class:`~unconv.errors.SparseError` for anything else, and where λ is not positive.
    """
    penalty = value if isinstance(value, Penalty) else _from_value(value, n_kernels, where)
    return penalty.fitted(n_kernels, code_size, like, where)


def relative(text: str, maximum: Callable[[], float], where: str = "encode") -> float:
    """The number that "0.1max" stands for; where the maximum is 0 every penalty will do, and the part itself is it.

    >>> relative("0.1max", lambda: 2.0)
    0.2
    """
    part = text.strip().removesuffix("max").rstrip(" *")
    try:
        number = float(part or "1") if text.strip().endswith("max") else float("nan")
    except ValueError:
        number = float("nan")
    if not 0 < number < float("inf"):
        raise SparseError(f"{where}: penalty {text!r} is not understood; give a number, or a part as in '0.1max'")
    return number * (maximum() or 1.0)


def _from_value(value: PenaltyLike, n_kernels: int, where: str) -> Penalty:
    if callable(value):
        return FromCorrelation(value)
    numbers = as_tensor(value, "penalty", where)
    if numbers.dtype == torch.bool or numbers.is_complex() or numbers.numel() == 0:
        raise SparseError(
            f"{where}: penalty {value!r:.60} is not understood; give a number, one for each kernel, an array for "
            "(kernels, *positions), a function, or a part of the maximum as in '0.1max'"
        )
    if not numbers.is_floating_point():
        numbers = numbers.double()
    if numbers.ndim == 0:
        return PerKernel(numbers.expand(n_kernels))
    return PerKernel(numbers) if numbers.ndim == 1 else PerPosition(numbers)


def _given(correlation: Tensor | None) -> Tensor:
    if correlation is None:
        raise SparseError("penalty: depends on the correlation of the image with the kernels; hand in that block")
    return correlation


def _first_bad(penalties: Tensor, infinite: bool) -> float:
    flat = penalties.flatten()
    good = (flat > 0) if infinite else (flat > 0) & torch.isfinite(flat)
    # A number that was positive may have become 0 in the dtype of the problem.
    return float(flat[~good][0]) if bool((~good).any()) else float(flat.min())
