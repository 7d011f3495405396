"""The one place that reads pictures: files, folders and ready arrays in, tensors and a list of what was skipped out.

A picture is a float32 tensor (channels, height, width) with values in [0, 1]. What cannot be read is reported as
Skipped with its reason and never stops the others. Folders are walked with their sub-folders (classes, often), in
the order of their names; what begins with a dot is passed over. How each pixel format becomes numbers is written in
``unconv.data.decode``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PillowImage
from torch import Tensor

from unconv.data.arrays import (
    Array,
    Background,
    Mode,
    check_finish,
    finish_picture,
    one_line,
    printable,
    save_image,
    to_pil,
    to_uint8,
)
from unconv.data.convert import as_image_tensor
from unconv.data.decode import decode_file, decode_pillow
from unconv.errors import ImageError

__all__ = [
    "Image",
    "ImageFile",
    "ImageSet",
    "Skipped",
    "as_image_tensor",
    "iter_images",
    "list_images",
    "list_items",
    "read_images",
    "save_image",
    "to_pil",
    "to_uint8",
]

MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class ImageFile:
    """A file that may hold a picture, and the name to show: the file's own, or its place below the folder given."""

    path: Path
    name: str


@dataclass(frozen=True)
class Skipped:
    """An input that gave no picture, and why.

    >>> str(Skipped("holiday.jpg", "empty file (0 bytes)"))
    'holiday.jpg: empty file (0 bytes)'
    """

    name: str
    reason: str
    path: Path | None = None

    def __str__(self) -> str:
        return f"{printable(self.path or self.name)}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Image:
    """A picture that was read.

    Attributes:
        name: as given or found, verbatim.
        tensor: the picture, values in [0, 1].
        path: the file, None for ready arrays.
        notes: what was done on the way and a reader should know, one phrase each.

    >>> Image("noise", torch.rand(3, 48, 64)).size
    (48, 64)
    """

    name: str
    tensor: Float[Tensor, "channels height width"]
    path: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        return (self.tensor.shape[1], self.tensor.shape[2])


