"""Pictures that can be read again by their number, as a scan counts them: files, arrays, datasets, members of a tar."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unconv.data.images import Image, ImageFile, Skipped, list_items
from unconv.data.read.batches import PICTURES, member_picture
from unconv.errors import ImageError, UnconvError


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
    >>> len(pictures), pictures.name(2), pictures[1].size
    (3, 'image 2', (40, 60))
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
