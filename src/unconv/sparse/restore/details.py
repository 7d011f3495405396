"""High-pass pictures: what a low-pass leaves of them, read anew each time they are gone through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from unconv.data.arrays import Mode
from unconv.data.images import Skipped, iter_images
from unconv.data.read.source import pictures_of
from unconv.sparse.learn.image_sources import shuffled
from unconv.sparse.restore.lowpass import split


def detail_of(picture: Tensor, low_pass: float) -> Tensor:
    """A picture without its low-pass, or as it is for a strength of 0."""
    return split(picture, low_pass).detail if low_pass else picture


@dataclass(frozen=True)
class Details:
    """The detail of the pictures of some files and folders.

    They come in one random order, since folders are often sorted by what is in the pictures.
    """

    paths: Sequence[str]
    mode: Mode
    low_pass: float
    seed: int

    def __iter__(self) -> Iterator[Tensor]:
        files = pictures_of(self.paths)
        order = files.chosen(shuffled(len(files), self.seed, 0))
        for item in iter_images(order, mode=self.mode):
            if not isinstance(item, Skipped):
                yield detail_of(item.tensor, self.low_pass)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What is not there, found without opening what is."""
        return tuple(item for item in pictures_of(self.paths) if isinstance(item, Skipped))
