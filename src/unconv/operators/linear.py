"""Linear operators: ``C @ x``, ``C.T @ y`` and ``A @ B``, forward and adjoint side by side.

An operator acts on the trailing axes of a tensor and leaves leading ones alone, so that a single sample, a batch and a
batch of batches all work. Nothing is ever stored as a matrix unless :meth:`LinearOperator.matrix` asks for it.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from types import EllipsisType
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.describe import by_size, describe
from unconv.errors import UnconvError
from unconv.results import Shown

MATRIX_LIMIT = 100_000_000
"""Largest number of non-zeros that :meth:`LinearOperator.matrix` builds: about 2.4 GB in float64."""


class LinearOperator(Shown, ABC):
    """A linear map between tensors of fixed shapes.

    Subclasses give the two directions on batches, and the matrix; :func:`unconv.dot_test` holds them to their word.
    """

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample going in."""

    @property
    @abstractmethod
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one sample coming out."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Type of the numbers it is made of, and takes."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where those numbers are."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Cx for a batch of samples."""

    @abstractmethod
    def adjoint(self, y: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Cᵀy for a batch of samples."""

    @abstractmethod
    def matrix(self) -> Tensor:
        """C as a sparse matrix (rows: outputs, columns: inputs, both flattened in row-major order)."""

    def _heading(self) -> str:
        return f"{type(self).__name__}: {by_size(self.input_shape)} → {by_size(self.output_shape)}"

    def _facts(self) -> Iterable[tuple[str, str]]:
        yield "matrix", f"{prod(self.output_shape):,} × {prod(self.input_shape):,}, made only by .matrix()"
        told = list(super()._facts())
        yield from told
        if "dtype" not in dict(told):
            yield "numbers", describe(self.dtype) + ("" if self.device.type == "cpu" else f" on {self.device}")

    @property
    def T(self) -> LinearOperator:
        """The transpose: the same connections, walked backwards."""
        return Transposed(self)

    @overload
    def __matmul__(self, other: LinearOperator) -> LinearOperator: ...

    @overload
    def __matmul__(self, other: Tensor) -> Tensor: ...

    def __matmul__(self, other: LinearOperator | Tensor) -> LinearOperator | Tensor:
        if isinstance(other, LinearOperator):
            return Composition(self, other)
        if isinstance(other, Tensor):
            return _on_leading_axes(self, self.forward, other)
        # Python would ask the other side next, and NumPy takes the operator for a number.
        raise UnconvError(
            f"{type(self).__name__}: @ takes a torch.Tensor or another operator, not {type(other).__name__}; "
            "torch.as_tensor() makes a tensor of an array"
        )


def _on_leading_axes(operator: LinearOperator, apply: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    rank = len(operator.input_shape)
    if x.ndim < rank or tuple(x.shape[x.ndim - rank :]) != operator.input_shape:
        raise UnconvError(
            f"{type(operator).__name__}: a tensor of shape {tuple(x.shape)} does not end in the input shape "
            f"{operator.input_shape}; samples may only have leading batch axes"
        )
    if x.dtype != operator.dtype:
        raise UnconvError(
            f"{type(operator).__name__}: input is {x.dtype} and the operator {operator.dtype}; "
            "convert one of them with .to()"
        )
    lead = x.shape[: x.ndim - rank]
    y = apply(x.reshape(prod(lead), *operator.input_shape))
    return y.reshape(*lead, *operator.output_shape)


@dataclass(frozen=True, eq=False, repr=False)
class Transposed(LinearOperator):
    """Cᵀ of an operator C; its own transpose is C again."""

    operator: LinearOperator

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample going in: what C puts out."""
        return self.operator.output_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one sample coming out: what C takes."""
        return self.operator.input_shape

    @property
    def dtype(self) -> torch.dtype:
        """Type of C's numbers."""
        return self.operator.dtype

    @property
    def device(self) -> torch.device:
        """Where C's numbers are."""
        return self.operator.device

    @property
    def T(self) -> LinearOperator:
        """C."""
        return self.operator

    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Cᵀx for a batch of samples."""
        return self.operator.adjoint(x)

    def adjoint(self, y: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Cy for a batch of samples."""
        return self.operator.forward(y)

    def matrix(self) -> Tensor:
        """Cᵀ as a sparse matrix."""
        return self.operator.matrix().t().coalesce()


@dataclass(frozen=True, eq=False, repr=False)
class Composition(LinearOperator):
    """AB: first B, then A."""

    outer: LinearOperator
    inner: LinearOperator

    def __post_init__(self) -> None:
        if self.inner.output_shape != self.outer.input_shape:
            raise UnconvError(
                f"compose: the inner operator puts out {self.inner.output_shape} and the outer one takes "
                f"{self.outer.input_shape}; they must be equal"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample going in."""
        return self.inner.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one sample coming out."""
        return self.outer.output_shape

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers that go in."""
        return self.inner.dtype

    @property
    def device(self) -> torch.device:
        """Where those numbers are."""
        return self.inner.device

    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """ABx for a batch of samples."""
        return self.outer.forward(self.inner.forward(x))

    def adjoint(self, y: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """BᵀAᵀy for a batch of samples."""
        return self.inner.adjoint(self.outer.adjoint(y))

    def matrix(self) -> Tensor:
        """AB as a sparse matrix."""
        with warnings.catch_warnings():
            # torch multiplies through its CSR format and warns of that, whoever asks.
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            product: Tensor = torch.sparse.mm(self.outer.matrix(), self.inner.matrix())
        return product.coalesce()


def sparse_matrix(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A coalesced sparse matrix from its entries, each of which occurs once."""
    matrix = torch.sparse_coo_tensor(torch.stack([rows, columns]), values, shape, check_invariants=False)
    return matrix.coalesce()


def check_matrix_size(operation: str, nonzeros: int, shape: tuple[int, int]) -> None:
    """Refuse a matrix that would fill the memory."""
    if nonzeros > MATRIX_LIMIT:
        raise UnconvError(
            f"{operation}: the matrix {shape[0]:,}×{shape[1]:,} has {nonzeros:,} non-zeros, "
            f"more than {MATRIX_LIMIT:,}; use C @ x and C.T @ y, which need no matrix"
        )


def cut(size: tuple[int, ...], start: tuple[int, ...] | None = None) -> tuple[EllipsisType | slice, ...]:
    """Index of a box of ``size`` at ``start`` (default: the origin) in the trailing axes.

    >>> torch.arange(12).reshape(3, 4)[cut((2, 2), start=(1, 0))]
    tensor([[4, 5],
            [8, 9]])
    """
    corner = (0,) * len(size) if start is None else start
    return (..., *(slice(first, first + length) for first, length in zip(corner, size, strict=True)))
