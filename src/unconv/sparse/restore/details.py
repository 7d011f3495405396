"""High-pass pictures: what a low-pass leaves of them, for one, for a stack or list, and for all that a source gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.code.validate import as_tensor
from unconv.sparse.learn.image_sources import Preparation, Shelf, Source
from unconv.sparse.restore.lowpass import Bands, bands_of, split
from unconv.sparse.types import MaskLike


def detail_of(picture: Tensor, low_pass: float, mask: MaskLike | None = None) -> Tensor:
    """A picture without its low-pass, or as it is for a strength of 0."""
    return split(picture, low_pass, mask).detail if low_pass else picture


def high_passed(source: Source, low_pass: float, keep: bool = False) -> Source:
    """A source whose images come without their slow part; ``keep`` those made of images in memory.

    >>> from unconv.sparse.learn.image_sources import learning_source
    >>> source = high_passed(learning_source(torch.ones(2, 1, 8, 8)), 5.0)
    >>> float(source.sample().images[0].abs().max()) < 1e-6
    True
    """
    if not low_pass:
        return source
    preparation = Preparation(lambda image, mask: detail_of(image, low_pass, mask), {"low_pass": low_pass})
    if isinstance(source, Shelf):
        return replace(source, preparation=preparation, kept={} if keep else None)
    return replace(source, preparation=preparation)


def bands_of_all(
    images: Tensor | Sequence[Tensor], low_pass: float, masks: Sequence[MaskLike | None]
) -> tuple[Tensor | list[Tensor], Tensor | list[Tensor]]:
    """Slow part and detail of a stack (N, C, *size), or of a list of (C, *size), each with its mask.

    >>> low, detail = bands_of_all(torch.ones(2, 1, 100), 5.0, [None, None])
    >>> low.shape, float(detail.abs().max()) < 1e-5
    (torch.Size([2, 1, 100]), True)

    Raises :class:`~unconv.errors.SparseError` for an image that has no low-pass, with its number.
    """
    if isinstance(images, Tensor) and all(mask is None for mask in masks) and images.ndim in (3, 4):
        # Channels do not mix, so signals are split as the channels of one.
        wide = bands_of(images.flatten(0, 1) if images.ndim == 3 else images, low_pass)
        return wide.low.reshape(images.shape), wide.detail.reshape(images.shape)
    numbers = range(len(masks))
    found = [_bands_of_one(*each, low_pass) for each in zip(images, masks, numbers, strict=True)]
    low, detail = [each.low for each in found], [each.detail for each in found]
    return (torch.stack(low), torch.stack(detail)) if isinstance(images, Tensor) and found else (low, detail)


def _bands_of_one(image: Tensor, mask: MaskLike | None, number: int, low_pass: float) -> Bands:
    try:
        return bands_of(as_tensor(image, f"image {number}"), low_pass, mask)
    except SparseError as error:
        raise SparseError(f"encode: image {number}: {str(error).partition(': ')[2]}") from None
