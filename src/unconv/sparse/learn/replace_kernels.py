"""Replacement of unused kernels by what the codes explain worst."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unconv.sparse.code.problem import Problem
from unconv.sparse.code.solution import Solution
from unconv.sparse.code.synthesize import synthesize_sparse
from unconv.sparse.learn.constraints import Constraint, norms

PER_IMAGE = 8


@dataclass(frozen=True, eq=False)
class Patches:
    """Pieces of the residual, the worst explained first: ``scores`` ‖piece‖² (n,), ``pieces`` (n, C, *kernel)."""

    scores: Float[Tensor, " pieces"]
    pieces: Float[Tensor, "pieces channels *kernel"]

    def __add__(self, other: Patches) -> Patches:
        """The pieces of both, in order; of equal ones those of the first come first."""
        scores = torch.cat([self.scores, other.scores])
        order = torch.argsort(scores, descending=True, stable=True)
        return Patches(scores[order], torch.cat([self.pieces, other.pieces])[order])

    def best(self, count: int) -> Patches:
        """The worst explained."""
        return Patches(self.scores[:count], self.pieces[:count])

    @classmethod
    def none(cls, like: Tensor) -> Patches:
        """No piece, of the shape of the kernels ``like``."""
        return cls(like.new_zeros(0), like.new_zeros(0, *like.shape[1:]))


def worst_patches(problem: Problem, solution: Solution, zero_mean: bool, count: int = PER_IMAGE) -> Patches:
    """The pieces of kernel size of W²(s − Dz) with the largest norm that do not overlap; without their mean if told.

    Images smaller than a kernel give none.
    """
    kernels = problem.dictionary
    if any(taps > size for size, taps in zip(problem.image_size, problem.kernel_size, strict=True)):
        return Patches.none(kernels)
    made = synthesize_sparse(solution.indices, solution.values, kernels, problem.boundary, problem.image_size)
    left = problem.image - made
    left = left if problem.weight is None else left * problem.weight.square()
    energy = _scores(left, problem.kernel_size, zero_mean)
    scores, pieces = [], []
    for _ in range(count):
        best = int(energy.argmax())
        place = torch.unravel_index(torch.tensor(best), energy.shape)
        score = float(energy.flatten()[best])
        if score <= 0:
            break
        scores.append(score)
        at = [slice(int(p), int(p) + taps) for p, taps in zip(place, problem.kernel_size, strict=True)]
        pieces.append(left[(slice(None), *at)])
        near = [
            slice(max(0, int(p) - taps + 1), int(p) + taps) for p, taps in zip(place, problem.kernel_size, strict=True)
        ]
        energy[tuple(near)] = 0
    if not pieces:
        return Patches.none(kernels)
    return Patches(torch.tensor(scores, dtype=left.dtype), torch.stack(pieces))


def _scores(left: Tensor, kernel_size: tuple[int, ...], zero_mean: bool) -> Tensor:
    """‖piece‖² at every position."""
    pool = F.avg_pool2d if len(kernel_size) == 2 else F.avg_pool1d
    power = pool(left.square()[None], kernel_size, stride=1)[0]
    if zero_mean:
        power = power - pool(left[None], kernel_size, stride=1)[0].square()
    return power.sum(0) * float(torch.tensor(kernel_size).prod())


def replace_kernels(
    dictionary: Float[Tensor, "kernels channels *kernel"],
    idle: Bool[Tensor, " kernels"],
    patches: Patches,
    constraint: Constraint,
) -> Tensor:
    """The dictionary with the idle kernels replaced, in order, by the patches brought into the constraint.

    Kernels for which no patch is left, or one of which the constraint leaves nothing, stay.
    """
    kernels = dictionary.clone()
    places = [int(place) for place in idle.nonzero()[:, 0]]
    for place, piece in zip(places, patches.pieces, strict=False):
        kernels[place] = piece
    fresh = constraint.unit(kernels)
    good = idle & (norms(fresh) > 0.5)
    return torch.where(good.reshape(-1, *(1,) * (kernels.ndim - 1)), fresh, dictionary)
