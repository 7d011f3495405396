"""Coding with a dictionary in several turns of its kernels: what denoising and inpainting share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unconv.choices import Boundary, Solver
from unconv.errors import SparseError
from unconv.sparse.code.encode import encode
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.learn.dictionaries import turn_kernels
from unconv.sparse.types import PenaltyLike


@dataclass(frozen=True)
class Controls:
    """How the coding runs: ``turns`` of the dictionary, the rest as encode takes it."""

    turns: int
    boundary: Boundary
    tol: float
    solver: Solver
    threads: int | None

    def __post_init__(self) -> None:
        if self.turns not in (1, 2, 3, 4):
            raise SparseError(f"turns: {self.turns!r} quarter turns of the dictionary; give 1, 2, 3 or 4")


def code_in_turns(
    stack: Tensor, kernels: Tensor, penalty: PenaltyLike, controls: Controls, *, mask: Tensor | None = None
) -> tuple[tuple[Encoding, ...], Tensor]:
    """Codes of a stack (N, C, *size) for every turn of a dictionary, and the mean of their reconstructions.

    >>> controls = Controls(turns=2, boundary="crop", tol=1e-2, solver="auto", threads=None)
    >>> encodings, mean = code_in_turns(torch.rand(3, 1, 16, 16), torch.randn(4, 1, 5, 5), 0.5, controls)
    >>> len(encodings), mean.shape
    (2, torch.Size([3, 1, 16, 16]))
    """
    encodings = tuple(
        encode(
            stack,
            turn_kernels(kernels, turn),
            penalty,
            mask=mask,
            boundary=controls.boundary,
            tol=controls.tol,
            solver=controls.solver,
            threads=controls.threads,
        )
        for turn in range(controls.turns)
    )
    total = torch.zeros_like(stack)
    for encoding in encodings:
        rebuilt = encoding.reconstruct()
        total += rebuilt if isinstance(rebuilt, Tensor) else torch.stack(rebuilt)
    return encodings, total / controls.turns
