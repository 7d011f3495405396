"""Pictures that can be read again by their number, as a scan counts them: files, arrays, datasets, members of a tar."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.data.images import Image, ImageFile, Skipped, iter_images, list_items
from unconv.errors import ImageError, UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.visualize.scan.collection import PICTURES, member_picture

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


@dataclass(frozen=True, eq=False)
class Member:
    """A picture inside a tar file."""

    archive: Path
    name: str
    offset: int
    size: int

    def read(self) -> Image | Skipped:
        """Open it; what is damaged comes back as skipped."""
        try:
            with self.archive.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            return Skipped(self.name, f"cannot be read ({error.strerror or error})")
        return member_picture(self.name, content)


@dataclass(frozen=True, eq=False)
class Pictures:
    """A sequence of pictures, each read when it is asked for; those left out come back as skipped.

    >>> pictures = pictures_of(torch.rand(3, 3, 40, 60))
    >>> len(pictures), pictures.name(2), pictures.shown(1, Preprocess(size=(8, 8), resize=(8, 8))).image.shape
    (3, 'image 2', torch.Size([3, 8, 8]))
    """

    # Of ImageFile, Image, Skipped or Member, or a dataset; not said here, as checking would read every one.
    items: Any
    left_out: tuple[tuple[int, Skipped], ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> Any:
        if not 0 <= number < len(self):
            raise IndexError(number)
        out = dict(self.left_out).get(number)
        if out is not None:
            return out
        item = self.items[number]
        return item.read() if isinstance(item, Member) else item

    def name(self, number: int) -> str:
        """The name of a picture, which is not read for it."""
        if not isinstance(self.items, tuple):
            return f"image {number}"
        return str(self.items[number].name)

    def label(self, number: int) -> str | None:
        """The class of a picture: its sub-folder, where all pictures lie in one, or what the dataset says."""
        if isinstance(self.items, tuple):
            return self.name(number).split("/")[0] if self._in_folders else None
        classes, targets = getattr(self.items, "classes", None), getattr(self.items, "targets", None)
        if classes is None or targets is None:
            return None
        return str(classes[int(targets[number])])

    @property
    def labelled(self) -> bool:
        """Whether pictures have classes of their own."""
        return len(self) > 0 and self.label(0) is not None

    @property
    def _in_folders(self) -> bool:
        named = [item.name for item in self.items if not isinstance(item, Skipped)]
        return bool(named) and all("/" in name for name in named)

    def without(self, skipped: Iterable[tuple[int, Skipped]]) -> Pictures:
        """The same with some left out; numbers stay as they are."""
        return replace(self, left_out=(*self.left_out, *skipped))

    def shown(self, number: int, preprocess: Preprocess) -> Shown | Skipped:
        """One picture read and prepared; tensors of a dataset are taken as the dataset has prepared them."""
        item = self[number]
        if not isinstance(self.items, tuple):
            item = item[0] if isinstance(item, tuple | list) else item
            if isinstance(item, Tensor):
                return Shown(self.name(number), preprocess.denormalise(item).clamp(0, 1), item)
        if isinstance(item, Skipped):
            return item
        (found,) = iter_images([item])
        if isinstance(found, Skipped):
            return found
        try:
            picture = preprocess.picture(found.tensor)
        except ImageError as error:
            return Skipped(found.name, str(error), found.path)
        return Shown(self.name(number), picture, preprocess.normalise(picture), found.notes)

    def reader(self, preprocess: Preprocess) -> Callable[[int], Shown]:
        """Reads pictures by number and keeps the last ones, within a limit of memory.

        What a scan has read and cannot be read any more raises :class:`~unconv.errors.ImageError`.
        """

        def read(number: int) -> Shown:
            found = self.shown(number, preprocess)
            if isinstance(found, Skipped):
                raise ImageError(f"see: {found}; it could be read when the pictures were scanned")
            return found

        kept = max(64, CACHED_BYTES // (8 * prod(preprocess.input_size)))
        return lru_cache(maxsize=kept)(read)


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some of a sequence of pictures."""

    pictures: Pictures
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Any:
        return self.pictures[self.numbers[index]]


def pictures_of(images: Any) -> Pictures:
    """Pictures that can be read again.

    Args:
        images: files, folders, tensors, arrays, or lists of them; a ``.tar`` of pictures; a dataset of torch.

    Raises :class:`~unconv.errors.UnconvError` for loaders, which give their pictures once and in any order.
    """
    if isinstance(images, torch.utils.data.DataLoader):
        raise UnconvError("see: a loader may give other pictures the second time; give its dataset")
    if isinstance(images, Pictures):
        return images
    paths = [images] if isinstance(images, str | os.PathLike) else images
    if isinstance(paths, list | tuple) and len(paths) == 1 and _is_tar(paths[0]):
        return Pictures(_members(Path(paths[0])))
    if hasattr(images, "__getitem__") and hasattr(images, "__len__") and not _of_arrays(images):
        return Pictures(images)
    return Pictures(list_items(images))


def _is_tar(path: Any) -> bool:
    return isinstance(path, str | os.PathLike) and Path(path).suffix == ".tar" and Path(path).is_file()


def _of_arrays(images: Any) -> bool:
    return isinstance(images, str | list | tuple | Tensor | ImageFile | Image | Skipped) or hasattr(images, "__array__")


def _members(path: Path) -> Sequence[Member]:
    try:
        with tarfile.open(path, "r:") as archive:
            return tuple(
                Member(path, member.name, member.offset_data, member.size)
                for member in archive
                if member.isfile() and member.name.lower().endswith(PICTURES)
            )
    except (tarfile.TarError, OSError) as error:
        raise ImageError(f"{path.name}: cannot be read as a tar file ({error})") from None