_ONE = (str, os.PathLike, ImageFile, Image, Skipped, Tensor, np.ndarray, PillowImage.Image)
Input: TypeAlias = str | os.PathLike[str] | ImageFile | Image | Skipped | Tensor | Array | PillowImage.Image


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The pictures that could be read, and what was skipped.

    >>> pictures = read_images([torch.zeros(3, 48, 64), torch.ones(1, 48, 64)])
    >>> len(pictures), pictures[0].name, pictures.batch().shape
    (2, 'image 0', torch.Size([2, 3, 48, 64]))
    """

    images: tuple[Image, ...]
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images)

    def __getitem__(self, index: int) -> Image:
        return self.images[index]

    def batch(self) -> Float[Tensor, "batch channels height width"]:
        """All pictures as one tensor; raises ImageError where their shapes differ."""
        shapes = {tuple(image.tensor.shape): image.name for image in self.images}
        if len(shapes) > 1:
            (first, name), (other, other_name) = list(shapes.items())[:2]
            raise ImageError(
                f"batch: {printable(name)} is {first} and {printable(other_name)} is {other}; resize to one shape first"
            )
        return torch.stack([image.tensor for image in self.images])


def read_images(
    inputs: Input | Iterable[Input],
    *,
    mode: Mode = "rgb",
    background: Background = 1.0,
    max_pixels: int = MAX_PIXELS,
) -> ImageSet:
    """Read every picture of some files, folders and arrays into memory.

    Args:
        inputs: one or several of: a file, a folder, a tensor, an array (a fourth axis in front counts pictures), a
            Pillow picture.
        mode: ``"rgb"`` three channels, ``"grey"`` one (BT.601 luma), ``"keep"`` one or three as in the file.
        background: what shows through where a picture is transparent: grey level or (red, green, blue) in [0, 1].
        max_pixels: larger files are skipped from what their header says, before anything is decoded.

    Raises ImageError when nothing at all could be read, naming what was tried. For more pictures than memory holds,
    see iter_images.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = save_image(torch.rand(3, 48, 64), folder / "noise.png")
    >>> _ = (folder / "notes.txt").write_text("no picture")
    >>> pictures = read_images(folder)
    >>> [image.name for image in pictures], [(s.name, s.reason) for s in pictures.skipped]
    (['noise.png'], [('notes.txt', 'not a picture in a known format')])
    """
    images, skipped = [], []
    for result in iter_images(inputs, mode=mode, background=background, max_pixels=max_pixels):
        if isinstance(result, Image):
            images.append(result)
        else:
            skipped.append(result)
    if not images:
        raise ImageError(_nothing_read(skipped))
    return ImageSet(tuple(images), tuple(skipped))


def _nothing_read(skipped: list[Skipped]) -> str:
    if not skipped:
        return "images: none given; name a picture or a folder"
    told = "; ".join(str(item) for item in skipped[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"images: nothing readable in {len(skipped)} tried: {told}{more}"


def iter_images(
    inputs: Input | Iterable[Input],
    *,
    mode: Mode = "rgb",
    background: Background = 1.0,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Image | Skipped]:
    """Read pictures one by one, each when it is asked for; arguments as for read_images.

    >>> [image.tensor.shape for image in iter_images(np.zeros((2, 48, 64, 3), dtype=np.uint8))]
    [torch.Size([3, 48, 64]), torch.Size([3, 48, 64])]
    """
    check_finish(mode, background)
    if max_pixels < 1:
        raise ImageError(f"images: max_pixels {max_pixels} lets nothing through; give 1 or more")
    return (_read(item, mode, background, max_pixels) for item in _each(inputs))


def _read(item: _Item, mode: Mode, background: Background, max_pixels: int) -> Image | Skipped:
    if isinstance(item, Skipped):
        return item
    if isinstance(item, Image):
        return replace(item, tensor=finish_picture(item.tensor, None, mode, background))
    if isinstance(item, ImageFile):
        try:
            picture, notes = decode_file(item.path, mode=mode, background=background, max_pixels=max_pixels)
        except ImageError as error:
            return Skipped(item.name, str(error), item.path)
        return Image(item.name, picture, item.path, notes)
    name, array = item
    try:
        if isinstance(array, PillowImage.Image):
            picture, notes = decode_pillow(array, mode=mode, background=background)
            return Image(name, picture, notes=notes)
        return Image(name, as_image_tensor(array, mode=mode, background=background))
    except ImageError as error:
        return Skipped(name, str(error))


_Item: TypeAlias = ImageFile | Image | Skipped | tuple[str, Tensor | Array | PillowImage.Image]


def _each(inputs: Input | Iterable[Input]) -> Iterator[_Item]:
    position = 0
    for item in [inputs] if isinstance(inputs, _ONE) else inputs:
        if isinstance(item, ImageFile | Image | Skipped):
            yield item
        elif isinstance(item, str | os.PathLike):
            yield from _find(item)
        else:
            pictures = item if isinstance(item, Tensor | np.ndarray) and item.ndim == 4 else [item]
            for picture in pictures:
                yield f"image {position}", picture
                position += 1


def list_items(inputs: Input | Iterable[Input]) -> tuple[ImageFile | Image | Skipped, ...]:
    """Every picture of some inputs, files unread, arrays as pictures: what can be read again, one by one, by number.

    >>> [item.name for item in list_items([torch.zeros(3, 48, 64), torch.zeros(2, 3, 8, 8)])]
    ['image 0', 'image 1', 'image 2']
    """
    return tuple(_read(item, "rgb", 1.0, MAX_PIXELS) if isinstance(item, tuple) else item for item in _each(inputs))


def list_images(inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[ImageFile | Skipped, ...]:
    """Find the files that reading these paths would open, without opening them: to count, to show, to split.

    Missing paths and empty folders come back as Skipped, in their place. The result can be given to iter_images.

    >>> [str(item) for item in list_images("nowhere.png")]
    ['nowhere.png: no such file or folder']
    """
    paths = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    return tuple(chain.from_iterable(_find(path) for path in paths))


def _find(given: str | os.PathLike[str]) -> Iterator[ImageFile | Skipped]:
    if not os.fspath(given):
        # Path("") would be the current folder.
        yield Skipped("", "an empty name is no file or folder")
        return
    path = Path(given)
    try:
        if path.is_dir():
            yield from _walk(path)
        else:
            yield _file(path, path.name)
    except (OSError, ValueError) as error:
        # A name too long, a NUL in it, a folder that may not be searched.
        yield Skipped(path.name, one_line(error), path)


def _file(path: Path, name: str) -> ImageFile | Skipped:
    if path.is_file():
        return ImageFile(path, name)
    # A pipe or a device would be waited for, perhaps for ever.
    return Skipped(name, "not a regular file" if path.exists() else "no such file or folder", path)


def _walk(folder: Path) -> Iterator[ImageFile | Skipped]:
    """All files below a folder, sorted by name, hidden ones left out; a folder reached twice is walked once."""
    seen: set[Path] = set()
    found: list[ImageFile | Skipped] = []

    def unreadable(error: OSError) -> None:
        place = Path(error.filename)
        found.append(Skipped(_below(place, folder), one_line(error), place))

    for place, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        here = Path(place)
        real = here.resolve()
        if real in seen:
            folders.clear()
            found.append(Skipped(_below(here, folder), "a link to a folder already read", here))
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith("."):
                found.append(_file(here / name, _below(here / name, folder)))
    if not found:
        found.append(Skipped(folder.name or str(folder), "no files in this folder", folder))
    yield from sorted(found, key=lambda item: (item.path or folder).parts)


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
