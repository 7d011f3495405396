"""A picture as people and as a network see it, read by its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from jaxtyping import Float
from torch import Tensor

from unconv.data.images import Skipped, iter_images
from unconv.data.read.pictures import Pictures
from unconv.errors import ImageError
from unconv.models.load.preprocess import Preprocess

# Prepared pictures kept for units that share them.
CACHED_BYTES = 512 * 2**20


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture, as people and as the network see it.

    Attributes:
        name: as given or found.
        picture: ``(channel, height, width)`` in [0, 1].
        image: the same as the network wants it.
        notes: what was done when the picture was read.
    """

    name: str
    picture: Float[Tensor, "channel height width"]
    image: Float[Tensor, "channel height width"]
    notes: tuple[str, ...] = ()


def show_picture(pictures: Pictures, number: int, preprocess: Preprocess) -> Shown | Skipped:
    """One picture read and prepared; tensors of a dataset are taken as the dataset has prepared them.

    >>> import torch
    >>> from unconv.data.read.pictures import pictures_of
    >>> pictures = pictures_of(torch.rand(3, 3, 40, 60))
    >>> show_picture(pictures, 1, Preprocess(size=(8, 8), resize=(8, 8))).image.shape
    torch.Size([3, 8, 8])
    """
    item = pictures[number]
    if not isinstance(pictures.items, tuple):
        item = item[0] if isinstance(item, tuple | list) else item
        if isinstance(item, Tensor):
            return Shown(pictures.name(number), preprocess.denormalise(item).clamp(0, 1), item)
    if isinstance(item, Skipped):
        return item
    (found,) = iter_images([item])
    if isinstance(found, Skipped):
        return found
    try:
        picture = preprocess.picture(found.tensor)
    except ImageError as error:
        return Skipped(found.name, str(error), found.path)
    return Shown(pictures.name(number), picture, preprocess.normalise(picture), found.notes)


def picture_reader(pictures: Pictures, preprocess: Preprocess) -> Callable[[int], Shown]:
    """Reads pictures by number and keeps the last ones, within a limit of memory.

    What a scan has read and cannot be read any more raises :class:`~unconv.errors.ImageError`.
    """

    def read(number: int) -> Shown:
        shown = show_picture(pictures, number, preprocess)
        if isinstance(shown, Skipped):
            raise ImageError(f"see: {shown}; it could be read when the pictures were scanned")
        return shown

    kept = max(64, CACHED_BYTES // (8 * prod(preprocess.input_size)))
    return lru_cache(maxsize=kept)(read)
