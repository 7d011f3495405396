"""Garments cut out of Fashion-MNIST's black pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from unconv.data.fashion import CLASSES, Fashion
from unconv.errors import ImageError
from unconv.results import Shown

# Grey of the pictures' ground, whose scans are not black everywhere.
GROUND = 15


@dataclass(frozen=True, eq=False, repr=False)
class Silhouettes(Shown):
    """Garments with their outlines, sorted by class.

    Attributes:
        layers: the grey of each garment, black where it is not; and its silhouette, 255 inside and 0 outside.
        first: where each class begins; the last entry is the number of garments.
    """

    layers: UInt8[Tensor, "count 2 height width"]
    first: Int64[Tensor, " bounds"]


def silhouettes(garments: Fashion) -> Silhouettes:
    """Cut garments out of their pictures.

    The silhouette is what is brighter than the ground, closed with a 3×3 square (dilated, then eroded: J. Serra, "Image
    Analysis and Mathematical Morphology", 1982, chapter II), so that dark seams and prints belong to their garment, and
    the hole in a handle does not.

    Raises ImageError where a class has no garment.

    >>> images = torch.zeros(10, 1, 28, 28, dtype=torch.uint8)
    >>> images[:, :, 8:20, 8:20] = 200
    >>> images[:, :, 12, 12] = 0  # a button
    >>> cut = silhouettes(Fashion(images, torch.arange(10)))
    >>> cut.layers.shape, int((cut.layers[0, 1] == 255).sum()), cut.first[-1]
    (torch.Size([10, 2, 28, 28]), 144, tensor(10))
    """
    counts = garments.labels.bincount(minlength=len(CLASSES))
    if int(counts.min()) == 0:
        raise ImageError(
            f"silhouettes: no picture of class {CLASSES[int(counts.argmin())]} in {len(garments.labels)}; "
            "give garments of every class"
        )
    order = garments.labels.argsort(stable=True)
    grey = garments.images[order, 0].numpy()
    inside = closed(grey > GROUND)
    layers = np.stack([np.where(inside, grey, 0), 255 * inside.astype(np.uint8)], 1)
    return Silhouettes(torch.from_numpy(layers), torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]))


def closed(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Masks (…, height, width) after a dilation and an erosion with a 3×3 square; beyond the border nothing is.

    >>> closed(np.array([[True, False, True]])).tolist()
    [[True, True, True]]
    """
    # Room for the dilation: what it adds beyond the border, the erosion takes back.
    room = np.pad(masks, [(0, 0)] * (masks.ndim - 2) + [(2, 2)] * 2)
    wide = room[..., :-2, :] | room[..., 1:-1, :] | room[..., 2:, :]
    wide = wide[..., :-2] | wide[..., 1:-1] | wide[..., 2:]
    narrow = wide[..., :-2, :] & wide[..., 1:-1, :] & wide[..., 2:, :]
    return np.asarray(narrow[..., :-2] & narrow[..., 1:-1] & narrow[..., 2:])
