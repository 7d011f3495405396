"""Collections of images too large for memory, as batches for a network, each read while the one before is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.data.read.items import InMemory, Item, Skipped
from unconv.data.read.pictures import Pictures
from unconv.data.read.prefetch import Ahead, ahead
from unconv.data.read.read_item import open_item, picture_of, read_item
from unconv.data.read.source import source_of, stack_pictures
from unconv.errors import ImageError

Prepare = Callable[[Tensor], Tensor]


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


def collection_of(
    images: Any, prepare: Prepare | None = None, batch_size: int = 32, volumes: bool = False
) -> Collection:
    """Images in batches, from whatever holds them.

    Args:
        images: a tensor ``(batch, channel, *size)``; a ``DataLoader``, whose batches are taken as they are; or whatever
            :func:`~unconv.data.read.source.source_of` takes.
        prepare: what the network wants done to a picture (channel, height, width) in [0, 1], a batch of one. It is
            applied to pictures: files, Pillow images, arrays, and tensors given as such; not to tensors from a dataset
            or a stream, which that has prepared itself, nor to those of a loader. Without it tensors are of any shape.
        batch_size: images in a batch.
        volumes: whether four axes are one image of three, not a stack of pictures.

    What cannot be read is left out, and noted in the batch. Raises :class:`~unconv.errors.ImageError` where images of
    one batch differ in size.

    >>> [len(batch.numbers) for batch in collection_of(torch.rand(5, 3, 8, 8), batch_size=2).batches]
    [2, 2, 1]
    """
    if isinstance(images, torch.utils.data.DataLoader):
        return Collection(ahead(lambda batch: batch, _numbered(images)), ("loader", type(images.dataset).__name__))
    source = stack_pictures(images) if isinstance(images, Tensor) else source_of(images, stacks=not volumes)

    def load(part: Sequence[tuple[int, Item]]) -> Batch:
        return _batch([(number, _prepared(item, prepare)) for number, item in part])

    if isinstance(source, Pictures):
        firsts = range(0, len(source), batch_size)
        parts = [range(first, min(first + batch_size, len(source))) for first in firsts]
        by_number = Ahead(lambda part: load([(number, source.item(number)) for number in part]), parts)
        return Collection(by_number, source.fingerprint)
    return Collection(ahead(load, _portions(enumerate(source), batch_size)), source.fingerprint)


def _portions(stream: Iterator[tuple[int, Item]], size: int) -> Iterator[list[tuple[int, Item]]]:
    while part := list(islice(stream, size)):
        yield part


def _prepared(item: Item, prepare: Prepare | None) -> tuple[str, Tensor] | Skipped:
    """Name and image of an item as a network takes it."""
    item = open_item(item)
    if isinstance(item, InMemory) and isinstance(item.value, Tensor) and (item.prepared or prepare is None):
        return item.name, item.value
    picture = read_item(item)
    if isinstance(picture, Skipped) or prepare is None:
        return picture if isinstance(picture, Skipped) else (picture.name, picture.tensor)
    try:
        return picture.name, prepare(picture.tensor)[0]
    except ImageError as error:
        return Skipped(picture.name, str(error), picture.path)


def _batch(items: Sequence[tuple[int, tuple[str, Tensor] | Skipped]]) -> Batch:
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
        batch = picture_of(given)
        if not isinstance(batch, Tensor):
            raise ImageError(f"loader: a batch is a {type(batch).__name__}; make it a tensor, or (tensor, …)")
        numbers = tuple(range(first, first + len(batch)))
        yield Batch(batch, numbers, tuple(f"image {number}" for number in numbers), len(batch))
        first += len(batch)
