"""Where a learner's images come from: arrays, files, or a stream that no memory holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unconv.data.arrays import Mode
from unconv.data.images import Image, ImageFile, Skipped, iter_images, list_images
from unconv.errors import SparseError
from unconv.jobs import fingerprint_arrays, fingerprint_files
from unconv.sparse.code.problem import per_image
from unconv.sparse.code.types import ImageSource, MaskLike
from unconv.sparse.code.validate import as_tensor

SAMPLE = 32
"""Images that are looked at before learning starts: for first kernels, and for a penalty relative to its maximum."""


@dataclass(frozen=True, eq=False, repr=False)
class Portion:
    """Some images to be coded together: their numbers, and the images where only the stream could give them."""

    indices: tuple[int, ...]
    images: tuple[Tensor, ...] | None = None

    def __repr__(self) -> str:
        return f"images {self.indices[0]} to {self.indices[-1]}"


@dataclass(frozen=True, eq=False)
class Loaded:
    """Images in memory, their numbers, and the mask of each."""

    indices: tuple[int, ...]
    images: tuple[Tensor, ...]
    masks: tuple[MaskLike | None, ...]


@dataclass(frozen=True, eq=False)
class Shelf:
    """Images that can be taken in any order: in memory, or files that are read when they are needed."""

    entries: Sequence[Tensor | ImageFile]
    masks: Sequence[MaskLike | None]
    mode: Mode = "rgb"
    skipped: dict[int, Skipped] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entries)

    def portions(self, size: int, order: Sequence[int] | None = None) -> Sequence[Portion]:
        """All images in portions of ``size``."""
        numbers = range(len(self)) if order is None else order
        return [Portion(tuple(numbers[start : start + size])) for start in range(0, len(self), size)]

    def load(self, portion: Portion) -> Loaded:
        """The images of a portion; files that are no picture are left out, and noted in ``skipped``."""
        found = [(index, image) for index in portion.indices if (image := self._one(index)) is not None]
        return Loaded(
            tuple(index for index, _ in found),
            tuple(image for _, image in found),
            tuple(self.masks[index] for index, _ in found),
        )

    def sample(self) -> Loaded:
        """Up to 32 images, spread evenly."""
        step = max(1, len(self) // SAMPLE)
        loaded = self.load(Portion(tuple(range(0, len(self), step))[:SAMPLE]))
        if loaded.images:
            return loaded
        told = "; ".join(str(item) for item in list(self.skipped.values())[:3])
        raise SparseError(f"learn: none of the images can be read: {told}")

    def fingerprint(self) -> dict[str, Any]:
        """What tells these images from others."""
        files = [entry.path for entry in self.entries if isinstance(entry, ImageFile)]
        arrays = [entry for entry in self.entries if isinstance(entry, Tensor)]
        masks = [np.asarray(mask) for mask in self.masks if mask is not None]
        found: dict[str, Any] = fingerprint_files(files) if files else {}
        return found | fingerprint_arrays(images=arrays, masks=masks)

    def _one(self, index: int) -> Tensor | None:
        entry = self.entries[index]
        if isinstance(entry, Tensor):
            return entry
        for result in iter_images([entry], mode=self.mode):
            if isinstance(result, Image):
                return result.tensor
            self.skipped[index] = result
        return None


@dataclass(frozen=True, eq=False)
class Stream:
    """Images that come one after the other, once (``again`` False) or as often as asked."""

    entries: Iterable[Any]
    first: tuple[Tensor, ...]
    mask: MaskLike | None
    again: bool

    def portions(self, size: int) -> Iterator[Portion]:
        """All images in portions of ``size``."""
        images = _flatten(self.entries)
        start = 0
        while taken := tuple(islice(images, size)):
            yield Portion(tuple(range(start, start + len(taken))), taken)
            start += len(taken)

    def load(self, portion: Portion) -> Loaded:
        """The images that the portion brings along."""
        images = portion.images or ()
        return Loaded(portion.indices, images, (self.mask,) * len(images))

    def sample(self) -> Loaded:
        """The first images, up to 32."""
        return Loaded(tuple(range(len(self.first))), self.first, (self.mask,) * len(self.first))

    def fingerprint(self) -> dict[str, Any]:
        """What tells these images from others, as far as the first of them do."""
        return fingerprint_arrays(first=list(self.first))


Source = Shelf | Stream


def source_of(images: ImageSource, mask: MaskLike | None = None, mode: Mode = "rgb") -> Source:
    """The images that a user's value means.

    An array (N, C, H, W) or (N, C, T); a list of (C, H, W) or (C, T), of any sizes; a path of a picture or a folder,
    or a list of them, read in ``mode``; any other iterable of such, of stacks of them or of pairs that begin with
    one (as data loaders give them), which is streamed.

    Raises :class:`~unconv.errors.SparseError` for what is none of these, or holds no image.
    """
    if isinstance(images, str | os.PathLike):
        return _files([images], mask, mode)
    if isinstance(images, list | tuple):
        if images and all(isinstance(entry, str | os.PathLike) for entry in images):
            return _files(list(images), mask, mode)
        return _shelf([as_tensor(entry, f"image {n}", "learn") for n, entry in enumerate(images)], mask)
    if isinstance(images, np.ndarray | Tensor):
        stack = as_tensor(images, "images", "learn")
        if stack.ndim not in (3, 4):
            raise SparseError(
                f"learn: images of shape {tuple(stack.shape)}; give (images, channels, height, width), for signals "
                "(images, channels, length), or a list"
            )
        return _shelf(list(stack.unbind(0)), mask)
    if not isinstance(images, Iterable):
        raise SparseError(
            f"learn: {type(images).__name__} holds no images; give an array, a list, a folder or a stream"
        )
    if isinstance(mask, list | tuple):
        raise SparseError("learn: a list of masks with a stream of images; give one mask for all, or a list of images")
    return _stream(images, mask)


def _shelf(entries: list[Tensor], mask: MaskLike | None) -> Shelf:
    if not entries:
        raise SparseError("learn: no images; give at least one")
    axes = entries[0].ndim - 1
    if axes not in (1, 2):
        raise SparseError(
            f"learn: image 0 has shape {tuple(entries[0].shape)}; give (channels, height, width) or (channels, length)"
        )
    return Shelf(entries, per_image(mask, len(entries), axes, "mask", "learn"))


def _files(paths: list[str | os.PathLike[str]], mask: MaskLike | None, mode: Mode) -> Shelf:
    listed = list_images(paths)
    files = [entry for entry in listed if isinstance(entry, ImageFile)]
    if not files:
        raise SparseError(f"learn: no images: {'; '.join(str(entry) for entry in listed[:3])}")
    return Shelf(files, per_image(mask, len(files), 2, "mask", "learn"), mode)


def _stream(images: Iterable[Any], mask: MaskLike | None) -> Stream:
    again = iter(images) is not images
    iterator = iter(images)
    first = tuple(islice(_flatten(iterator), SAMPLE if again else 8))
    if not first:
        raise SparseError("learn: the stream holds no images; give at least one")
    if again:
        return Stream(images, first, mask, True)
    return Stream(chain(first, _flatten(iterator)), first, mask, False)


def _flatten(entries: Iterable[Any]) -> Iterator[Tensor]:
    """One image after the other, of what may be images, stacks of them, or pairs that begin with one."""
    for number, entry in enumerate(entries):
        what = entry[0] if isinstance(entry, tuple | list) and len(entry) else entry
        tensor = as_tensor(what, f"image {number} of the stream", "learn")
        if tensor.ndim == 4:
            yield from tensor.unbind(0)
        elif tensor.ndim in (2, 3):
            yield tensor
        else:
            raise SparseError(
                f"learn: image {number} of the stream has shape {tuple(tensor.shape)}; give (channels, height, width) "
                "or (channels, length)"
            )


def shuffled(count: int, seed: int, round_number: int) -> list[int]:
    """The numbers below ``count`` in the random order of a round."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + round_number) % 2**63)
    return [int(index) for index in torch.randperm(count, generator=generator)]
