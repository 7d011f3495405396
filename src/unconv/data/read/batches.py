"""Collections of images too large for memory, as batches for a network, each read while the one before is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from unconv.data.convert import unit_range
from unconv.data.read.items import InMemory, Item, Skipped
from unconv.data.read.pictures import Pictures
from unconv.data.read.prefetch import Ahead, ahead
from unconv.data.read.read_item import open_item, picture_of, read_item
from unconv.data.read.reading import Reading
from unconv.data.read.source import (
    Source,
    gone_through,
    is_batched,
    numbered_items,
    samples_of,
    source_of,
    stack_pictures,
)
from unconv.errors import ImageError, printable

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
    images: Any,
    prepare: Prepare | None = None,
    batch_size: int = 32,
    axes: int | None = None,
    reading: Reading | None = None,
) -> Collection:
    """Images in batches, from whatever holds them.

    Args:
        images: a tensor ``(batch, channel, *size)``, the batch left out where ``axes`` tell; a ``DataLoader``, whose
        batches are taken as they are; or whatever
            :func:`~unconv.data.read.source.source_of` takes.
        prepare: what the network wants done to a picture (channel, height, width) in [0, 1], a batch of one. It is
            applied to pictures: files, Pillow images, arrays, and tensors given as such; not to tensors from a dataset
            or a stream, which that has prepared itself, nor to those of a loader, unless they are of bytes. Without it
            tensors are of any shape; bytes are divided by 255 all the same.
        batch_size: images in a batch.
        reading: how pictures are read; unless told as for networks of colour, with three axes as clips.
        axes: of the network's images, the channels' not counted; with three of them, four axes are one image and not a
            stack of pictures. None where that is not known.

    What cannot be read is left out, and noted in the batch. Raises :class:`~unconv.errors.ImageError` where images of
    one batch differ in size.

    >>> [len(batch.numbers) for batch in collection_of(torch.rand(5, 3, 8, 8), batch_size=2).batches]
    [2, 2, 1]
    """
    reading = reading or Reading(clips=axes == 3)
    if isinstance(images, DataLoader):
        batches = _numbered(images, prepare, axes, reading)
        return Collection(ahead(lambda batch: batch, batches), ("loader", type(images.dataset).__name__))
    if isinstance(images, Tensor):
        source: Source = stack_pictures(images[None] if axes is not None and images.ndim == axes + 1 else images)
    else:
        source = source_of(images, stacks=axes != 3)

    def load(part: Sequence[tuple[int, Item]]) -> Batch:
        return _batch([(number, _prepared(item, prepare, reading)) for number, item in part])

    if isinstance(source, Pictures):
        firsts = range(0, len(source), batch_size)
        parts = [range(first, min(first + batch_size, len(source))) for first in firsts]
        by_number = Ahead(lambda part: load([(number, source.item(number)) for number in part]), parts)
        return Collection(by_number, source.fingerprint)
    return Collection(ahead(load, _portions(enumerate(source), batch_size)), source.fingerprint)


def _portions(stream: Iterator[tuple[int, Item]], size: int) -> Iterator[list[tuple[int, Item]]]:
    while part := list(islice(stream, size)):
        yield part


def _prepared(item: Item, prepare: Prepare | None, reading: Reading) -> tuple[str, Tensor] | Skipped:
    """Name and image of an item as a network takes it."""
    item = open_item(item)
    if isinstance(item, InMemory) and item.ready:
        return item.name, item.value
    if isinstance(item, InMemory) and isinstance(item.value, Tensor) and prepare is None:
        try:
            return item.name, item.value if item.value.is_floating_point() else unit_range(item.value)
        except ImageError as error:
            return Skipped(item.name, str(error))
    picture = read_item(item, reading)
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
        raise ImageError(
            f"batch: {printable(first)} is {one} and {printable(second)} is {other}; bring the images to one size first"
        )
    images = torch.stack([image for _, _, image in read]) if read else torch.empty(0, 0)
    numbers, names = tuple(number for number, _, _ in read), tuple(name for _, name, _ in read)
    return Batch(images, numbers, names, len(items), skipped)


def _numbered(loader: DataLoader[Any], prepare: Prepare | None, axes: int | None, reading: Reading) -> Iterator[Batch]:
    """The batches of a loader: stacks of numbers as they are, the samples of others read like those of a dataset."""
    first, batched = 0, is_batched(loader)
    for given in gone_through(loader):
        stack = picture_of(given)
        whole = isinstance(stack, Tensor) and (batched or axes is None or stack.ndim != axes + 1)
        if whole and stack.is_floating_point():
            numbers = tuple(range(first, first + len(stack)))
            batch = Batch(stack, numbers, tuple(f"image {number}" for number in numbers), len(stack))
        else:
            items = numbered_items(samples_of(given, batched), axes != 3, first)
            batch = _batch([(number, _prepared(item, prepare, reading)) for number, item in enumerate(items, first)])
        yield batch
        first += batch.count
