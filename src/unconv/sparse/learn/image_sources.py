"""Image sources of a learner: what can be taken in any order, or a stream that no memory holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

from unconv.data.arrays import Mode
from unconv.data.read.items import Entry, ImageFile, InMemory, Item, Skipped
from unconv.data.read.pictures import ImageStream, Pictures
from unconv.data.read.source import source_of, stack_pictures
from unconv.errors import ImageError, SparseError
from unconv.jobs import fingerprint_arrays
from unconv.sparse.code.problem import per_image
from unconv.sparse.code.validate import as_tensor, read_image
from unconv.sparse.types import ImageSource, MaskLike

# Images that are looked at before learning starts: for first kernels, and for a penalty relative to its maximum.
SAMPLE = 32
# Of a stream that cannot be gone through again: those are kept.
FIRST = 8


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
class Preparation:
    """What is done with each image and its mask once it is read, and how a checkpoint tells it from others."""

    prepare: Callable[[Tensor, MaskLike | None], Tensor]
    about: dict[str, Any]

    def of(self, image: Tensor, mask: MaskLike | None, index: int) -> Tensor:
        """The image to learn from; an error names the image."""
        try:
            return self.prepare(image, mask)
        except SparseError as error:
            told = str(error).partition(": ")[2]
            which = f"image {index} " if told.startswith("image ") else f"image {index}: "
            raise SparseError(f"learn: {which}{told.removeprefix('image ')}") from None


@dataclass(frozen=True, eq=False)
class Shelf:
    """Images that can be taken in any order, each read when it is needed.

    With ``kept`` what has been prepared of images that are in memory already is kept there.
    """

    pictures: Pictures
    masks: Sequence[MaskLike | None]
    mode: Mode = "rgb"
    skipped: dict[int, Skipped] = field(default_factory=dict)
    preparation: Preparation | None = None
    kept: dict[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def portions(self, size: int, order: Sequence[int] | None = None) -> Sequence[Portion]:
        """All images in portions of ``size``."""
        numbers = range(len(self)) if order is None else order
        return [Portion(tuple(numbers[start : start + size])) for start in range(0, len(self), size)]

    def load(self, portion: Portion) -> Loaded:
        """The images of a portion; what is no picture is left out, and noted in ``skipped``."""
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
        about = self.pictures.fingerprint()
        if any(isinstance(item, Entry) for item in self.pictures.items[:1]):
            # Kind and length say little of a dataset.
            about |= fingerprint_arrays(first=list(self.sample().images))
        about |= fingerprint_arrays(masks=[np.asarray(mask) for mask in self.masks if mask is not None])
        return about if self.preparation is None else about | self.preparation.about

    def _one(self, index: int) -> Tensor | None:
        if self.kept is not None and index in self.kept:
            return self.kept[index]
        item = self.pictures.item(index)
        image = read_image(item, self.mode, "learn")
        if isinstance(image, Skipped):
            self.skipped[index] = image
            return None
        if self.preparation is not None:
            image = self.preparation.of(image, self.masks[index], index)
            if self.kept is not None and isinstance(item, InMemory):
                self.kept[index] = image
        return image


@dataclass(frozen=True, eq=False)
class Stream:
    """Images that come one after the other, once (``again`` False) or as often as asked."""

    entries: Iterable[Item]
    first: tuple[Tensor, ...]
    mask: MaskLike | None
    again: bool
    mode: Mode = "rgb"
    skipped: dict[int, Skipped] = field(default_factory=dict)
    preparation: Preparation | None = None

    def portions(self, size: int) -> Iterator[Portion]:
        """All images in portions of ``size``."""
        images = _images(self.entries, self.mode, self.skipped, 0 if self.again else len(self.skipped))
        start = 0
        while taken := tuple(islice(images, size)):
            yield Portion(tuple(range(start, start + len(taken))), taken)
            start += len(taken)

    def load(self, portion: Portion) -> Loaded:
        """The images that the portion brings along."""
        images = portion.images or ()
        if self.preparation is not None:
            images = tuple(map(self.preparation.of, images, (self.mask,) * len(images), portion.indices))
        return Loaded(portion.indices, images, (self.mask,) * len(images))

    def sample(self) -> Loaded:
        """The first images, up to 32."""
        return self.load(Portion(tuple(range(len(self.first))), self.first))

    def fingerprint(self) -> dict[str, Any]:
        """What tells these images from others, as far as the first of them do."""
        about = fingerprint_arrays(first=list(self.first))
        return about if self.preparation is None else about | self.preparation.about


Source = Shelf | Stream


def learning_source(images: ImageSource, mask: MaskLike | None = None, mode: Mode = "rgb") -> Source:
    """The images that a user's value means.

    An array (N, C, H, W) or (N, C, T); a list of (C, H, W) or (C, T), of any sizes; or whatever else
    :func:`~unconv.data.read.source.source_of` takes: files, folders and archives, read in ``mode``, datasets, and what
    is streamed, such as loaders and generators. Numbers of arrays are taken as they are.

    Raises :class:`~unconv.errors.SparseError` for what is none of these, or holds no image.
    """
    if isinstance(images, np.ndarray | Tensor):
        stack = as_tensor(images, "images", "learn")
        if stack.ndim not in (3, 4):
            raise SparseError(
                f"learn: images of shape {tuple(stack.shape)}; give (images, channels, height, width), for signals "
                "(images, channels, length), or a list"
            )
        return _shelf(stack_pictures(stack), mask, mode)
    try:
        source = source_of(images)
    except ImageError as error:
        raise SparseError(f"learn: {str(error).removeprefix('images: ')}") from None
    if isinstance(source, Pictures):
        return _shelf(source, mask, mode)
    if isinstance(mask, list | tuple):
        raise SparseError("learn: a list of masks with a stream of images; give one mask for all, or a list of images")
    return _stream(source, mask, mode)


def axes_of(source: Source) -> int:
    """1 of signals, 2 of pictures; told from the first."""
    return source.first[0].ndim - 1 if isinstance(source, Stream) else _axes(source.pictures)


def _shelf(pictures: Pictures, mask: MaskLike | None, mode: Mode) -> Shelf:
    missing = [item for item in pictures.items if isinstance(item, Skipped)] if pictures.listed else []
    if missing or not len(pictures):
        kept = tuple(item for item in pictures if not isinstance(item, Skipped))
        if not kept:
            names = "; ".join(map(str, missing[:3]))
            raise SparseError(f"learn: no images: {names}" if missing else "learn: no images; give at least one")
        pictures = replace(pictures, items=kept)
    if pictures.listed:
        # What is no array of numbers is refused before learning begins.
        checked = [replace(item, value=_value(item)) if isinstance(item, InMemory) else item for item in pictures.items]
        pictures = replace(pictures, items=tuple(checked))
    shelf = Shelf(pictures, [None] * len(pictures), mode, dict(enumerate(missing, -len(missing))))
    axes = _axes(pictures)
    return replace(shelf, masks=per_image(mask, len(pictures), axes, "mask", "learn"))


def _value(item: InMemory) -> object:
    return item.value if isinstance(item.value, PillowImage.Image) else as_tensor(item.value, item.name, "learn")


def _axes(pictures: Pictures) -> int:
    """1 of signals, 2 of images; told from the first."""
    first = pictures.item(0)
    if isinstance(first, ImageFile):
        return 2
    image = read_image(first, "rgb", "learn")
    if isinstance(image, Tensor) and image.ndim not in (2, 3):
        raise SparseError(
            f"learn: image 0 has shape {tuple(image.shape)}; give (channels, height, width) or (channels, length)"
        )
    return image.ndim - 1 if isinstance(image, Tensor) else 2


def _stream(source: ImageStream, mask: MaskLike | None, mode: Mode) -> Stream:
    skipped: dict[int, Skipped] = {}
    iterator = iter(source)
    first = tuple(islice(_images(iterator, mode, skipped), SAMPLE if source.again else FIRST))
    if not first:
        raise SparseError("learn: the stream holds no images; give at least one")
    if source.again:
        return Stream(source, first, mask, True, mode)
    kept = (InMemory(f"image {number}", image) for number, image in enumerate(first))
    return Stream(chain(kept, iterator), first, mask, False, mode, skipped)


def _images(items: Iterable[Item], mode: Mode, skipped: dict[int, Skipped], start: int = 0) -> Iterator[Tensor]:
    """One image after the other; what is no picture is noted."""
    for number, item in enumerate(items, start):
        image = read_image(item, mode, "learn")
        if isinstance(image, Skipped):
            skipped[number] = image
        elif image.ndim == 4:
            yield from image.unbind(0)
        elif image.ndim in (2, 3):
            yield image
        else:
            raise SparseError(
                f"learn: image {number} of the stream has shape {tuple(image.shape)}; give (channels, height, width) "
                "or (channels, length)"
            )


def shuffled(count: int, seed: int, round_number: int) -> list[int]:
    """The numbers below ``count`` in the random order of a round."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + round_number) % 2**63)
    return [int(index) for index in torch.randperm(count, generator=generator)]
