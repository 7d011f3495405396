"""Sparse coding the slow way: the matrix of D entry by entry, and scikit-learn's Lasso on it."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import Lasso

Array = npt.NDArray[Any]
BOUNDARIES = ("crop", "valid", "circular")


def code_shape(size: tuple[int, ...], kernel: tuple[int, ...], boundary: str) -> tuple[int, ...]:
    change = {"crop": 1, "valid": -1, "circular": 0}[boundary]
    return tuple(n + change * (taps - 1) for n, taps in zip(size, kernel, strict=True))


def matrix(dictionary: Array, size: tuple[int, ...], boundary: str) -> Array:
    """D (C · pixels, K · positions), from the definition: where each tap of each code lands."""
    n_kernels, channels, *kernel = dictionary.shape
    codes = code_shape(size, tuple(kernel), boundary)
    found = np.zeros((channels, *size, n_kernels, *codes))
    for position in product(*map(range, codes)):
        for tap in product(*map(range, kernel)):
            pixel = [u + i for u, i in zip(position, tap, strict=True)]
            if boundary == "crop":
                pixel = [p - taps + 1 for p, taps in zip(pixel, kernel, strict=True)]
            if boundary == "circular":
                pixel = [p % n for p, n in zip(pixel, size, strict=True)]
            if all(0 <= p < n for p, n in zip(pixel, size, strict=True)):
                found[(slice(None), *pixel, slice(None), *position)] += dictionary[(..., *tap)].T
    return found.reshape(channels * prod(size), n_kernels * prod(codes))


def objective(codes: Array, image: Array, columns: Array, penalties: Array, weight: Array) -> float:
    """½‖W(s − Dz)‖² + Σλ|z|, everything flat."""
    paid = penalties[codes != 0] * np.abs(codes[codes != 0])
    return float(0.5 * np.sum((weight * (image - columns @ codes)) ** 2) + paid.sum())


def lasso(image: Array, columns: Array, penalties: Array, weight: Array, nonnegative: bool) -> Array:
    """The minimiser by scikit-learn: rows scaled by W, columns by 1/λ."""
    model = Lasso(1 / len(image), fit_intercept=False, positive=nonnegative, tol=1e-13, max_iter=200_000)
    fitted = model.fit(weight[:, None] * columns / penalties, weight * image)
    return np.asarray(fitted.coef_ / penalties)


def kkt_violation(
    codes: Array, image: Array, columns: Array, penalties: Array, weight: Array, nonnegative: bool
) -> float:
    """How far DᵀW²(s − Dz) is from λ sign(z) where z ≠ 0, and above λ where z = 0; relative to λ."""
    slope = columns.T @ (weight**2 * (image - columns @ codes))
    used = codes != 0
    size = slope if nonnegative else np.abs(slope)
    at_zero = np.maximum(size - penalties, 0)[~used]
    away = np.abs(slope - penalties * np.sign(codes))[used]
    return float(np.max(np.concatenate([at_zero / penalties[~used], away / penalties[used]]), initial=0))
