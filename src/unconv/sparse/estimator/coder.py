"""Coding with a dictionary that was learned: slow part off, codes, features, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.code.boundary import Boundary, code_size
from unconv.sparse.code.encode import encode
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.problem import per_image, problems_from, split_images
from unconv.sparse.code.synthesize import synthesize_sparse
from unconv.sparse.code.validate import as_tensor, load_images
from unconv.sparse.restore.details import bands_of_all
from unconv.sparse.types import Images, MaskLike

Stack = Tensor | list[Tensor]


@dataclass(frozen=True, eq=False)
class Coder:
    """A dictionary (K, C, *kernel), and how images are coded with it; images have their channels first."""

    dictionary: Float[Tensor, "kernels channels ..."]
    penalty: Tensor
    nonnegative: bool
    boundary: Boundary
    tol: float
    threads: int
    low_pass: float

    @property
    def axes(self) -> int:
        """Of a kernel: 1 for signals, 2 for pictures."""
        return self.dictionary.ndim - 2

    def bands(self, images: Images, mask: MaskLike | None) -> tuple[Stack, Stack]:
        """Slow part, as the low-pass has it, and detail of the images."""
        found: Any = load_images(images, self.dictionary)
        if not isinstance(found, list | tuple):
            found = as_tensor(found, "images")
        split_images(found, self.axes)
        masks = per_image(mask, len(found), self.axes, "mask")
        return bands_of_all(found, self.low_pass, masks)

    def encode(self, images: Images, mask: MaskLike | None) -> Encoding:
        """The detail of images coded."""
        return encode(
            self.bands(images, mask)[1] if self.low_pass else images,
            self.dictionary,
            self.penalty,
            mask=mask,
            nonnegative=self.nonnegative,
            boundary=self.boundary,
            tol=self.tol,
            threads=self.threads,
        )

    def reconstruct(self, images: Images, mask: MaskLike | None) -> Stack:
        """Slow part plus Σ_k d_k ∗ z_k of images."""
        low, _ = self.bands(images, mask)
        made = self.encode(images, mask).reconstruct()
        if isinstance(made, Tensor) and isinstance(low, Tensor):
            return low + made
        return [slow + detail for slow, detail in zip(low, made, strict=True)]

    def synthesize(self, codes: Tensor) -> Tensor:
        """Σ_k d_k ∗ z_k for a stack of codes (N, K, *code), sparse or dense."""
        change = {"crop": -1, "valid": 1, "circular": 0}[self.boundary]
        pictures = []
        for one in codes:
            found = (one if one.layout == torch.sparse_coo else one.to_sparse()).coalesce()
            size = [n + change * (taps - 1) for n, taps in zip(found.shape[1:], self.dictionary.shape[2:], strict=True)]
            values = found.values()
            kernels = self.dictionary.to(values)
            pictures.append(synthesize_sparse(found.indices(), values, kernels, self.boundary, size))
        return torch.stack(pictures)

    def code_shape(self, size: Sequence[int]) -> tuple[int, ...]:
        """(K, *code) of an image of this size."""
        return len(self.dictionary), *code_size(size, self.dictionary.shape[2:], self.boundary)

    def saved_energy(self, images: Images, mask: MaskLike | None) -> float:
        """1 − Σ P(z) / Σ ½‖Ws‖², s the detail; 0 where there is none."""
        _, detail = self.bands(images, mask)
        objective = float(self.encode(images, mask).objective.sum())
        problems = problems_from(detail, self.dictionary, 1.0, mask, boundary=self.boundary, where="score")
        weighted = (each.image if each.weight is None else each.image * each.weight for each in problems)
        energy = 0.5 * sum(float(image.double().square().sum()) for image in weighted)
        return 1.0 - objective / energy if energy else 0.0


def as_codes(codes: Any, kernels: Tensor) -> Tensor:
    """Codes (N, K, *code) as a tensor, sparse or dense.

    Raises :class:`~unconv.errors.SparseError` for what is no such stack.
    """
    found = codes if isinstance(codes, Tensor) else as_tensor(codes, "codes", "inverse_transform")
    if found.ndim != kernels.ndim or found.shape[1] != len(kernels):
        raise SparseError(
            f"inverse_transform: codes of shape {tuple(found.shape)} for {len(kernels)} kernels of {kernels.ndim - 2} "
            "axes; pooled ones stand for no image, use output='csr' or 'sparse'"
        )
    return found
