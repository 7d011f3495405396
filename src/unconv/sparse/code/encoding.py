"""Encodings: the sparse codes of images, their certificates, and what they reconstruct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconv.describe import by_size, counted, listed, spread
from unconv.results import Shown, Tabled, draw_with, picture_of
from unconv.sparse.code.boundary import Boundary, code_size
from unconv.sparse.code.encoding_file import read, write
from unconv.sparse.code.solution import Trace
from unconv.sparse.code.synthesize import synthesize_sparse
from unconv.sparse.types import ImageLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Encoding(Shown, Tabled):
    """What :func:`~unconv.encode` returns.

    ``codes``: one coalesced sparse tensor (N, K, *code) if the images were one array, else a tuple of N sparse tensors
    (K, *code). For each image: ``objective`` P(z); ``gap``, the relative duality gap, which bounds what a better
    solver could still gain: P(z) − min P ≤ gap · P(z); ``steps`` of the solver; whether it ``converged`` to the
    tolerance; ``trace`` of objective and gap against time. ``solver`` says which one ran, ``penalty`` what λ was.
    """

    codes: Tensor | tuple[Tensor, ...]
    objective: Float[Tensor, " images"]
    gap: Float[Tensor, " images"]
    steps: Int[Tensor, " images"]
    converged: Bool[Tensor, " images"]
    trace: tuple[Trace, ...]
    solver: str
    dictionary: Float[Tensor, "kernels channels *kernel"]
    boundary: Boundary
    image_sizes: tuple[tuple[int, ...], ...]
    penalty: tuple[str, ...]
    nonnegative: bool

    def __len__(self) -> int:
        """Number of images."""
        return len(self.image_sizes)

    @cached_property
    def nonzeros(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """(indices (1 + axes, n), values (n,)) of each image's codes: kernel, then position."""
        if isinstance(self.codes, tuple):
            return tuple((codes.indices(), codes.values()) for codes in self.codes)
        indices, values = self.codes.indices(), self.codes.values()
        counts = torch.bincount(indices[0], minlength=len(self)).tolist() if len(self) else []
        return tuple(zip(torch.split(indices[1:], counts, 1), torch.split(values, counts), strict=True))

    def reconstruct(self) -> Tensor | list[Tensor]:
        """D z of every image, from the non-zeros alone: (N, C, *size) if the images were one array, else a list."""
        pictures = [
            synthesize_sparse(indices, values, self.dictionary.to(values), self.boundary, size)
            for (indices, values), size in zip(self.nonzeros, self.image_sizes, strict=True)
        ]
        if isinstance(self.codes, tuple):
            return pictures
        if not pictures:
            return self.dictionary.new_zeros(0, self.dictionary.shape[1], *self._sizes_of_none)
        return torch.stack(pictures)

    @property
    def density(self) -> float:
        """Non-zeros as a part of all coefficients; 0 where there is no image."""
        kernel_size = self.dictionary.shape[2:]
        maps = sum(prod(code_size(size, kernel_size, self.boundary)) for size in self.image_sizes)
        found = sum(len(values) for _, values in self.nonzeros)
        return found / (maps * len(self.dictionary)) if maps else 0.0

    @property
    def kernel_use(self) -> Int[Tensor, " kernels"]:
        """How many non-zeros each kernel has, over all images."""
        use = torch.zeros(len(self.dictionary), dtype=torch.int64, device=self.dictionary.device)
        for indices, _ in self.nonzeros:
            use += torch.bincount(indices[0], minlength=len(use)).to(use.device)
        return use

    @property
    def kernel_energy(self) -> Float[Tensor, " kernels"]:
        """Σ|z_k|·‖d_k‖ of each kernel, over all images: how much of the pictures it carries."""
        energy = torch.zeros(len(self.dictionary), dtype=torch.float64, device=self.dictionary.device)
        for indices, values in self.nonzeros:
            energy.index_add_(0, indices[0].to(energy.device), values.abs().to(energy))
        norms: Tensor = torch.linalg.vector_norm(self.dictionary.flatten(1).double(), dim=1)
        return energy * norms

    def plot(self, index: int = 0, top: int = 16, *, image: ImageLike | None = None) -> Figure:
        """Draw the reconstruction of one image beside its strongest feature maps.

        As :func:`~unconv.sparse.plots.codes.plot_codes` does; :func:`~unconv.sparse.plots.results.plot_convergence`
        draws objective and gap. Raises MissingExtraError where matplotlib is not installed, SparseError for an image
        that is not there, and for codes of three axes.
        """
        draw = "unconv.sparse.plots.codes:plot_codes"
        figure: Figure = draw_with(draw, self, index, top, image=image)
        return figure

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a safetensors file, whole or not at all, and return where it is."""
        write({one.name: getattr(self, one.name) for one in fields(self)}, self.nonzeros, Path(path))
        return Path(path)

    def _heading(self) -> str:
        kernels = f"{len(self.dictionary)} kernels {by_size(self.dictionary.shape[1:])}"
        return f"Encoding of {counted(len(self), 'image')} by {kernels}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        found = sum(len(values) for _, values in self.nonzeros)
        yield "images", listed(dict.fromkeys(map(by_size, self.image_sizes)))
        yield "codes", f"{found:,} non-zeros, {self.density:.3%} of all; {self.dictionary.dtype}"
        yield "objective", spread(self.objective)
        yield "relative gap", f"{spread(self.gap)}; {int(self.converged.sum())} of {len(self)} converged"
        yield "penalty", listed(dict.fromkeys(self.penalty), most=3)
        yield (
            "solver",
            f"{self.solver}, {spread(self.steps)} steps, boundary {self.boundary}"
            + (", not negative" if self.nonnegative else ""),
        )

    def _picture(self) -> str:
        return picture_of(self.plot, self._heading()) if len(self) else ""

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for number, (_, values) in enumerate(self.nonzeros):
            trace = self.trace[number] if number < len(self.trace) else None
            yield {
                "image": number,
                "size": self.image_sizes[number],
                "nonzeros": len(values),
                "objective": float(self.objective[number]),
                "gap": float(self.gap[number]),
                "steps": int(self.steps[number]),
                "converged": bool(self.converged[number]),
                "seconds": float(trace.seconds[-1]) if trace is not None and len(trace.seconds) else None,
                "penalty": self.penalty[number],
            }

    @classmethod
    def load(cls, path: str | Path) -> Encoding:
        """Read what :meth:`save` wrote; raises :class:`~unconv.errors.SparseError` where the file is something else."""
        return cls(**read(Path(path)))

    @property
    def _sizes_of_none(self) -> tuple[int, ...]:
        """The size of the images in a stack of none, from its codes."""
        change = {"crop": -1, "valid": 1, "circular": 0}[self.boundary]
        codes = self.codes if isinstance(self.codes, Tensor) else self.dictionary
        return tuple(
            size + change * (taps - 1) for size, taps in zip(codes.shape[2:], self.dictionary.shape[2:], strict=True)
        )


if TYPE_CHECKING:
    # For type checkers: what becomes of images in one array.
    class StackEncoding(Encoding):
        """Codes of images in one array: they are one tensor, and so is what they reconstruct."""

        codes: Tensor

        def reconstruct(self) -> Tensor:
            """D z of every image, (N, C, *size)."""
            ...
