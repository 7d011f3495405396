"""The discrete cosine transform (DCT-II), which diagonalises convolutions with reflecting borders."""

from __future__ import annotations

from math import pi

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def cosine_transform(signal: Float[Tensor, "*shape"], axis: int) -> Float[Tensor, "*shape"]:
    """DCT-II along one axis, X_f = 2 Σ_n x_n cos(πf(2n + 1)/2N), by one Fourier transform of length N.

    Makhoul, *A fast cosine transform in one and two dimensions* (1980): even entries forwards, then odd ones
    backwards, make a signal whose spectrum is the answer up to a phase.

    >>> cosine_transform(torch.ones(4), axis=0)
    tensor([8., 0., 0., 0.])
    """
    moved = signal.movedim(axis, -1)
    folded = torch.cat([moved[..., ::2], moved[..., 1::2].flip(-1)], dim=-1)
    spectrum = torch.fft.fft(folded) * quarter_turns(moved.shape[-1], signal).conj()
    coefficients: Tensor = 2 * spectrum.real
    return coefficients.movedim(-1, axis)


def inverse_cosine_transform(coefficients: Float[Tensor, "*shape"], axis: int) -> Float[Tensor, "*shape"]:
    """The signal whose DCT-II along one axis is given.

    >>> inverse_cosine_transform(torch.tensor([8.0, 0.0, 0.0, 0.0]), axis=0)
    tensor([1., 1., 1., 1.])
    """
    moved = coefficients.movedim(axis, -1)
    # sin and cos parts of a real signal's spectrum: the entry N − f is the imaginary part of the entry f.
    mirrored = torch.cat([torch.zeros_like(moved[..., :1]), moved[..., 1:].flip(-1)], dim=-1)
    spectrum = torch.complex(moved, -mirrored) * quarter_turns(moved.shape[-1], coefficients) / 2
    folded = torch.fft.ifft(spectrum).real
    half = (moved.shape[-1] + 1) // 2
    signal = torch.empty_like(moved)
    signal[..., ::2] = folded[..., :half]
    signal[..., 1::2] = folded[..., half:].flip(-1)
    return signal.movedim(-1, axis)


def quarter_turns(size: int, like: Tensor) -> Complex[Tensor, " size"]:
    """exp(iπf/2N) for f = 0 … N − 1, in the precision of another tensor."""
    angle = torch.arange(size, dtype=like.dtype, device=like.device) * (pi / (2 * size))
    return torch.complex(angle.cos(), angle.sin())
