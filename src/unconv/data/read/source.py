"""Sources of pictures recognised: paths, archives, arrays, datasets, loaders, streams, and mixtures of these."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from glob import has_magic
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image as PillowImage
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from unconv.data.read.archive import SUFFIXES, is_archive, list_members
from unconv.data.read.clips import clips_of
from unconv.data.read.files import files_at, find_files, match_paths
from unconv.data.read.items import Clip, Entry, Image, ImageFile, ImageSet, InMemory, Item, Member, Skipped
from unconv.data.read.loaders import pictures_in_order
from unconv.data.read.pictures import Entries, ImageStream, Pictures
from unconv.data.read.read_item import picture_of, sample_item
from unconv.errors import ImageError, UnconvError, one_line

Source: TypeAlias = Pictures | ImageStream

# What is one input, whatever can be iterated or indexed in it.
_READ = (ImageFile, Clip, Member, InMemory, Image, Skipped)
_ONE = (str, os.PathLike, *_READ, Tensor, np.ndarray, PillowImage.Image, Mapping)
# What can be iterated, but only to numbers and lines.
_NO_PICTURES = (bytes, bytearray, memoryview, io.IOBase)
# A stack counts pictures along an axis of its own.
STACK_AXES = 4
# A place that no dataset has; one that raises no IndexError there goes on for ever.
FAR = 2**62


def source_of(inputs: Any, stacks: bool = True) -> Source:
    """The pictures of whatever holds them, none of them read.

    Args:
        inputs: one of these, or a list or tuple of them, or of lists of them

            - a file, or a folder with or without sub-folders; a pattern of them, ``"photos/*.jpg"``;
            - a ``.tar`` file of pictures, as webdataset writes them;
            - a tensor, an array or a Pillow picture; ``(count, …)`` of four axes is a stack of them;
            - a dataset of torch, torchvision or others with a length: items are pictures, paths, tuples that begin
              with one, or dicts with ``image``, ``img``, ``pixel_values`` or ``x``;
            - a ``DataLoader``, an iterable dataset, a generator, any other iterable, which are streamed;
            - what was read already.
        stacks: whether four axes are a stack, or one image as networks of three axes take it; for these files are
            clips: each that holds several frames, and the pictures of a folder as the frames of one.

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
    if not stacks and isinstance(inputs, list | tuple) and all(isinstance(one, str | os.PathLike) for one in inputs):
        # Files that the shell has made of a pattern are frames of one clip.
        return Pictures(tuple(clips_of(chain.from_iterable(map(_at_path, inputs)))))
    if isinstance(inputs, list | tuple | ImageSet):
        return _joined(inputs, stacks)
    return _one(inputs, stacks) if isinstance(inputs, _ONE) else _many(inputs, stacks)


def pictures_of(inputs: Any, stacks: bool = True) -> Pictures:
    """Pictures that can be read again by their numbers; arguments as for :func:`source_of`.

    What a stream gives is kept, files unread; of a loader that goes through a dataset from first to last, its dataset
    is read instead. Raises :class:`~unconv.errors.ImageError` for loaders that shuffle or choose: they may give other
    pictures the second time.

    >>> import torch
    >>> pictures = pictures_of(torch.rand(3, 3, 40, 60))
    >>> len(pictures), pictures.name(2), pictures[1].value.shape
    (3, 'image 2', torch.Size([3, 40, 60]))
    """
    if isinstance(inputs, DataLoader):
        return pictures_in_order(inputs) or Pictures(tuple(source_of(inputs, stacks)))
    source = source_of(inputs, stacks)
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
    except Exception:  # a dataset's own code fails in any way
        return None


def _many(inputs: Any, stacks: bool, start: int = 0) -> Source:
    """What holds many: by number where it has a length, else one after the other."""
    kind = type(inputs).__name__
    if isinstance(inputs, _NO_PICTURES):
        raise ImageError(f"images: {kind} holds no images; give its path, or what Pillow makes of it")
    if length_of(inputs) is not None:
        return Pictures(Entries(inputs, start))
    if isinstance(inputs, DataLoader):
        kind = f"loader of {type(inputs.dataset).__name__}"
        return ImageStream(lambda: numbered_items(_samples(inputs), stacks, start), again=True, kind=kind)
    if hasattr(inputs, "__iter__"):
        again = iter(inputs) is not inputs
        return ImageStream(lambda: numbered_items(inputs, stacks, start), again=again, kind=kind)
    if not hasattr(inputs, "__getitem__"):
        raise ImageError(f"images: {kind} holds no images; give files, folders, arrays, a dataset or a loader")
    if not _ends(inputs):
        raise ImageError(f"images: {kind} has neither a length nor an end; give it __len__, or a list of its items")
    return ImageStream(lambda: numbered_items(inputs, stacks, start), again=True, kind=kind)


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
    if isinstance(given, _READ):
        return Pictures((given,))
    if isinstance(given, str | os.PathLike):
        return Pictures(tuple(_at_path(given) if stacks else clips_of(_at_path(given))))
    if isinstance(given, Tensor | np.ndarray):
        images = given if stacks and given.ndim == STACK_AXES else [given]
        return Pictures(tuple(InMemory(f"image {n}", image, prepared) for n, image in enumerate(images, start)))
    if isinstance(given, list) and _holds_pictures(given):
        return _joined(given, stacks, start, prepared)
    if isinstance(given, ImageSet):
        return Pictures(given.images)
    if isinstance(given, Dataset | DataLoader | Iterator):
        return _many(given, stacks, start)
    if _is_sample(given):
        return Pictures((sample_item(given, f"image {start}"),))
    return Pictures((InMemory(f"image {start}", given, prepared),))


