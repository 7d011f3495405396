"""The solution of a sparse-coding problem: codes, duality gap and the trace of its convergence."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from unconv.results import Shown


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Shown):
    """How a solver came to its answer: one entry for each time it looked at its duality gap.

    ``seconds`` since the solver started, ``objective`` P(z), relative ``gap``; 1-D float64 tensors of one length.
    """

    seconds: Float[Tensor, " checks"]
    objective: Float[Tensor, " checks"]
    gap: Float[Tensor, " checks"]


@dataclass(frozen=True, eq=False, repr=False)
class Solution(Shown):
    """Codes of one image, and how good they are.

    ``indices`` (1 + axes, non-zeros) int64 in the order of a coalesced tensor: by kernel, then row-major by position;
    ``values`` (non-zeros,) in the problem's dtype; ``objective`` P(z); ``gap`` the relative duality gap: the objective
    is at most gap · objective above the smallest possible; ``steps`` of the solver; ``converged``: gap ≤ tol.
    """

    indices: Int[Tensor, "axes nonzeros"]
    values: Float[Tensor, " nonzeros"]
    objective: float
    gap: float
    steps: int
    converged: bool
    trace: Trace
