"""The slow part against the linear system solved by SciPy, and against SPORCO's filter away from borders."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings, strategies as st
from scipy.fft import dct
from scipy.sparse.linalg import spsolve

from tests.sparse.oracles import Array
from unconv.errors import SparseError
from unconv.sparse.restore.cosine import cosine_transform, inverse_cosine_transform
from unconv.sparse.restore.lowpass import split


def solved(plane: Array, strength: float, weight: Array | None = None) -> Array:
    """argmin ½‖W(x − s)‖² + (λ/2) Σ_axes ‖G x‖², from the definition of G."""
    penalty = sp.csr_matrix((plane.size, plane.size))
    for axis in range(plane.ndim):
        steps = [sp.eye(n) for n in plane.shape]
        steps[axis] = sp.diags([-1.0, 1.0], [0, 1], shape=(plane.shape[axis] - 1, plane.shape[axis]))
        difference = steps[0] if plane.ndim == 1 else sp.kron(*steps)
        penalty = penalty + strength * difference.T @ difference
    square = np.ones(plane.size) if weight is None else weight.flatten() ** 2
    return np.asarray(spsolve((sp.diags(square) + penalty).tocsc(), square * plane.flatten())).reshape(plane.shape)


@settings(deadline=None, max_examples=25)
@given(
    size=st.lists(st.integers(1, 13), min_size=1, max_size=2).map(tuple),
    strength=st.floats(0.01, 100),
    masked=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_slow_part_solves_its_linear_system(size: tuple[int, ...], strength: float, masked: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, weight = rng.standard_normal((2, *size)), None
    if masked:
        weight = np.where(rng.uniform(size=size) < 0.4, 0, rng.uniform(0.5, 2, size))
        weight.flat[0] = 1.0
        image[:, weight == 0] = np.nan
    bands = split(image, strength, mask=None if weight is None else weight[np.newaxis])
    known = np.where(np.isnan(image), 0, image)
    for channel in range(2):
        expected = solved(known[channel], strength, weight)
        np.testing.assert_allclose(bands.low[channel].numpy(), expected, atol=1e-7)
    detail = known - bands.low.numpy()
    np.testing.assert_allclose(bands.detail.numpy(), detail if weight is None else np.where(weight > 0, detail, 0))


def test_slow_part_is_sporcos_away_from_borders() -> None:
    signal = pytest.importorskip("sporco.signal")
    image = np.random.default_rng(0).uniform(size=(96, 80)).astype(np.float32)
    low, _ = signal.tikhonov_filter(image, 5.0, 16)
    ours = split(image[np.newaxis], 5.0).low[0].numpy()
    np.testing.assert_allclose(ours[16:-16, 16:-16], low[16:-16, 16:-16], atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 13])
def test_cosine_transform_is_scipys(size: int) -> None:
    signal = np.random.default_rng(size).standard_normal((3, size, 2))
    found = cosine_transform(torch.from_numpy(signal), axis=1)
    np.testing.assert_allclose(found.numpy(), dct(signal, type=2, axis=1), atol=1e-12)
    np.testing.assert_allclose(inverse_cosine_transform(found, axis=1).numpy(), signal, atol=1e-12)


def test_wave_of_two_pi_root_strength_pixels_is_halved() -> None:
    position = torch.arange(4000, dtype=torch.float64)
    strength = 100.0
    wave = (position / strength**0.5).sin()[None]
    low = split(wave, strength).low
    assert float(low[0, 1000:3000].abs().max()) == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize(
    ("image", "strength", "mask", "told"),
    [
        (torch.zeros(1, 4, 4), 0.0, None, "strength 0.0 must be positive"),
        (torch.zeros(1, 4, 4), float("nan"), None, "strength nan"),
        (torch.zeros(4), 5.0, None, "shape"),
        (torch.zeros(1, 0, 4), 5.0, None, "shape"),
        (torch.full((1, 4, 4), float("nan")), 5.0, None, "NaN"),
        (torch.zeros(1, 4, 4), 5.0, torch.zeros(4, 5), "mask of shape"),
        (torch.zeros(1, 4, 4), 5.0, -torch.ones(4, 4), "negative"),
        (torch.zeros(2, 4, 4), 5.0, torch.tensor([1.0, 0.0]).reshape(2, 1, 1), "no known pixel"),
    ],
)
def test_bad_input_is_one_line(image: torch.Tensor, strength: float, mask: torch.Tensor | None, told: str) -> None:
    with pytest.raises(SparseError, match=told) as caught:
        split(image, strength, mask=mask)
    assert "\n" not in str(caught.value)
