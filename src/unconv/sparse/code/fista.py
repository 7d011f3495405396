"""FISTA, accelerated proximal gradient on dense codes: any device, one to three axes, and a form that learns.

FISTA (Beck & Teboulle 2009) with the exact step size and adaptive restart by the gradient scheme (O'Donoghue &
Candès 2015, §3.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from time import perf_counter

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.errors import SparseError
from unconv.sparse.code.boundary import Boundary, check_boundary, code_size, correlate, synthesize
from unconv.sparse.code.certificate import Certificate, certify
from unconv.sparse.code.fft_convolutions import Convolutions
from unconv.sparse.code.problem import Problem
from unconv.sparse.code.solution import Solution, Trace
from unconv.sparse.code.step_size import squared_norm_bound

DEFAULT_MAX_STEPS = 20_000
_CHECK_EVERY = 10
# Neither the objective nor the bound below it improved over as many checks: rounding has the last word.
_PATIENCE = 40
# What a float32 spectrum may be wrong by.
_SAFETY = 1.0 + 1e-5


def solve_fista(problem: Problem, tol: float = 1e-3, max_steps: int | None = None) -> Solution:
    """Codes of one image to the relative duality gap ``tol``, or as near as ``max_steps`` or rounding let it come.

    >>> from unconv.sparse.code.problem import problems_from
    >>> [problem] = problems_from(torch.ones(1, 1, 8), torch.ones(1, 1, 3), penalty=0.5)
    >>> solution = solve_fista(problem)
    >>> solution.converged, solution.indices.shape[0]
    (True, 2)
    """
    with torch.no_grad():
        return _Run.of(problem).solve(tol, DEFAULT_MAX_STEPS if max_steps is None else max_steps)


@tell_wrong_arguments
def fista(
    images: Float[Tensor, "batch channels *size"],
    dictionary: Float[Tensor, "kernels channels *kernel"],
    penalty: float | Tensor,
    steps: int,
    boundary: Boundary = "crop",
    *,
    nonnegative: bool = False,
    step_size: float | Tensor | None = None,
) -> Float[Tensor, "batch kernels *code"]:
    """Dense codes after ``steps`` steps from zero, differentiable in images, dictionary, penalty and step size.

    z ← S(y + η Dᵀ(s − Dy), ηλ), y ← z + β(z − z′) with Beck & Teboulle's β; unrolled, so that it can sit in a network
    (Gregor & LeCun 2010). η = 1/‖D‖² unless ``step_size`` is given; no restarts, which a gradient does not see.

    >>> images, dictionary = torch.randn(2, 3, 16, 16), torch.randn(8, 3, 5, 5, requires_grad=True)
    >>> codes = fista(images, dictionary, penalty=0.1, steps=5)
    >>> codes.shape, torch.autograd.grad(codes.square().sum(), dictionary)[0].shape
    (torch.Size([2, 8, 20, 20]), torch.Size([8, 3, 5, 5]))

    Args:
        images: (N, C, *size).
        dictionary: (K, C, *kernel).
        penalty: λ: a number, one a kernel (K,), or a tensor that broadcasts to (N, K, *code).
        steps: how many.
        boundary: "crop", "valid" or "circular".
        nonnegative: whether z ≥ 0.
        step_size: η.

    Raises :class:`~unconv.errors.SparseError` where the shapes do not fit.
    """
    _check_layer(images, dictionary, penalty, steps, boundary)
    axes = dictionary.ndim - 2
    size = tuple(images.shape[2:])
    if step_size is None:
        step_size = (1 / squared_norm_bound(dictionary, boundary, size).clamp_min(1e-30)).to(images)
    if isinstance(penalty, Tensor) and penalty.ndim == 1:
        penalty = penalty.reshape(-1, *(1,) * axes)
    codes = images.new_zeros(len(images), len(dictionary), *code_size(size, dictionary.shape[2:], boundary, "fista"))
    _check_broadcast(codes, penalty=penalty, step_size=step_size)
    threshold = images.new_ones(()) * step_size * penalty
    ahead, momentum = codes, 1.0
    for _ in range(steps):
        residual = images - synthesize(ahead, dictionary, boundary, size)
        moved = _shrink(ahead + step_size * correlate(residual, dictionary, boundary), threshold, nonnegative)
        momentum, push = _next_momentum(momentum)
        ahead, codes = moved + push * (moved - codes), moved
    return codes


def _check_layer(images: Tensor, dictionary: Tensor, penalty: float | Tensor, steps: int, boundary: str) -> None:
    check_boundary(boundary, "fista")
    if images.ndim != dictionary.ndim or not 3 <= images.ndim <= 5 or images.shape[1] != dictionary.shape[1]:
        raise SparseError(
            f"fista: images of shape {tuple(images.shape)} and a dictionary of shape {tuple(dictionary.shape)} do not "
            "fit; give (batch, channels, *size) and (kernels, channels, *kernel size)"
        )
    if steps < 1:
        raise SparseError(f"fista: {steps} steps give no codes; use at least 1")
    if not isinstance(penalty, Tensor) and penalty < 0:
        raise SparseError(f"fista: penalty {penalty} is negative; use 0 and above")


def _check_broadcast(codes: Tensor, **given: float | Tensor) -> None:
    for name, value in given.items():
        shape = tuple(value.shape) if isinstance(value, Tensor) else ()
        fits = len(shape) <= codes.ndim and all(
            one in (1, size) for one, size in zip(reversed(shape), reversed(codes.shape), strict=False)
        )
        if not fits:
            raise SparseError(
                f"fista: {name} of shape {shape} does not broadcast to the codes' {tuple(codes.shape)}; give a number, "
                "one a kernel, or one a coefficient"
            )


def _shrink(values: Tensor, threshold: Tensor, nonnegative: bool) -> Tensor:
    """The proximal map of λ|z|: towards zero by the threshold; inf leaves nothing."""
    if nonnegative:
        return (values - threshold).clamp_min(0)
    return values - values.clamp(-threshold, threshold)


def _next_momentum(momentum: float) -> tuple[float, float]:
    """t′ = (1 + √(1 + 4t²))/2 and β = (t − 1)/t′."""
    following = (1 + sqrt(1 + 4 * momentum * momentum)) / 2
    return following, (momentum - 1) / following


@dataclass(eq=False)
class _Run:
    """One run of the solver: what stays the same, and what it has found so far."""

    problem: Problem
    convolutions: Convolutions
    penalties: Tensor
    bound: float
    started: float
    best_dual: float = 0.0
    checks: list[tuple[float, float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, problem: Problem) -> _Run:
        started = perf_counter()
        convolutions = Convolutions.of(problem.dictionary, problem.boundary, problem.image_size)
        largest_weight = 1.0 if problem.weight is None else float(problem.weight.max())
        norm = squared_norm_bound(problem.dictionary, problem.boundary, problem.image_size)
        bound = float(norm) * largest_weight**2 * _SAFETY
        correlation = None
        if problem.penalty.needs_correlation:
            correlation = convolutions.correlate(problem.weighted_image)
        penalties = problem.penalty.values(correlation, slice(0, problem.code_size[0]))
        return cls(problem, convolutions, penalties, bound or 1.0, started)

    def solve(self, tol: float, max_steps: int) -> Solution:
        codes = self._start()
        image_of_codes = self.convolutions.synthesize(codes)
        certificate = self._check(codes, image_of_codes)
        ahead, image_ahead, momentum, step = codes, image_of_codes, 1.0, 0
        while self.checks[-1][2] > tol and step < max_steps and not self._stalled():
            step += 1
            moved = self._step(ahead, image_ahead)
            image_of_moved = self.convolutions.synthesize(moved)
            change = moved - codes
            # The momentum points uphill: start it anew.
            if float(torch.dot((ahead - moved).flatten(), change.flatten())) > 0:
                momentum = 1.0
            momentum, push = _next_momentum(momentum)
            # D is linear: the image of the codes ahead needs no second synthesis.
            ahead = torch.add(moved, change, alpha=push)
            image_ahead = image_of_moved + push * (image_of_moved - image_of_codes)
            codes, image_of_codes = moved, image_of_moved
            if step % _CHECK_EVERY == 0 or step == max_steps:
                certificate = self._check(codes, image_of_codes)
        indices = codes.nonzero().T.contiguous()
        gap = self.checks[-1][2]
        seconds, objectives, gaps = (torch.tensor(row, dtype=torch.float64) for row in zip(*self.checks, strict=True))
        trace = Trace(seconds, objectives, gaps)
        return Solution(indices, codes[codes != 0], certificate.objective, gap, step, gap <= tol, trace)

    def _start(self) -> Tensor:
        problem = self.problem
        codes = problem.image.new_zeros(problem.n_kernels, *problem.code_size)
        if problem.start is not None:
            indices, values = problem.start
            codes[tuple(indices)] = values
            codes = torch.where(torch.isinf(self.penalties), 0, codes)
        return codes

    def _step(self, ahead: Tensor, image_ahead: Tensor) -> Tensor:
        residual = self.problem.image - image_ahead
        if self.problem.weight is not None:
            residual = residual * self.problem.weight.square()
        uphill = self.convolutions.correlate(residual)
        return _shrink(
            torch.add(ahead, uphill, alpha=1 / self.bound), self.penalties / self.bound, self.problem.nonnegative
        )

    def _check(self, codes: Tensor, image_of_codes: Tensor) -> Certificate:
        """The certificate at some codes; its dual value is the best of all so far, each of which is a bound."""
        problem = self.problem
        residual, weighted = problem.image - image_of_codes, problem.image
        again = residual
        if problem.weight is not None:
            residual, weighted = residual * problem.weight, weighted * problem.weight
            again = residual * problem.weight
        found = certify(
            residual, weighted, self.convolutions.correlate(again), codes, self.penalties, problem.nonnegative
        )
        self.best_dual = max(self.best_dual, found.dual)
        found = Certificate(found.objective, self.best_dual)
        self.checks.append((perf_counter() - self.started, found.objective, found.gap))
        return found

    def _stalled(self) -> bool:
        if len(self.checks) <= _PATIENCE:
            return False
        before, since = self.checks[:-_PATIENCE], self.checks[-_PATIENCE:]
        return all(min(row[place] for row in since) >= min(row[place] for row in before) for place in (1, 2))
