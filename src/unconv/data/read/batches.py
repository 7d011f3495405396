"""Collections of images too large for memory, as batches: folders, datasets, loaders, tar files, streams."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unconv.data.decode import decode_stream
from unconv.data.images import MAX_PIXELS, Image, Skipped, iter_images, list_images
from unconv.data.read.prefetch import Ahead, ahead
from unconv.errors import ImageError
from unconv.jobs.fingerprint import fingerprint_arrays, fingerprint_files

Prepare = Callable[[Tensor], Tensor]
PICTURES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".gif", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images that are computed together.

    Attributes:
        images: ``(batch, channel, *size)``, as the network wants them; no image at all where none could be read.
        numbers: which images of the collection they are.
        names: what they are called.
        count: how many the batch stands for, those that could not be read included.
        skipped: what could not be read, and why.
    """

    images: Float[Tensor, "batch channel *size"]
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    count: int
    skipped: tuple[Skipped, ...] = ()

    def __repr__(self) -> str:
        return f"images {self.numbers[0]} to {self.numbers[-1]}" if self.numbers else "no image"


@dataclass(frozen=True, eq=False)
class Collection:
    """Images in batches; the partition into batches is fixed, so that work on it can be resumed.

    Attributes:
        batches: the batches, each read while the one before is in use; a sequence where their number is known.
        key: what the collection is, to tell another one from it.
    """

    # Of Batch; not said here, as checking the type of an element would read it.
    batches: Iterable[Any]
    key: Any = field(default=None, repr=False)

    def fingerprint(self) -> Any:
        """What a checkpoint remembers of the collection."""
        return self.key() if callable(self.key) else self.key


def collection_of(images: Any, prepare: Prepare | None = None, batch_size: int = 32) -> Collection:
    """Images in batches, from whatever holds them.

    Args:
        images: one of

            - a file, a folder (with or without sub-folders), or a list of these: pictures;
            - a ``.tar`` file of pictures, as webdataset writes them;
            - a tensor ``(batch, channel, *size)``;
            - a dataset of torch or torchvision: items are images or (image, …);
            - a ``DataLoader``: its batches are taken as they are;
            - any iterable of images.
        prepare: what the network wants done to a picture (channel, height, width) in [0, 1], a batch of one. It is
            applied to pictures: files, Pillow images, arrays, and tensors given as such; not to tensors from a dataset,
            which that has prepared itself, nor to those of a loader.
        batch_size: images in a batch.

    What cannot be read is left out, and noted in the batch. Raises :class:`~unconv.errors.ImageError` where images of
    one batch differ in size.

    >>> [len(batch.numbers) for batch in collection_of(torch.rand(5, 3, 8, 8), batch_size=2).batches]
    [2, 2, 1]
    """
    if isinstance(images, torch.utils.data.DataLoader):
        return Collection(ahead(lambda batch: batch, _numbered(images)), ("loader", type(images.dataset).__name__))
    if isinstance(images, str | os.PathLike) and Path(images).suffix == ".tar" and Path(images).is_file():
        items: Any = _tar_members(Path(images))
        return _streamed(items, prepare, batch_size, lambda: fingerprint_files([Path(images)]))
    if isinstance(images, str | os.PathLike) or _all_paths(images):
        found = list_images(images)
        paths = [item.path for item in found if not isinstance(item, Skipped)]
        return _indexed(found, prepare, batch_size, lambda: fingerprint_files(paths))
    if isinstance(images, Tensor | np.ndarray):
        every = images if images.ndim > 3 or isinstance(images, Tensor) else images[None]
        pictures = [Image(f"image {number}", _tensor(one)) for number, one in enumerate(every)] if prepare else every
        return _indexed(pictures, prepare, batch_size, lambda: fingerprint_arrays(images=images))
    if hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        return _indexed(images, prepare, batch_size, (type(images).__name__, len(images)))
    return _streamed(images, prepare, batch_size, type(images).__name__)


def _all_paths(images: Any) -> bool:
    return (
        isinstance(images, list | tuple) and bool(images) and all(isinstance(one, str | os.PathLike) for one in images)
    )


def _tensor(array: Any) -> Tensor:
    return array if isinstance(array, Tensor) else torch.from_numpy(np.ascontiguousarray(array))


def _indexed(items: Any, prepare: Prepare | None, batch_size: int, key: Any) -> Collection:
    numbers = range(len(items))
    parts = [numbers[first : first + batch_size] for first in range(0, len(items), batch_size)]

    def load(part: range) -> Batch:
        return _batch([(number, _taken(items, number, prepare)) for number in part])

    return Collection(Ahead(load, parts), key)


