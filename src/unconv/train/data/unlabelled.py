"""Unlabelled pictures, from where users have them: a data set by name, or any folder."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.data.fashion import holds_fashion
from unconv.data.read.archive import is_archive
from unconv.data.read.items import Item, Skipped
from unconv.data.read.read_item import read_item
from unconv.data.read.source import pictures_of as read_pictures
from unconv.errors import ImageError, printable
from unconv.models.load.preprocess import Preprocess
from unconv.train.data.examples import PictureExamples, TensorExamples
from unconv.train.data.labelled import (
    HELD_OUT,
    HELD_OUT_PART,
    TRAIN,
    LabelledPictures,
    missing_folder,
    pictures_of,
    source_name,
)
from unconv.train.data.sources import NAMES, named_source

# Two have a covariance, and a batch of one cannot be normalised.
FEWEST = 2


def pictures_without_classes(data: Any = None, seed: int = 0) -> LabelledPictures:
    """Find pictures, whatever they show.

    Args:
        data: a folder that holds pictures, in folders below it or not, of which a tenth is held out, chosen by the
            seed; or such folders ``train`` and ``test`` (or ``val``); or Fashion-MNIST's files; or a name that
            :func:`~unconv.train.data.labelled.pictures_of` takes; or whatever else holds pictures, see
            :func:`~unconv.data.read.source.source_of`. Unless given, Fashion-MNIST.
        seed: of the choice.

    Raises ImageError where there are no pictures, or too few of them.

    >>> import tempfile
    >>> pictures_without_classes(tempfile.mkdtemp())
    Traceback (most recent call last):
    unconv.errors.ImageError: data ...: 0 pictures; give 4 at least, of which 2 are held out
    """
    given = isinstance(data, str | PathLike) or data is None
    if not is_archive(data) and given and _is_named(data):
        pictures = replace(pictures_of(data, seed), classes=())
        _enough(len(pictures.train), f"{pictures.name}, to train on")
        _enough(len(pictures.held_out), f"{pictures.name}, held out")
        return pictures
    folder = None if is_archive(data) or not given else Path(data)
    name = source_name(data)
    if folder is not None and not folder.is_dir():
        told = missing_folder(folder)
        raise ImageError(f"data {printable(folder)}: {told}; it has pictures, or is one of {', '.join(NAMES)}")
    test = None if folder is None else next((folder / part for part in HELD_OUT if (folder / part).is_dir()), None)
    if folder is not None and (folder / TRAIN).is_dir() and test is not None:
        parts = [_items(part) for part in (folder / TRAIN, test)]
        for part, items in zip((TRAIN, test.name), parts, strict=True):
            _enough(len(items), f"data {printable(folder)}/{part}")
    else:
        parts = _split(_items(data), seed, f"data {name}")
    train, held_out = (PictureExamples(tuple(part), torch.zeros(len(part), dtype=torch.int64)) for part in parts)
    for examples in (train, held_out):
        _check_readable(examples, f"data {name}")
    return LabelledPictures(name, (), train, held_out)


def _is_named(data: str | PathLike[str] | None) -> bool:
    return data is None or holds_fashion(data) or (isinstance(data, str) and named_source(data) is not None)


def _split(items: list[Item], seed: int, what: str) -> list[list[Item]]:
    """A tenth, two at least, is held out."""
    if len(items) < 2 * FEWEST:
        raise ImageError(f"{what}: {len(items)} pictures; give {2 * FEWEST} at least, of which {FEWEST} are held out")
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed)).tolist()
    count = max(FEWEST, round(HELD_OUT_PART * len(items)))
    return [[items[n] for n in sorted(chosen)] for chosen in (order[count:], order[:count])]


def framed(pictures: LabelledPictures, preprocess: Preprocess) -> tuple[LabelledPictures, int]:
    """The same as a network wants them, and how many pixels on each side are only a frame.

    Pictures in memory that are a little smaller than the network's, by a quarter at most, are framed in black, not
    blurred by a resize; all others go through the picture transform.

    >>> few = TensorExamples(torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.zeros(4))
    >>> square = Preprocess(size=(32, 32), resize=(32, 32), mean=(0.5,), std=(0.5,))
    >>> found, margin = framed(LabelledPictures("few", (), few, few), square)
    >>> found.train.fetch([0, 1]).inputs.shape, margin
    (torch.Size([2, 1, 32, 32]), 2)
    """
    sides = {tuple(part.inputs.shape[-2:]) for part in _parts(pictures) if isinstance(part, TensorExamples)}
    margin = 0
    if len(sides) == 1 and preprocess.size[0] == preprocess.size[1]:
        height, width = sides.pop()
        over = preprocess.size[0] - height
        if height == width and 0 < over <= preprocess.size[0] // 4 and over % 2 == 0:
            margin = over // 2
    if margin:
        train, held_out = (_padded(part, margin) for part in _parts(pictures))
        pictures = replace(pictures, train=train, held_out=held_out)
    return pictures.prepared(preprocess), margin


def _parts(pictures: LabelledPictures) -> tuple[TensorExamples | PictureExamples, TensorExamples | PictureExamples]:
    return pictures.train, pictures.held_out


def _padded(part: TensorExamples | PictureExamples, margin: int) -> TensorExamples | PictureExamples:
    if isinstance(part, PictureExamples):
        return part
    inputs: Tensor = F.pad(part.inputs, (margin,) * 4)
    return replace(part, inputs=inputs)


def _items(data: Any) -> list[Item]:
    return [item for item in read_pictures(data) if not isinstance(item, Skipped)]


def _check_readable(examples: PictureExamples, what: str) -> None:
    """Refuse, before anything is trained, pictures of which too few can be read; they are read up to the second."""
    skipped, count = [], 0
    for item in examples.items:
        picture = read_item(item)
        if isinstance(picture, Skipped):
            skipped.append(picture)
        else:
            count += 1
        if count == FEWEST:
            return
    raise ImageError(
        f"{what}: {count} of {len(examples)} pictures can be read ({skipped[0]}); training and what is held out need "
        f"{FEWEST} each"
    )


def _enough(count: int, what: str) -> None:
    if count < FEWEST:
        raise ImageError(f"{what}: {count} pictures; give {FEWEST} at least")
