"""The objective of convolutional sparse coding, and its duality gap, in float64 and by numpy alone.

Written for the benchmarks and shared with neither side: Fourier transforms or histograms of the non-zeros, whichever
takes less. The problem is circular, as in ``sparse_tasks``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.sparse_tasks import Array, Task

# More multiplications than this a code entry, and the convolution goes through Fourier space.
DENSE = 30


@dataclass(frozen=True, eq=False)
class Codes:
    """The non-zeros of z: kernels, rows and columns (3, n), and values (n,) in float64."""

    indices: Array
    values: Array


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


def gap(task: Task, codes: Codes, size: tuple[int, ...] = ()) -> float:
    """(P − dual) / P at the dual point α·W(s − Dz), α the best that is feasible, in float64.

    ``size`` is that of the codes where only the first rows and columns of the torus have any (boundary ``valid``).
    """
    places = tuple(slice(extent) for extent in size or task.image.shape[1:])
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
        bound = task.scale if task.weights is None else task.scale * task.weights[k][places]
        largest = max(largest, float(np.max(np.abs(correlation[places]) / bound)))
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
