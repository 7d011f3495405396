"""Sources of pictures recognised: paths, archives, arrays, datasets, loaders, streams, and mixtures of these."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image as PillowImage
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from unconv.data.read.archive import is_archive, list_members
from unconv.data.read.files import find_files
from unconv.data.read.items import Entry, Image, ImageFile, ImageSet, InMemory, Item, Member, Skipped
from unconv.data.read.pictures import Entries, ImageStream, Pictures
from unconv.data.read.read_item import picture_of, sample_item
from unconv.errors import ImageError

Source: TypeAlias = Pictures | ImageStream

# What is one input, whatever can be iterated or indexed in it.
_ONE = (str, os.PathLike, ImageFile, Member, InMemory, Image, Skipped, Tensor, np.ndarray, PillowImage.Image, Mapping)
# A stack counts pictures along an axis of its own.
STACK_AXES = 4
# A place that no dataset has; one that raises no IndexError there goes on for ever.
FAR = 2**62


def source_of(inputs: Any, stacks: bool = True) -> Source:
    """The pictures of whatever holds them, none of them read.

    Args:
        inputs: one of these, or a list or tuple of them

            - a file, or a folder with or without sub-folders;
            - a ``.tar`` file of pictures, as webdataset writes them;
            - a tensor, an array or a Pillow picture; ``(count, …)`` of four axes is a stack of them;
            - a dataset of torch, torchvision or others with a length: items are pictures, paths, tuples that begin
              with one, or dicts with ``image``, ``img``, ``pixel_values`` or ``x``;
            - a ``DataLoader``, an iterable dataset, a generator, any other iterable, which are streamed;
            - what was read already.
        stacks: whether four axes are a stack, or one image as networks of three axes take it.

    Pictures without names of their own are called ``image 0``, ``image 1``, … Raises
    :class:`~unconv.errors.ImageError` for what holds no pictures, and for what has neither a length nor an end.

    >>> import torch
    >>> source = source_of([torch.rand(3, 8, 8), torch.rand(2, 3, 8, 8), "nowhere.png"])
    >>> [item.name for item in source]
    ['image 0', 'image 1', 'image 2', 'nowhere.png']
    >>> len(source), source_of(torch.rand(3, 8, 8) for _ in range(2)).again
    (4, False)
    """
    if isinstance(inputs, Pictures | ImageStream):
        return inputs
    if isinstance(inputs, list | tuple | ImageSet):
        return _joined(inputs, stacks)
    return _one(inputs, stacks) if isinstance(inputs, _ONE) else _many(inputs, stacks)


def pictures_of(inputs: Any) -> Pictures:
    """Pictures that can be read again by their numbers; inputs as for :func:`source_of`.

    What a stream gives is kept, files unread. Raises :class:`~unconv.errors.ImageError` for loaders, which give their
    pictures in any order.

    >>> import torch
    >>> pictures = pictures_of(torch.rand(3, 3, 40, 60))
    >>> len(pictures), pictures.name(2), pictures[1].value.shape
    (3, 'image 2', torch.Size([3, 40, 60]))
    """
    if isinstance(inputs, DataLoader):
        raise ImageError("images: a loader may give other pictures the second time; give its dataset")
    source = source_of(inputs)
    return source if isinstance(source, Pictures) else Pictures(tuple(source))


def stack_pictures(stack: Tensor) -> Pictures:
    """The images along the first axis of a tensor, of whatever shape they are.

    >>> import torch
    >>> len(stack_pictures(torch.rand(5, 2, 100)))
    5
    """
    return Pictures(tuple(InMemory(f"image {number}", image) for number, image in enumerate(stack)))


def length_of(holder: Any) -> int | None:
    """How many items something has that is indexed; None where it does not say.

    >>> length_of([1, 2]), length_of(iter([1, 2]))
    (2, None)
    """
    if isinstance(holder, IterableDataset) or not hasattr(holder, "__getitem__"):
        return None
    try:
        return len(holder)
    except (TypeError, NotImplementedError, AttributeError):
        return None


def _many(inputs: Any, stacks: bool, start: int = 0) -> Source:
    """What holds many: by number where it has a length, else one after the other."""
    kind = type(inputs).__name__
    if length_of(inputs) is not None:
        return Pictures(Entries(inputs, start))
    if isinstance(inputs, DataLoader):
        kind = f"loader of {type(inputs.dataset).__name__}"
        return ImageStream(lambda: _chained(_samples(inputs), stacks, start, prepared=True), again=True, kind=kind)
    if hasattr(inputs, "__iter__"):
        again = iter(inputs) is not inputs
        return ImageStream(lambda: _chained(inputs, stacks, start, prepared=True), again=again, kind=kind)
    if not hasattr(inputs, "__getitem__"):
        raise ImageError(f"images: {kind} holds no images; give files, folders, arrays, a dataset or a loader")
    if not _ends(inputs):
        raise ImageError(f"images: {kind} has neither a length nor an end; give it __len__, or a list of its items")
    return ImageStream(lambda: _chained(inputs, stacks, start, prepared=True), again=True, kind=kind)


def _ends(holder: Any) -> bool:
    try:
        holder[FAR]
    except IndexError:
        return True
    except Exception:  # it would end the work on the others just so
        return False
    return False


def _one(given: Any, stacks: bool, start: int = 0, prepared: bool = False) -> Source:
    """The pictures of one of several inputs; those without names are numbered from ``start`` on."""
    if isinstance(given, Pictures | ImageStream):
        return given
    if isinstance(given, ImageFile | Member | InMemory | Image | Skipped):
        return Pictures((given,))
    if isinstance(given, str | os.PathLike):
        return Pictures(tuple(list_members(Path(given)) if is_archive(given) else find_files(given)))
    if isinstance(given, Tensor | np.ndarray):
        images = given if stacks and given.ndim == STACK_AXES else [given]
        return Pictures(tuple(InMemory(f"image {n}", image, prepared) for n, image in enumerate(images, start)))
    if isinstance(given, ImageSet):
        return Pictures(given.images)
    if isinstance(given, Dataset | DataLoader | Iterator):
        return _many(given, stacks, start)
    if _is_sample(given):
        return Pictures((sample_item(given, f"image {start}"),))
    return Pictures((InMemory(f"image {start}", given, prepared),))


def _is_sample(given: Any) -> bool:
    """Whether this is a dict, or a tuple or list that begins with a picture and not with a number."""
    if isinstance(given, Mapping):
        return True
    return isinstance(given, tuple | list) and bool(given) and isinstance(given[0], _ONE)


def _joined(inputs: Sequence[Any] | ImageSet, stacks: bool) -> Source:
    """All of some inputs: numbered where each of them is."""
    sources: list[Pictures] = []
    start = 0
    for given in inputs:
        source = _one(given, stacks, start)
        if isinstance(source, ImageStream):
            again = not any(isinstance(one, Iterator) for one in inputs)
            return ImageStream(lambda: _chained(inputs, stacks), again=again, kind="list")
        sources.append(source)
        start += _nameless(source.items)
    return sources[0] if len(sources) == 1 else Pictures(tuple(chain.from_iterable(sources)))


def _chained(inputs: Any, stacks: bool, start: int = 0, prepared: bool = False) -> Iterator[Item]:
    for given in inputs:
        for item in _one(given, stacks, start, prepared):
            start += _nameless((item,))
            yield item


def _nameless(items: Sequence[Item]) -> int:
    return len(items) if isinstance(items, Entries) else sum(isinstance(item, InMemory | Entry) for item in items)


def _samples(loader: Any) -> Iterator[Any]:
    """One sample after the other of a loader's batches."""
    batched = getattr(loader, "batch_sampler", True) is not None
    for batch in loader:
        picture = picture_of(batch)
        if not batched:
            yield batch
        elif isinstance(picture, Tensor | np.ndarray) and picture.ndim:
            yield from picture
        elif isinstance(batch, list | tuple):
            yield from batch
        else:
            raise ImageError(f"loader: a batch is a {type(picture).__name__}; make it a tensor, or (tensor, …)")
