"""SPORCO's coders, run in float32 on two threads with a clock that stands still while their iterates are judged."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.rivals.objective import Codes, objective
from benchmarks.sparse_tasks import Array, Task

THREADS = 2


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


def sporco(
    task: Task,
    setting: Setting,
    steps: int = 500,
    target: float = 0.0,
    dtype: type = np.float32,
    every: int = 1,
    patience: float = float("inf"),
) -> Run:
    """SPORCO's iterates until the objective is at most ``target`` or ``patience`` seconds are over.

    The objective is evaluated at ``every`` so many iterations, and the clock stands still meanwhile.
    """
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
        return bool(objectives) and (objectives[-1] <= target or seconds[-1] > patience)

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
