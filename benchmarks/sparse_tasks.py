"""Which problems do the benchmarks of sparse coding solve? The tasks of SPORCO's example scripts, as plain arrays.

Pictures and dictionaries come from inside the package ``sporco``, and every preparation (crop, noise, mask, padding,
low-pass) follows its scripts ``cbpdn_gry``, ``cbpdn_clr_cd``, ``parcbpdn_gry``, ``cbpdn_md_gry``, ``gwnden_gry`` and
``cbpdndl_cns_gry``. All of them are circular, P(z) = ½‖W(s − Σ_k d_k ∗ z_k)‖² + Σ_i λ_i|z_i|, with kernels of unit
norm. In denoising λ_i = 0.048 / max((Dᵀs)_i², 1e-8), and s is one image for weights and codes, where the script has
two that differ near the border.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from unconv.sparse.code.penalty import InverseCorrelation

Array = np.ndarray[Any, np.dtype[Any]]
FLOOR = 1e-8
PAD = 8
SEED = 12345
BLOCK = 256
PORTRAIT = np.s_[160:416, 60:316]
BUTTERFLY = np.s_[:, 160:672]
TRAINING = {
    "barbara.png": np.s_[10:522, 100:612],
    "kodim23.png": np.s_[:, 60:572],
    "monarch.png": np.s_[:, 160:672],
    "sail.png": np.s_[:, 210:722],
    "tulips.png": np.s_[:, 30:542],
}


@dataclass(frozen=True, eq=False)
class Task:
    """One problem: image (C, H, W), dictionary (K, C, h, w), penalty and mask (1, H, W), all float32, circular."""

    name: str
    title: str
    image: Array
    dictionary: Array
    scale: float
    inverse_correlation: bool = False
    mask: Array | None = None

    @property
    def penalty(self) -> float | InverseCorrelation:
        """λ as ``unconv.encode`` takes it."""
        if not self.inverse_correlation:
            return self.scale
        from unconv.sparse.code.penalty import InverseCorrelation

        return InverseCorrelation(self.scale, power=2.0, floor=FLOOR)

    @functools.cached_property
    def weights(self) -> Array | None:
        """λ_i / scale as an array (K, H, W) in float64, or nothing where all are one."""
        if not self.inverse_correlation:
            return None
        size = self.image.shape[1:]
        kernels = np.fft.rfft2(self.dictionary.astype(np.float64), s=size)
        image = np.fft.rfft2(self.image.astype(np.float64))
        correlation = np.fft.irfft2((kernels.conj() * image).sum(axis=1), s=size)
        return np.asarray(1.0 / np.maximum(correlation**2, FLOOR))


def run(quick: bool = False) -> dict[str, Any]:
    """Sizes and settings of all tasks."""
    return {
        "notes": "From the example scripts and the data of SPORCO; boundary circular.",
        "rows": [
            {
                "task": task.title,
                "image": "×".join(map(str, task.image.shape)),
                "dictionary": "×".join(map(str, task.dictionary.shape)),
                "λ": f"{task.scale:g} / (Dᵀs)²" if task.inverse_correlation else f"{task.scale:g}",
                "mask": "random half, and the border" if task.mask is not None else "none",
                "energy ½‖Ws‖²": float(np.square(task.image, dtype=np.float64).sum()) / 2,
            }
            for task in coding_tasks(list(TASKS)[:1] if quick else None)
        ],
    }


def coding_tasks(names: list[str] | None = None) -> list[Task]:
    """The six coding tasks, or those named."""
    return [TASKS[name]() for name in names or TASKS]


def grey(name: str, title: str, dictionary: str, scale: float) -> Task:
    """The grey portrait: ``cbpdn_gry`` and ``parcbpdn_gry``."""
    detail = lowpass_and_detail(picture("kodim23.png", PORTRAIT), 10)[1]
    return Task(name, title, channels_first(detail), kernels(dictionary), scale)


def colour() -> Task:
    """The portrait in colour: ``cbpdn_clr_cd``."""
    detail = lowpass_and_detail(picture("kodim23.png", PORTRAIT, gray=False), 10)[1]
    return Task("colour", "colour, λ=0.1", channels_first(detail), kernels("RGB:8x8x3x64"), 0.1)


def inpainting() -> Task:
    """Half of the pixels are missing: ``cbpdn_md_gry``; the mask is zero in the padded border too."""
    mask, _, detail = masked_detail(*masked_butterfly())
    return Task(
        "inpainting", "inpainting, λ=0.02", channels_first(detail), kernels("G:8x8x128"), 0.02, mask=mask[np.newaxis]
    )


def denoising() -> Task:
    """One penalty per coefficient: ``gwnden_gry``."""
    detail = lowpass_and_detail(noisy_butterfly(), 5)[1]
    padded = np.pad(detail, PAD, mode="symmetric")
    return Task("denoising", "denoising, λ=0.048/(Dᵀs)²", channels_first(padded), kernels("G:8x8x128"), 0.048, True)


TASKS: dict[str, Callable[[], Task]] = {
    "grey05": lambda: grey("grey05", "grey, λ=0.05", "G:12x12x36", 0.05),
    "grey01": lambda: grey("grey01", "grey, λ=0.01", "G:12x12x36", 0.01),
    "colour": colour,
    "large": lambda: grey("large", "large dictionary, λ=0.05", "G:12x12x216", 0.05),
    "inpainting": inpainting,
    "denoising": denoising,
}


def training_images() -> Array:
    """The five pictures of ``cbpdndl_cns_gry``, grey, a quarter of their size, high-passed: (5, 1, 128, 128)."""
    pictures = [picture(name, crop, zoom=0.25) for name, crop in TRAINING.items()]
    details = [lowpass_and_detail(each, 5)[1] for each in pictures]
    return np.stack([channels_first(detail) for detail in details])


def mosaic(size: int) -> Array:
    """Detail of four photographs in blocks of 256², mirrored as they repeat: (1, size, size), the same mix at any size.

    ``size`` is a multiple of 512.
    """
    blocks = [lowpass_and_detail(picture(name, TRAINING[name])[128:384, 128:384], 10)[1] for name in list(TRAINING)[1:]]
    count = size // BLOCK
    rows = [
        [np.flip(blocks[2 * (i % 2) + j % 2], axis=mirrored(i // 2, j // 2)) for j in range(count)]
        for i in range(count)
    ]
    return np.ascontiguousarray(np.block(rows)[np.newaxis], dtype=np.float32)


def mirrored(row: int, column: int) -> tuple[int, ...]:
    """Which axes are turned around in a block."""
    return (0,) * (row % 2) + (1,) * (column % 2)


def butterfly() -> Array:
    """The picture that is denoised and inpainted, (256, 256) in [0, 1]."""
    return picture("monarch.png", BUTTERFLY, zoom=0.5)


def noisy_butterfly() -> Array:
    """It with Gaussian noise of σ = 0.1."""
    clean = butterfly()
    noise = np.random.RandomState(SEED).normal(0.0, 0.1, clean.shape)
    return clean + noise.astype(np.float32)


def masked_butterfly() -> tuple[Array, Array]:
    """It with half of its pixels set to zero, and the mask which is zero there."""
    from sporco import signal

    clean = butterfly()
    np.random.seed(SEED)  # SPORCO draws its mask from the global generator
    mask = signal.rndmask(clean.shape, 0.5, dtype=np.float32)
    return mask * clean, mask


def masked_detail(image: Array, mask: Array) -> tuple[Array, Array, Array]:
    """Padded mask, low-pass by total variation of the pixels that are there, and what it leaves of them."""
    from sporco.admm import tvl2

    mask = np.pad(mask, PAD)
    image = np.pad(image, PAD, mode="symmetric")
    options = tvl2.TVL2Denoise.Options(
        {"MaxMainIter": 200, "DFidWeight": mask, "gEvalY": False, "AutoRho": {"Enabled": True}}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lowpass = tvl2.TVL2Denoise(image, 0.05, options).solve()
    return mask, lowpass, mask * (image - lowpass)


def lowpass_and_detail(image: Array, strength: float) -> tuple[Array, Array]:
    """SPORCO's separation by Tikhonov's filter."""
    from sporco import signal

    lowpass, detail = signal.tikhonov_filter(image, strength, 16)
    return lowpass, detail


def picture(name: str, crop: Any, zoom: float | None = None, gray: bool = True) -> Array:
    """A picture of SPORCO's, (H, W) or (H, W, 3) float32 in [0, 1]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sporco import util

        found = util.ExampleImages().image(name, scaled=True, gray=gray, zoom=zoom, idxexp=crop)
    return np.asarray(found, dtype=np.float32)


def kernels(name: str) -> Array:
    """A dictionary of SPORCO's as (K, C, h, w), each kernel of unit norm."""
    from sporco import util

    found = np.asarray(util.convdicts()[name], dtype=np.float64)
    found = found[:, :, np.newaxis] if found.ndim == 3 else found
    first = found.transpose(3, 2, 0, 1)
    norms = np.sqrt(np.square(first).sum(axis=(1, 2, 3), keepdims=True))
    return np.ascontiguousarray(first / norms, dtype=np.float32)


def channels_first(image: Array) -> Array:
    """(H, W) or (H, W, C) as (C, H, W) float32."""
    return np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1), dtype=np.float32)
