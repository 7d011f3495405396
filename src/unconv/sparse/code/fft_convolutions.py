"""Convolution by FFT or by sums over taps: D and Dᵀ of one problem in the faster of the two forms."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.sparse.code.boundary import Boundary, correlate, synthesize

# Measured on one AVX-512 core, float32: many maps into few channels is what torch's transposed convolution does worst
# (36 kernels 12×12 on 256²: 75 ms, by spectra 12 ms), few channels into many maps what its convolution does well.
_SYNTHESIS_TAPS = 16
_CORRELATION_TAPS = 400


@dataclass(frozen=True, eq=False)
class Convolutions:
    """D and Dᵀ for one dictionary, boundary and image size; ``spectrum`` (K, C, *frequencies) of the kernels on a torus
    large enough that what wraps around falls outside the image, or None where taps are summed throughout."""

    dictionary: Tensor
    boundary: Boundary
    image_size: tuple[int, ...]
    torus: tuple[int, ...]
    spectrum: Tensor | None

    @classmethod
    def of(cls, dictionary: Tensor, boundary: Boundary, image_size: tuple[int, ...]) -> Convolutions:
        """The forms chosen by the number of taps."""
        torus = image_size
        kernel_size = dictionary.shape[2:]
        if boundary == "crop":
            torus = tuple(_smooth(size + taps - 1) for size, taps in zip(image_size, kernel_size, strict=True))
        elif boundary == "valid":
            torus = tuple(_smooth(size) for size in image_size)
        spectrum = None
        if prod(kernel_size) >= _SYNTHESIS_TAPS:
            spectrum = torch.fft.rfftn(dictionary, torus, tuple(range(2, dictionary.ndim)))
        return cls(dictionary, boundary, image_size, torus, spectrum)

    def synthesize(self, codes: Tensor) -> Tensor:
        """D z: codes (K, *code) to an image (C, *size)."""
        if self.spectrum is None:
            return synthesize(codes, self.dictionary, self.boundary, self.image_size)
        axes = tuple(range(1, codes.ndim))
        product = torch.einsum("kc...,k...->c...", self.spectrum, torch.fft.rfftn(codes, self.torus, axes))
        full: Tensor = torch.fft.irfftn(product, self.torus, axes)
        for axis, offset, size in zip(axes, self._offsets, self.image_size, strict=True):
            full = full.narrow(axis, offset, size)
        return full

    def correlate(self, image: Tensor) -> Tensor:
        """Dᵀ r: an image (C, *size) to (K, *code)."""
        if self.spectrum is None or prod(self.dictionary.shape[2:]) < _CORRELATION_TAPS:
            return correlate(image, self.dictionary, self.boundary)
        axes = tuple(range(1, image.ndim))
        pads = [pad for offset in reversed(self._offsets) for pad in (offset, 0)]
        transformed = torch.fft.rfftn(F.pad(image, pads), self.torus, axes)
        product = torch.einsum("kc...,c...->k...", self.spectrum.conj(), transformed)
        full: Tensor = torch.fft.irfftn(product, self.torus, axes)
        for axis, size, taps in zip(axes, self.image_size, self.dictionary.shape[2:], strict=True):
            change = {"crop": taps - 1, "valid": 1 - taps, "circular": 0}[self.boundary]
            full = full.narrow(axis, 0, size + change)
        return full

    @property
    def _offsets(self) -> tuple[int, ...]:
        """Where the image starts on the torus, per axis."""
        return tuple(taps - 1 if self.boundary == "crop" else 0 for taps in self.dictionary.shape[2:])


def _smooth(size: int) -> int:
    """The next number without prime factors above 5: a quick size for a Fourier transform."""
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1