def _at_path(given: str | os.PathLike[str]) -> Iterator[Item]:
    """The files and members of archives at a path, or at all that a pattern matches."""
    matches = match_paths(given) if has_magic(os.fspath(given)) else ()
    for place, name in matches:
        yield from list_members(place) if is_archive(place) else files_at(place, name)
    if not matches:
        yield from list_members(Path(given)) if is_archive(given) else find_files(given)


def _is_sample(given: Any) -> bool:
    """Whether this is a dict, or a tuple or list that begins with a picture and not with a number."""
    if isinstance(given, Mapping):
        return True
    return isinstance(given, tuple | list) and bool(given) and isinstance(given[0], _ONE)


def _holds_pictures(given: Sequence[Any]) -> bool:
    """Whether a sequence holds pictures alone; one of a picture and its class, or its mask's numbers, does not."""
    if given and all(isinstance(one, str | os.PathLike) for one in given):
        # A class may be called like a folder: either all are folders, or all are files.
        return all(map(_is_file_name, given)) or all(map(os.path.isdir, given))
    return bool(given) and all(map(_is_picture, given))


def _is_picture(given: Any) -> bool:
    if isinstance(given, Tensor | np.ndarray):
        return given.ndim > 1
    if isinstance(given, str):
        return _is_file_name(given)
    if isinstance(given, list):
        return _holds_pictures(given)
    return isinstance(given, _ONE) or _is_sample(given)


def _is_file_name(given: Any) -> bool:
    return str(given).lower().endswith((*SUFFIXES, ".tar"))


def _joined(inputs: Sequence[Any] | ImageSet, stacks: bool, start: int = 0, prepared: bool = False) -> Source:
    """All of some inputs: numbered where each of them is, from ``start`` on."""
    sources: list[Pictures] = []
    first = start
    for given in inputs:
        source = _one(given, stacks, start, prepared)
        if isinstance(source, ImageStream):
            again = not any(isinstance(one, Iterator) for one in inputs)
            return ImageStream(lambda: numbered_items(inputs, stacks, first, prepared), again=again, kind="list")
        sources.append(source)
        start += _nameless(source.items)
    return sources[0] if len(sources) == 1 else Pictures(tuple(chain.from_iterable(sources)))


def numbered_items(inputs: Any, stacks: bool, start: int = 0, prepared: bool = True) -> Iterator[Item]:
    """The pictures of some inputs, one after the other; those without names are numbered from ``start`` on."""
    for given in gone_through(inputs):
        for item in _one(given, stacks, start, prepared):
            start += _nameless((item,))
            yield item


def _nameless(items: Sequence[Item]) -> int:
    return len(items) if isinstance(items, Entries) else sum(isinstance(item, InMemory | Entry) for item in items)


def gone_through(inputs: Any) -> Iterator[Any]:
    """One after the other of what can be iterated; whatever that raises becomes one line.

    Raises :class:`~unconv.errors.ImageError`: what would have come behind is not known, so it cannot be left out.
    """
    count = 0
    try:
        for given in inputs:
            yield given
            count += 1
    except UnconvError:
        raise
    except Exception as error:  # a stream's own code fails in any way
        raise ImageError(
            f"images: {type(inputs).__name__} fails after {count} items: {one_line(error)}; make it pass over what "
            "it cannot give"
        ) from error


def _samples(loader: DataLoader[Any]) -> Iterator[Any]:
    """One sample after the other of a loader's batches."""
    for batch in gone_through(loader):
        yield from samples_of(batch, is_batched(loader))


def is_batched(loader: DataLoader[Any]) -> bool:
    """Whether a loader makes batches; with ``batch_size=None`` it hands on what its dataset gives."""
    return getattr(loader, "batch_sampler", True) is not None


def samples_of(batch: Any, batched: bool = True) -> Iterable[Any]:
    """The samples of a loader's batch: of a stack, a list of them, or columns of which the first has the pictures.

    >>> list(samples_of((["a.png", "b.png"], [3, 4]))), list(samples_of([("a.png", 3), ("b.png", 4)]))
    (['a.png', 'b.png'], [('a.png', 3), ('b.png', 4)])

    Raises :class:`~unconv.errors.ImageError` for what is none of these.
    """
    picture = picture_of(batch)
    if isinstance(picture, Tensor | np.ndarray) and picture.ndim >= (1 if batched else STACK_AXES):
        return picture
    if not batched:
        # torch has made lists of tuples.
        return (tuple(batch) if isinstance(batch, list) else batch,)
    columns = isinstance(batch, tuple | Mapping) or not all(map(_is_sample, batch))
    if columns and isinstance(picture, list | tuple) and _holds_pictures(picture):
        return picture
    if isinstance(batch, list | tuple):
        return batch
    raise ImageError(f"loader: a batch is a {type(picture).__name__}; make it a tensor, or (tensor, …)")