def _streamed(items: Iterable[Any], prepare: Prepare | None, batch_size: int, key: Any) -> Collection:
    def parts() -> Iterator[list[tuple[int, Any]]]:
        stream = enumerate(items)
        while part := list(islice(stream, batch_size)):
            yield part

    def load(part: list[tuple[int, Any]]) -> Batch:
        return _batch([(number, _read(item, number, prepare)) for number, item in part])

    return Collection(ahead(load, parts()), key)


Taken = tuple[str, Tensor] | Skipped


def _taken(items: Any, number: int, prepare: Prepare | None) -> Taken:
    """One item of a dataset; whatever its file or transform raises makes it a skipped one."""
    try:
        item = items[number]
    except Exception as error:
        return Skipped(f"image {number}", " ".join(str(error).split()) or type(error).__name__)
    return _read(item, number, prepare)


def _read(item: Any, number: int, prepare: Prepare | None) -> Taken:
    """Name and prepared image of an item: an image, or a tuple or dict that begins with one."""
    name = f"image {number}"
    if isinstance(item, dict):
        item = next((item[key] for key in ("image", "img", "pixel_values", "x") if key in item), item)
    elif isinstance(item, tuple | list) and item:
        item = item[0]
    if isinstance(item, Tensor):
        return name, item
    try:
        (picture,) = iter_images([item] if not isinstance(item, str | os.PathLike) else item)
    except (TypeError, ValueError) as error:
        return Skipped(name, " ".join(str(error).split()))
    if isinstance(picture, Skipped):
        return picture
    named = picture.name if picture.path is not None or isinstance(item, Image) else name
    try:
        return named, prepare(picture.tensor)[0] if prepare is not None else picture.tensor
    except ImageError as error:
        return Skipped(named, str(error), picture.path)


def _batch(items: Sequence[tuple[int, Taken]]) -> Batch:
    read = [(number, *item) for number, item in items if not isinstance(item, Skipped)]
    skipped = tuple(item for _, item in items if isinstance(item, Skipped))
    shapes = {tuple(image.shape): name for _, name, image in read}
    if len(shapes) > 1:
        (one, first), (other, second) = list(shapes.items())[:2]
        raise ImageError(f"batch: {first} is {one} and {second} is {other}; bring the images to one size first")
    images = torch.stack([image for _, _, image in read]) if read else torch.empty(0, 0)
    numbers, names = tuple(number for number, _, _ in read), tuple(name for _, name, _ in read)
    return Batch(images, numbers, names, len(items), skipped)


def _numbered(loader: Iterable[Any]) -> Iterator[Batch]:
    """The batches of a loader: a tensor, or a tuple or dict that begins with one."""
    first = 0
    for given in loader:
        batch = given
        if isinstance(batch, dict):
            batch = next((batch[key] for key in ("image", "img", "pixel_values", "x") if key in batch), batch)
        elif isinstance(batch, tuple | list) and batch:
            batch = batch[0]
        if not isinstance(batch, Tensor):
            raise ImageError(f"loader: a batch is a {type(batch).__name__}; make it a tensor, or (tensor, …)")
        numbers = tuple(range(first, first + len(batch)))
        yield Batch(batch, numbers, tuple(f"image {number}" for number in numbers), len(batch))
        first += len(batch)


def member_picture(name: str, content: bytes) -> Image | Skipped:
    """A picture from an archive; what is damaged comes back as skipped.

    >>> member_picture("photos/cat.jpg", b"")
    Skipped(name='photos/cat.jpg', reason='empty file (0 bytes)', path=None)
    """
    try:
        picture, notes = decode_stream(io.BytesIO(content), mode="rgb", background=1.0, max_pixels=MAX_PIXELS)
    except ImageError as error:
        return Skipped(name, str(error))
    return Image(name, picture, notes=notes)


def _tar_members(path: Path) -> Iterator[Image | Skipped]:
    """The pictures of a tar file in their order, each named as in it."""
    try:
        with tarfile.open(path, "r|") as archive:
            for member in archive:
                if not member.isfile() or not member.name.lower().endswith(PICTURES):
                    continue
                content = archive.extractfile(member)
                if content is None:
                    continue
                # The stream goes forward only, decoders go back: a picture is read whole.
                yield member_picture(member.name, content.read())
    except (tarfile.TarError, OSError) as error:
        raise ImageError(f"{path.name}: cannot be read as a tar file ({error})") from None
