"""Do ``denoise`` and ``inpaint`` restore as well as SPORCO's scripts, and in a tenth of their time? One butterfly.

Both sides get the same spoilt picture, its σ and the same 128 kernels 8×8, and are timed from it to the restored
picture, low-pass included. SPORCO runs its scripts ``gwnden_gry`` and ``cbpdn_md_gry`` as they are, with numexpr and
two threads. PSNR is over the range of the clean picture, as SPORCO has it.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.harness import goal, spread
from benchmarks.rivals.sporco_coders import THREADS
from benchmarks.sparse_tasks import (
    FLOOR,
    PAD,
    Array,
    butterfly,
    kernels,
    lowpass_and_detail,
    masked_butterfly,
    masked_detail,
    noisy_butterfly,
)

NOISE = 0.1
COLUMNS = {
    "job": "job",
    "spoilt": "spoilt, dB",
    "sporco_quality": "SPORCO, dB",
    "quality": "unconv, dB",
    "sporco": "SPORCO, s",
    "ours": "unconv, s",
    "ratio": "ratio",
}


@dataclass(frozen=True, eq=False)
class Job:
    """A spoilt picture, both restorations, and the PSNR to reach."""

    name: str
    spoilt: Array
    theirs: Callable[[], Array]
    ours: Callable[[], Array]
    target: float


def run(quick: bool = False) -> dict[str, Any]:
    """Restore, judge and time both jobs."""
    torch.set_num_threads(THREADS)
    clean = butterfly()
    rows = [compare(job, clean, rounds=1 if quick else 2) for job in (denoising(), inpainting())]
    return {
        "threads": THREADS,
        "columns": COLUMNS,
        "rows": rows,
        "goals": [each for row in rows for each in goals(row)],
    }


def compare(job: Job, clean: Array, rounds: int) -> dict[str, Any]:
    """Both sides in turn; ours more often, since it is short."""
    job.ours()
    theirs: list[float] = []
    ours: list[float] = []
    for _ in range(rounds):
        seconds, their_picture = timed(job.theirs)
        theirs.append(seconds)
        for _ in range(3):
            seconds, our_picture = timed(job.ours)
            ours.append(seconds)
    row = {
        "job": job.name,
        "target": job.target,
        "spoilt": psnr(clean, job.spoilt),
        "sporco_quality": psnr(clean, their_picture),
        "quality": psnr(clean, our_picture),
        "sporco": spread(theirs, unit=1.0) if rounds > 1 else theirs[0],
        "ours": spread(ours, unit=1.0),
        "ratio": float(f"{statistics.median(theirs) / statistics.median(ours):.4g}"),
    }
    print(f"{job.name}: {row['quality']:.2f} dB against {row['sporco_quality']:.2f} dB, {row['ratio']}x", flush=True)
    return row


def goals(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Quality, then time."""
    return [
        goal(f"{row['job']}: PSNR, dB", row["quality"], row["target"]),
        goal(f"{row['job']}: SPORCO's time by ours", row["ratio"], 10.0),
    ]


def denoising() -> Job:
    """σ = 0.1 on [0, 1]."""
    noisy, dictionary = noisy_butterfly(), kernels("G:8x8x128")
    return Job("denoise", noisy, lambda: denoised_by_sporco(noisy), lambda: denoised(noisy, dictionary), 26.08)


def inpainting() -> Job:
    """Half of the pixels gone."""
    (spoilt, mask), dictionary = masked_butterfly(), kernels("G:8x8x128")
    return Job(
        "inpaint",
        spoilt,
        lambda: inpainted_by_sporco(spoilt, mask),
        lambda: inpainted(spoilt, mask, dictionary),
        24.56,
    )


def denoised(noisy: Array, dictionary: Array) -> Array:
    """By ``unconv``."""
    from unconv.sparse.restore.denoise import denoise

    return as_picture(denoise(noisy[np.newaxis], dictionary, sigma=NOISE, threads=THREADS).image)


def inpainted(spoilt: Array, mask: Array, dictionary: Array) -> Array:
    """By ``unconv``."""
    from unconv.sparse.restore.inpaint import inpaint

    return as_picture(inpaint(spoilt[np.newaxis], mask[np.newaxis], dictionary, threads=THREADS).image)


def as_picture(restored: Any) -> Array:
    """(H, W) in [0, 1]."""
    return np.clip(np.squeeze(np.asarray(restored)), 0.0, 1.0)


def denoised_by_sporco(noisy: Array) -> Array:
    """``gwnden_gry``."""
    from sporco import signal, util
    from sporco.admm import cbpdn

    dictionary, scale = util.convdicts()["G:8x8x128"], 4.8e-2
    lowpass, detail = lowpass_and_detail(noisy, 5.0)
    padded = lowpass_and_detail(np.pad(noisy, PAD, mode="symmetric"), 5.0)[1]
    spectrum = signal.rfftn(padded[..., np.newaxis], None, (0, 1))
    weights = signal.irfftn(np.conj(signal.rfftn(dictionary, padded.shape, (0, 1))) * spectrum, padded.shape, (0, 1))
    weights = 1.0 / np.maximum(weights**2, FLOOR)
    options = cbpdn.ConvBPDN.Options(
        {
            "MaxMainIter": 250,
            "HighMemSolve": True,
            "RelStopTol": 3e-3,
            "AuxVarObj": False,
            "L1Weight": weights,
            "AutoRho": {"Enabled": False},
            "rho": 4e2 * scale,
        }
    )
    coder = cbpdn.ConvBPDN(dictionary, np.pad(detail, PAD, mode="symmetric"), scale, options, dimK=0)
    coder.solve()
    return np.clip(np.squeeze(coder.reconstruct())[PAD:-PAD, PAD:-PAD] + lowpass, 0.0, 1.0)


def inpainted_by_sporco(spoilt: Array, mask: Array) -> Array:
    """``cbpdn_md_gry``."""
    from sporco import util
    from sporco.admm import cbpdn

    dictionary, scale = util.convdicts()["G:8x8x128"], 2e-2
    padded_mask, lowpass, detail = masked_detail(spoilt, mask)
    options = cbpdn.ConvBPDNMaskDcpl.Options(
        {
            "MaxMainIter": 200,
            "HighMemSolve": True,
            "RelStopTol": 3e-2,
            "AuxVarObj": False,
            "RelaxParam": 1.8,
            "rho": 5e1 * scale + 1e-1,
            "AutoRho": {"Enabled": False, "StdResiduals": False},
        }
    )
    coder = cbpdn.ConvBPDNMaskDcpl(dictionary, detail, scale, padded_mask, opt=options)
    coder.solve()
    return np.clip((lowpass + np.squeeze(coder.reconstruct()))[PAD:-PAD, PAD:-PAD], 0.0, 1.0)


def timed(restore: Callable[[], Array]) -> tuple[float, Array]:
    """Seconds, and the picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        picture = restore()
    return time.perf_counter() - start, picture


def psnr(clean: Array, picture: Array) -> float:
    """10 log₁₀ (range² / mean squared error), in dB."""
    error = np.mean(np.square(clean.astype(np.float64) - picture))
    return round(float(10 * np.log10((float(clean.max()) - float(clean.min())) ** 2 / error)), 3)
