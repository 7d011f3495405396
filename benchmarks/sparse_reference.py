"""Which setting of SPORCO is the fastest on each task, and what is the least objective known?

SPORCO runs in float32 with numexpr, ``FastSolve`` and two threads, and is timed from the arrays in its own layout to
the first iterate whose objective is low enough, set-up included, evaluation excluded. The objective is computed in
float64 from the sparse variable Y by code that is neither SPORCO's nor ours. The best of the settings tried here is
what the other benchmarks use; P*, the least objective seen from any solver, is kept in ``results/sparse_optimum.json``.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.harness import RESULTS
from benchmarks.sparse_tasks import Array, Task, coding_tasks

OPTIMUM = RESULTS / "sparse_optimum.json"
NEAR, NEARER = 1.001, 1.00001
THREADS = 2
# More multiplications than this a code entry, and the convolution goes through Fourier space.
DENSE = 30


@dataclass(frozen=True, eq=False)
class Codes:
    """The non-zeros of z: kernels, rows and columns (3, n), and values (n,) in float64."""

    indices: Array
    values: Array


@dataclass(frozen=True)
class Setting:
    """One of SPORCO's solvers with its options."""

    solver: str
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: int = 2

    def __str__(self) -> str:
        named = ", ".join(f"{key} {value}" for key, value in self.options.items())
        return f"{self.solver} ({named})"


@dataclass(frozen=True, eq=False)
class Run:
    """Seconds and objectives of a solver's iterates, and the codes of its last."""

    seconds: Array
    objective: Array
    codes: Codes

    def seconds_to(self, target: float) -> float:
        """When the objective was first at most ``target``; infinite if it never was."""
        reached = np.flatnonzero(self.objective <= target)
        return float(self.seconds[reached[0]]) if reached.size else float("inf")

    def steps_to(self, target: float) -> int | None:
        """The number of iterations until then."""
        reached = np.flatnonzero(self.objective <= target)
        return int(reached[0]) + 1 if reached.size else None


def objective(task: Task, codes: Codes) -> float:
    """P(z) = ½‖W(s − Σ_k d_k ∗ z_k)‖² + Σ_i λ_i|z_i| in float64.

    >>> import numpy as np
    >>> image, kernel = np.zeros((1, 4, 4)), np.ones((1, 1, 2, 2)) / 2
    >>> one = Codes(np.array([[0], [3], [3]]), np.array([2.0]))
    >>> objective(Task("corner", "corner", image, kernel, 0.5), one)
    3.0
    """
    magnitudes = np.abs(codes.values)
    if task.weights is not None:
        magnitudes = magnitudes * task.weights[tuple(codes.indices)]
    return float(0.5 * np.square(residual(task, codes)).sum() + task.scale * magnitudes.sum())


def gap(task: Task, codes: Codes) -> float:
    """(P − dual) / P at the dual point α·W(s − Dz), α the best that is feasible, in float64."""
    rest = residual(task, codes)
    target = task.image.astype(np.float64)
    if task.mask is not None:
        target, masked = target * task.mask, rest * task.mask
    else:
        masked = rest
    spectrum = np.fft.rfft2(masked)
    largest = 0.0
    for k, kernel in enumerate(task.dictionary.astype(np.float64)):
        correlation = np.fft.irfft2(
            (np.fft.rfft2(kernel, s=rest.shape[1:]).conj() * spectrum).sum(axis=0), s=rest.shape[1:]
        )
        bound = task.scale if task.weights is None else task.scale * task.weights[k]
        largest = max(largest, float(np.max(np.abs(correlation) / bound)))
    energy, overlap = float(np.square(rest).sum()), float((rest * target).sum())
    alpha = float(np.clip(overlap / energy, 0.0, 1.0 / largest))
    dual = alpha * overlap - 0.5 * alpha**2 * energy
    primal = objective(task, codes)
    return (primal - dual) / primal


def residual(task: Task, codes: Codes) -> Array:
    """W(s − Dz), (C, H, W) in float64."""
    rest = task.image.astype(np.float64) - synthesis(codes, task.dictionary, task.image.shape[1:])
    return rest if task.mask is None else rest * task.mask


