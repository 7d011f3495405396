"""Constraint sets of kernels, and the projections on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconv.errors import SparseError
from unconv.results import Shown

NAMES = ("unit", "zero_mean", "nonnegative", "zero_border")


@dataclass(frozen=True, eq=False, repr=False)
class Constraint(Shown):
    """Kernels of norm at most 1 in a convex cone: ``support`` (K, *kernel) tells where taps may differ from 0.

    With ``zero_mean`` the taps of each channel sum to 0, with ``nonnegative`` none is below 0. Since codes that stand
    for the same image cost less the larger the kernels are, those in use have norm 1 in the end.

    The nearest point of a cone's part within the unit ball is the nearest point of the cone, scaled down to norm 1
    where it is longer (Moreau 1962); so all of these combine exactly.
    """

    support: Bool[Tensor, " kernels *kernel"]
    zero_mean: bool = False
    nonnegative: bool = False

    def cone(self, dictionary: Float[Tensor, "kernels channels *kernel"]) -> Tensor:
        """The nearest kernels of any norm."""
        support = self.support[:, None]
        kernels = torch.where(support, dictionary, 0)
        if self.nonnegative:
            return kernels.clamp_min(0)
        if self.zero_mean:
            axes = tuple(range(2, kernels.ndim))
            counts = support.sum(axes, keepdim=True)
            kernels = torch.where(support, kernels - kernels.sum(axes, keepdim=True) / counts, 0)
        return kernels

    def project(self, dictionary: Float[Tensor, "kernels channels *kernel"]) -> Tensor:
        """The nearest kernels of norm at most 1.

        >>> constraint = as_constraint("zero_mean", [(1, (2, 2))])
        >>> constraint.project(torch.tensor([[[[0.9, 0.1], [0.1, 0.1]]]])).round(decimals=2)
        tensor([[[[ 0.6000, -0.2000],
                  [-0.2000, -0.2000]]]])
        """
        kernels = self.cone(dictionary)
        return kernels / _wide(norms(kernels).clamp_min(1), kernels)

    def unit(self, dictionary: Float[Tensor, "kernels channels *kernel"]) -> Tensor:
        """The nearest kernels of any norm, made of norm 1; those of which nothing is left stay 0."""
        kernels = self.cone(dictionary)
        lengths = norms(kernels)
        # What rounding leaves of a kernel that is orthogonal to the cone is no kernel.
        small = lengths <= 1e-5 * norms(dictionary)
        return kernels * _wide(torch.where(small, 0, 1 / torch.where(small, 1, lengths)), kernels)


def norms(dictionary: Float[Tensor, "kernels channels *kernel"]) -> Float[Tensor, " kernels"]:
    """‖d_k‖ of each kernel."""
    found: Tensor = torch.linalg.vector_norm(dictionary.flatten(1), dim=1)
    return found


def as_constraint(
    names: str | Sequence[str], sizes: Sequence[tuple[int, tuple[int, ...]]], where: str = "learn"
) -> Constraint:
    """The constraint of these names on so many kernels of such sizes, each top-left within the largest.

    "unit": norm 1, always so; "zero_mean": the taps of each channel sum to 0; "nonnegative": none below 0;
    "zero_border": the outermost taps are 0, so that kernels fade out within their size.

    >>> as_constraint(("unit", "zero_border"), [(1, (3, 3)), (2, (4, 5))]).support.sum((1, 2))
    tensor([1, 6, 6])

    Raises :class:`~unconv.errors.SparseError` for other names, and for what leaves nothing but 0.
    """
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        if name not in NAMES:
            raise SparseError(
                f"{where}: constraint {name!r} is not known; use {', '.join(map(repr, NAMES))}, or several"
            )
    if {"zero_mean", "nonnegative"} <= set(chosen):
        raise SparseError(f"{where}: constraints 'zero_mean' and 'nonnegative' leave no kernel but 0; use one of them")
    margin = 1 if "zero_border" in chosen else 0
    largest = tuple(max(axis) for axis in zip(*(size for _, size in sizes), strict=True))
    supports = []
    for count, size in sizes:
        inner = [slice(margin, extent - margin) if extent > 1 else slice(None) for extent in size]
        taps = prod(max(0, extent - 2 * margin) if extent > 1 else 1 for extent in size)
        _check_room(taps, size, "zero_mean" in chosen, where)
        support = torch.zeros(count, *largest, dtype=torch.bool)
        support[(slice(None), *inner)] = True
        supports.append(support)
    return Constraint(torch.cat(supports), "zero_mean" in chosen, "nonnegative" in chosen)


def _check_room(taps: int, size: Sequence[int], zero_mean: bool, where: str) -> None:
    if taps < (2 if zero_mean else 1):
        told = "x".join(map(str, size))
        raise SparseError(
            f"{where}: of a kernel of size {told} the constraints leave {taps} taps"
            f"{' that sum to 0' if zero_mean else ''}; use larger kernels or fewer constraints"
        )


def _wide(numbers: Tensor, kernels: Tensor) -> Tensor:
    return numbers.reshape(-1, *(1,) * (kernels.ndim - 1))
