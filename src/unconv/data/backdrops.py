"""Backgrounds cut out of photographs at several zooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconv.data.arrays import to_uint8
from unconv.results import Shown

ZOOMS = (1.25, 1.8, 2.6, 4.0)
"""How much larger than the background a photograph is made before a part of it is cut out."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False, repr=False)
class Backdrops(Shown):
    """Photographs at several sizes, each at least as large as a background.

    Attributes:
        levels: by photograph and zoom: (3, height, width).
        size: (height, width) of a background.
    """

    levels: tuple[tuple[Pixels, ...], ...]
    size: tuple[int, int]

    def cut(self, where: npt.NDArray[np.float64], mirrored: npt.NDArray[np.bool_]) -> Pixels:
        """Parts of photographs.

        Args:
            where: photograph, zoom, top and left of each, as parts in [0, 1) of what there is to choose from.
            mirrored: whether each is turned left to right.

        >>> picture = np.arange(3 * 4 * 6, dtype=np.uint8).reshape(3, 4, 6)
        >>> cut = Backdrops(((picture,),), (2, 2)).cut(np.array([[0, 0, 0.5, 0.99]]), np.array([True]))
        >>> cut.shape, cut[0, 0].tolist()
        ((1, 3, 2, 2), [[11, 10], [17, 16]])
        """
        height, width = self.size
        parts = np.empty((len(where), 3, height, width), np.uint8)
        for part, (photograph, zoom, down, right), turned in zip(parts, where.tolist(), mirrored.tolist(), strict=True):
            levels = self.levels[int(photograph * len(self.levels))]
            level = levels[int(zoom * len(levels))]
            top = int(down * (level.shape[1] - height + 1))
            left = int(right * (level.shape[2] - width + 1))
            window = level[:, top : top + height, left : left + width]
            part[...] = window[..., ::-1] if turned else window
        return parts


def backdrops(pictures: Sequence[Float[Tensor, "3 _ _"]], size: tuple[int, int]) -> Backdrops:
    """Photographs resized (bilinear, antialiased) so that each covers a background 1.25, 1.8, 2.6 and 4 times.

    >>> import torch
    >>> [level.shape for level in backdrops([torch.rand(3, 300, 400)], (96, 96)).levels[0]]
    [(3, 120, 160), (3, 173, 231), (3, 250, 333), (3, 384, 512)]
    """
    return Backdrops(tuple(tuple(_covering(picture, size, zoom) for zoom in ZOOMS) for picture in pictures), size)


def _covering(picture: Tensor, size: tuple[int, int], zoom: float) -> Pixels:
    height, width = picture.shape[1:]
    scale = zoom * max(size[0] / height, size[1] / width)
    sides = (ceil(round(scale * height, 6)), ceil(round(scale * width, 6)))
    resized = F.interpolate(picture[None], size=sides, mode="bilinear", align_corners=False, antialias=True)[0]
    return np.ascontiguousarray(to_uint8(resized).numpy())