def synthesis(codes: Codes, dictionary: Array, size: tuple[int, ...]) -> Array:
    """Σ_k d_k ∗ z_k, circular: (C, H, W) in float64."""
    kernels = dictionary.astype(np.float64)
    work = codes.values.size * kernels[0].size
    method = synthesis_by_taps if work <= DENSE * len(kernels) * size[0] * size[1] else synthesis_by_fourier
    return method(codes, kernels, size)


def synthesis_by_taps(codes: Codes, kernels: Array, size: tuple[int, ...]) -> Array:
    """One histogram for each entry of the kernels: what every non-zero adds at that offset."""
    height, width = size
    k, rows, columns = codes.indices
    _, channels, taps, across = kernels.shape
    image = np.zeros((channels, height * width))
    for i in range(taps):
        lines = (rows + i) % height * width
        for j in range(across):
            pixels = lines + (columns + j) % width
            for channel in range(channels):
                weights = codes.values * kernels[k, channel, i, j]
                image[channel] += np.bincount(pixels, weights=weights, minlength=height * width)
    return image.reshape(channels, height, width)


def synthesis_by_fourier(codes: Codes, kernels: Array, size: tuple[int, ...]) -> Array:
    """The same as a product of transforms, kernel by kernel."""
    order = np.argsort(codes.indices[0], kind="stable")
    starts = np.searchsorted(codes.indices[0][order], np.arange(len(kernels) + 1))
    spectrum: Array = np.zeros((kernels.shape[1], size[0], size[1] // 2 + 1), dtype=complex)
    for k, kernel in enumerate(kernels):
        own = order[starts[k] : starts[k + 1]]
        if own.size:
            plane = np.zeros(size)
            plane[codes.indices[1][own], codes.indices[2][own]] = codes.values[own]
            spectrum += np.fft.rfft2(plane) * np.fft.rfft2(kernel, s=size)
    return np.asarray(np.fft.irfft2(spectrum, s=size))


def sporco(
    task: Task,
    setting: Setting,
    steps: int = 500,
    target: float = 0.0,
    dtype: type = np.float32,
    every: int = 1,
) -> Run:
    """SPORCO's iterates until the objective is at most ``target``, evaluated at ``every`` so many iterations."""
    image, dictionary, mask, weights = sporco_layout(task, dtype)
    seconds: list[float] = []
    objectives: list[float] = []
    state: dict[str, Any] = {"paused": 0.0, "codes": None, "step": 0}

    def look(solver: Any) -> bool:
        now = time.perf_counter()
        state["step"] += 1
        if state["step"] % every == 0 or state["step"] == steps:
            state["codes"] = codes_of(solver, len(task.dictionary))
            seconds.append(now - start - state["paused"])
            objectives.append(objective(task, state["codes"]))
        state["paused"] += time.perf_counter() - now
        return bool(objectives) and objectives[-1] <= target

    options = {"MaxMainIter": steps, "FastSolve": True, "RelStopTol": 0.0, **setting.options, "Callback": look}
    with peculiarities(setting):
        start = time.perf_counter()
        SOLVERS[setting.solver](image, dictionary, task.scale, mask, weights, options, setting.groups).solve()
    return Run(np.array(seconds), np.array(objectives), state["codes"])


def sporco_layout(task: Task, dtype: type) -> tuple[Array, Array, Array | None, Array | None]:
    """Image (H, W) or (H, W, C), dictionary (h, w, K) or (h, w, C, K), mask (H, W), weights (H, W, 1, 1, K)."""
    image = np.ascontiguousarray(task.image.transpose(1, 2, 0), dtype=dtype)
    dictionary = np.ascontiguousarray(task.dictionary.transpose(2, 3, 1, 0), dtype=dtype)
    if image.shape[2] == 1:
        image, dictionary = image[:, :, 0], dictionary[:, :, 0]
    mask = None if task.mask is None else np.ascontiguousarray(task.mask[0], dtype=dtype)
    weights = None
    if task.weights is not None:
        weights = np.ascontiguousarray(task.weights.transpose(1, 2, 0)[:, :, None, None], dtype=dtype)
    return image, dictionary, mask, weights


def codes_of(solver: Any, kernels: int) -> Codes:
    """The non-zeros of SPORCO's sparse variable."""
    if hasattr(solver, "block_sep1"):
        dense = np.squeeze(solver.block_sep1(solver.Y))
    elif type(solver).__name__ == "ParConvBPDN":
        from sporco.admm import parcbpdn

        dense = np.moveaxis(np.squeeze(parcbpdn.mp_Y1), 0, -1)
    elif not hasattr(solver, "Y") or type(solver).__module__.startswith("sporco.pgm"):
        dense = np.squeeze(solver.X)
    else:
        dense = np.squeeze(solver.Y)[..., :kernels]
    rows, columns, k = np.nonzero(dense)
    return Codes(np.stack([k, rows, columns]), dense[rows, columns, k].astype(np.float64))


@contextlib.contextmanager
def peculiarities(setting: Setting) -> Iterator[None]:
    """Threads for the transforms (one a process where SPORCO uses processes), and its warnings silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sporco.admm.parcbpdn  # it sets the number of threads when imported, so it comes first
        import sporco.fft

        sporco.fft.pyfftw_threads = 1 if setting.solver == "ParConvBPDN" else THREADS
        yield


def _plain(image: Array, dictionary: Array, scale: float, _: Any, weights: Any, options: Any, __: int) -> Any:
    from sporco.admm import cbpdn

    extra = {} if weights is None else {"L1Weight": weights}
    several = 0 if image.ndim == 2 else None
    return cbpdn.ConvBPDN(dictionary, image, scale, cbpdn.ConvBPDN.Options({**options, **extra}), dimK=several)


def _mask_decoupled(image: Array, dictionary: Array, scale: float, mask: Any, _: Any, options: Any, __: int) -> Any:
    from sporco.admm import cbpdn

    chosen = cbpdn.ConvBPDNMaskDcpl.Options(options)
    return cbpdn.ConvBPDNMaskDcpl(dictionary, image, scale, mask, opt=chosen)


def _mask_simulated(image: Array, dictionary: Array, scale: float, mask: Any, _: Any, options: Any, __: int) -> Any:
    from sporco.admm import cbpdn

    chosen = cbpdn.ConvBPDN.Options({**options, "L1Weight": _no_penalty_on_the_last(dictionary)})
    return cbpdn.AddMaskSim(cbpdn.ConvBPDN, dictionary, image, mask, scale, opt=chosen)


def _no_penalty_on_the_last(dictionary: Array) -> Array:
    weights = np.ones((1, 1, 1, 1, dictionary.shape[-1] + 1), dtype=dictionary.dtype)
    weights[..., -1] = 0.0
    return weights


def _parallel(image: Array, dictionary: Array, scale: float, mask: Any, weights: Any, options: Any, groups: int) -> Any:
    from sporco.admm import parcbpdn

    extra = {} if weights is None else {"L1Weight": weights}
    chosen = parcbpdn.ParConvBPDN.Options({**options, **extra, "AutoRho": {"Enabled": False}})
    return parcbpdn.ParConvBPDN(dictionary, image, scale, mask, opt=chosen, nproc=THREADS, ngrp=groups, dimK=0)


def _proximal(image: Array, dictionary: Array, scale: float, mask: Any, weights: Any, options: Any, _: int) -> Any:
    from sporco.pgm import cbpdn

    extra = {} if weights is None else {"L1Weight": weights}
    kept = {key: value for key, value in options.items() if key not in ("AutoRho", "HighMemSolve")}
    if mask is not None:
        return cbpdn.ConvBPDNMask(dictionary, image, scale, mask, cbpdn.ConvBPDNMask.Options({**kept, **extra}))
    several = 0 if image.ndim == 2 else None
    return cbpdn.ConvBPDN(dictionary, image, scale, cbpdn.ConvBPDN.Options({**kept, **extra}), dimK=several)


SOLVERS: dict[str, Callable[..., Any]] = {
    "ConvBPDN": _plain,
    "ConvBPDNMaskDcpl": _mask_decoupled,
    "AddMaskSim": _mask_simulated,
    "ParConvBPDN": _parallel,
    "PGM": _proximal,
}


def optimum(task: Task) -> float:
    """P*, the least objective known of a task."""
    if not OPTIMUM.exists():
        raise RuntimeError(f"no {OPTIMUM.name} yet; unconv bench sparse_reference makes it")
    return float(json.loads(OPTIMUM.read_text(encoding="utf-8"))[task.name]["objective"])
