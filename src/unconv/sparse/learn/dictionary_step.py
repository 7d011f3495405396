"""The dictionary update: the best dictionary for given codes, by projected gradient from their statistics alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from unconv.sparse.learn.constraints import Constraint
from unconv.sparse.learn.statistics import Statistics

_POWER_STEPS = 12
_LEAST_USE = 1e-12
# Below so many numbers in the spectrum, threads cost more than they bring.
_WORTH_THREADS = 10_000_000


def dictionary_step(
    statistics: Statistics,
    dictionary: Tensor,
    constraint: Constraint,
    steps: int = 20,
    tol: float = 1e-4,
    relaxation: float = 1.0,
) -> Tensor:
    """A dictionary (K, C, *kernel) in the constraint with ½ Σ‖s̃ − Σ_k d_k ∗ z_k‖² at most that of ``dictionary``.

    Accelerated projected gradient with restart (Beck & Teboulle 2009; O'Donoghue & Candès 2015) in the metric
    Σ_k L_k ‖d_k‖², L_k a bound of the curvature in d_k alone: kernels used a lot and hardly ever move alike, and the
    projection stays one per kernel. A ∗ d is taken in the Fourier domain, where it is a K×K matrix per frequency.
    Kernels in use nowhere stay what they are. It ends after ``steps``, or once a step moves less than ``tol``.

    A ``relaxation`` above 1 goes that much farther than the best dictionary for these codes, unless that is worse than
    where it began: codes and dictionary that take turns get to where both are best in fewer rounds (successive
    over-relaxation: Young 1954).
    """
    start = dictionary.detach().reshape(statistics.correlation.shape)
    limits = Constraint(
        constraint.support.reshape(len(start), *start.shape[2:]), constraint.zero_mean, constraint.nonnegative
    )
    with _one_thread(2 * statistics.gram.numel() < _WORTH_THREADS):
        quadratic = _Quadratic.of(statistics, dictionary.dtype)
        found = _descend(quadratic, start, limits, steps, tol)
        if relaxation > 1:
            farther = limits.project(start + relaxation * (found - start))
            if quadratic.at(farther) <= quadratic.at(start):
                found = farther
    idle = quadratic.curvature <= 0
    return torch.where(idle[:, None, None, None], start, found).reshape(dictionary.shape)


@dataclass(frozen=True, eq=False)
class _Quadratic:
    """½⟨d, A d⟩ − ⟨d, B⟩, with (A d)_j(i) = Σ_k Σ_i' A_jk(i − i') d_k(i').

    How it is curved: ``spectrum`` (frequencies, K, K), ``curvature`` L (K,).
    """

    spectrum: Tensor
    correlation: Tensor
    curvature: Tensor
    size: tuple[int, int]

    @classmethod
    def of(cls, statistics: Statistics, dtype: torch.dtype) -> _Quadratic:
        height, width = statistics.correlation.shape[2:]
        # On a torus of at least 2h − 1 lags no two lags meet.
        size = (_even(2 * height - 1), _even(2 * width - 1))
        lags = torch.zeros(*statistics.gram.shape[:2], *size, dtype=dtype)
        lags[:, :, : 2 * height - 1, : 2 * width - 1] = statistics.full_gram
        lags = lags.roll((1 - height, 1 - width), (2, 3))
        spectrum = torch.fft.rfft2(lags).flatten(2).permute(2, 0, 1)
        spectrum = spectrum.contiguous()
        own = spectrum.diagonal(dim1=1, dim2=2).abs().amax(0)
        return cls(spectrum, statistics.correlation.to(dtype), _bound_curvature(own, spectrum), size)

    def gradient(self, kernels: Tensor) -> Tensor:
        waves = torch.fft.rfft2(kernels, self.size)
        flat = waves.flatten(2).permute(2, 0, 1)
        moved = torch.bmm(self.spectrum, flat).permute(1, 2, 0).reshape(waves.shape)
        seen: Tensor = torch.fft.irfft2(moved, self.size)[..., : kernels.shape[2], : kernels.shape[3]]
        return seen - self.correlation

    def at(self, kernels: Tensor) -> float:
        return self.value(kernels, self.gradient(kernels))

    def value(self, kernels: Tensor, gradient: Tensor) -> float:
        return 0.5 * float((kernels * (gradient - self.correlation)).sum(dtype=torch.float64))


def _bound_curvature(own: Tensor, spectrum: Tensor) -> Tensor:
    """L_k: each kernel's own curvature, times what makes Σ L_k‖d_k‖² ≥ ⟨d, A d⟩ as power iteration sees it."""
    used = own > _LEAST_USE * own.max().clamp_min(torch.finfo(own.dtype).tiny)
    scale = torch.where(used, own.clamp_min(torch.finfo(own.dtype).tiny).rsqrt(), 0).to(spectrum.dtype)
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(*spectrum.shape[:2], 1, generator=generator, dtype=own.dtype).to(spectrum.dtype)
    largest = torch.ones(())
    for _ in range(_POWER_STEPS):
        vector = scale[:, None] * torch.bmm(spectrum, scale[:, None] * vector)
        lengths = torch.linalg.vector_norm(vector, dim=1, keepdim=True)
        largest = lengths.max()
        vector = vector / lengths.clamp_min(torch.finfo(own.dtype).tiny)
    return torch.where(used, own * float(largest), 0)


def _descend(quadratic: _Quadratic, start: Tensor, constraint: Constraint, steps: int, tol: float) -> Tensor:
    rates = torch.where(quadratic.curvature > 0, 1 / quadratic.curvature.clamp_min(1e-30), 0)[:, None, None, None]
    best, best_slope = start, quadratic.gradient(start)
    least = quadratic.value(best, best_slope)
    ahead, slope, momentum = best, best_slope, 1.0
    for _ in range(steps):
        after = constraint.project(ahead - rates * slope)
        after_slope = quadratic.gradient(after)
        value = quadratic.value(after, after_slope)
        if value > least:
            # Either the momentum went too far, or the curvature is more than it seemed.
            if ahead is best:
                rates = rates / 2
            ahead, slope, momentum = best, best_slope, 1.0
            continue
        moved = float((after - best).abs().max())
        grown = (1 + sqrt(1 + 4 * momentum**2)) / 2
        beta, momentum = (momentum - 1) / grown, grown
        # The gradient is affine: that of a point on a line through two others needs no product with A.
        ahead, slope = after + beta * (after - best), after_slope + beta * (after_slope - best_slope)
        best, best_slope, least = after, after_slope, value
        if moved < tol:
            break
    return best


@contextmanager
def _one_thread(wanted: bool) -> Iterator[None]:
    before = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _even(size: int) -> int:
    """The next size that the FFT likes."""
    while size % 2 or any(prime for prime in (7, 11, 13, 17, 19, 23, 29, 31, 37) if size % prime == 0):
        size += 1
    return size
