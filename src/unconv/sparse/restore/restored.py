"""Restored images: what denoising and inpainting return, shown beside what they were made from, and saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from unconv.data.arrays import save_image
from unconv.describe import by_size, counted, spread
from unconv.errors import SparseError
from unconv.results import Plotted, draw_with
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.types import ImageLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Restored(Plotted):
    """A restored image, and the codes of its detail."""

    image: Tensor
    encodings: tuple[Encoding, ...]

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the image, clipped to [0, 1], whole or not at all, and return where; the ending chooses the format.

        Raises :class:`~unconv.errors.SparseError` for a signal, which no format of pictures holds, and
        :class:`~unconv.errors.ImageError` for an ending that names no format and places that cannot be written to.
        """
        if self.image.ndim != 3:
            raise SparseError(
                f"save: a signal {by_size(self.image.shape)} is no picture; torch.save keeps result.image"
            )
        return save_image(self.image.clamp(0, 1), Path(path))

    def _beside(self, pictures: Mapping[str, ImageLike | None]) -> Figure:
        given = {name: picture for name, picture in pictures.items() if picture is not None}
        reference = "clean" if "clean" in given else None
        figure: Figure = draw_with("unconv.sparse.plots.results:plot_beside", given, reference)
        return figure

    def _heading(self) -> str:
        values = spread((self.image.min(), self.image.max()))
        return f"{type(self).__name__} image {by_size(self.image.shape)}, values {values}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        kernels = [f" of {len(one.dictionary)} kernels {by_size(one.dictionary.shape[1:])}" for one in self.encodings]
        yield "detail", f"{counted(len(self.encodings), 'encoding')}{kernels[0] if kernels else ''}"
        if self.encodings:
            yield "density", f"{spread(one.density for one in self.encodings)} of all coefficients"
