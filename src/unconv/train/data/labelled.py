"""Labelled pictures, from where users have them: a data set by name, or a folder for each class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from unconv.data.fashion import FashionSource, holds_fashion
from unconv.data.read.archive import is_archive
from unconv.errors import ImageError, printable
from unconv.models.load.preprocess import Preprocess
from unconv.results import Shown
from unconv.train.data.examples import (
    PictureExamples,
    TensorExamples,
    check_readable,
    classified_examples,
    folder_examples,
    split_off,
)
from unconv.train.data.sources import NAMES, named_source, read_source

TRAIN, HELD_OUT = "train", ("test", "val", "valid", "validation")
HELD_OUT_PART = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class LabelledPictures(Shown):
    """Pictures to train on, and others to measure on.

    Attributes:
        name: what they are, as a phrase.
        classes: the names of the classes, in the order of their numbers.
        train: what a network is trained on.
        held_out: what it is measured on.
        mirror: whether they mean the same when they are mirrored left to right.
        garments: where they were read from, if they are Fashion-MNIST.
    """

    name: str
    classes: tuple[str, ...]
    train: TensorExamples | PictureExamples
    held_out: TensorExamples | PictureExamples
    mirror: bool = True
    garments: FashionSource | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told who has not named them."""
        return () if self.garments is None else self.garments.notes

    def prepared(self, preprocess: Preprocess) -> LabelledPictures:
        """The same as a network wants them."""
        return replace(self, train=_prepared(self.train, preprocess), held_out=_prepared(self.held_out, preprocess))


def pictures_of(data: Any = None, seed: int = 0) -> LabelledPictures:
    """Find pictures and their classes.

    Args:
        data: a folder that holds

            - Fashion-MNIST's files, or torchvision's download of them;
            - or a folder of pictures for each class: a tenth of each class is held out, chosen by the seed;
            - or ``train`` and ``test`` (or ``val``), each with a folder of pictures for each class;

            or one of the names of :mod:`unconv.train.data.sources`: ``digits``, ``fashion-mnist``, ``cifar10:DIR``,
            ``cifar100:DIR``, ``mnist:DIR``; or pictures of which each has a class, a tenth of them held out: a ``.tar``
            with a folder for each class, a dataset or a list of (picture, class). Unless given, Fashion-MNIST from
            where :func:`~unconv.data.fashion.find_fashion` finds it.
        seed: of the choice.

    Raises ImageError where there are no pictures, a class has none, or the classes of ``train`` and ``test`` differ.

    >>> pictures = pictures_of("digits")
    >>> len(pictures.train), len(pictures.held_out), pictures.classes
    (1347, 450, ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'))
    """
    if is_archive(data) or not isinstance(data, str | PathLike | None):
        return _classified(data, seed)
    if data is None or holds_fashion(data):
        return LabelledPictures(*read_source("fashion-mnist", "" if data is None else str(data), seed))
    source = named_source(data) if isinstance(data, str) else None
    if source is None:
        return _folder_pictures(Path(data), seed)
    name, folder = source
    if data == name and Path(name).is_dir():
        raise ImageError(f"data {name}: the data set or the folder of that name? say {name}: or ./{name}")
    return LabelledPictures(*read_source(name, folder, seed))


def _classified(data: Any, seed: int) -> LabelledPictures:
    every, classes = classified_examples(data)
    train, held_out = split_off(every, HELD_OUT_PART, seed, classes)
    check_readable(train, classes, "data")
    check_readable(held_out, classes, "data: of the pictures held out")
    return LabelledPictures(source_name(data), classes, train, held_out)


def source_name(data: Any) -> str:
    """What pictures are called that have no folder.

    >>> source_name("birds.tar"), source_name([])
    ('birds.tar', 'list')
    """
    return printable(Path(data)) if isinstance(data, str | PathLike) else type(data).__name__


def missing_folder(folder: Path) -> str:
    """Why a path is not that of a folder or archive of pictures.

    >>> missing_folder(Path("nowhere"))
    'no such folder'
    """
    return "a file, and neither a folder nor a .tar" if folder.is_file() else "no such folder"


def _folder_pictures(folder: Path, seed: int) -> LabelledPictures:
    if not folder.is_dir():
        raise ImageError(
            f"data {printable(folder)}: {missing_folder(folder)}; it has Fashion-MNIST or a folder for each class, or "
            f"is one of {', '.join(NAMES)}"
        )
    where = f"data {printable(folder)}"
    test = next((folder / name for name in HELD_OUT if (folder / name).is_dir()), None)
    if not (folder / TRAIN).is_dir() or test is None:
        every, classes = folder_examples(folder)
        train, held_out = split_off(every, HELD_OUT_PART, seed, classes)
    else:
        (train, classes), (held_out, others) = folder_examples(folder / TRAIN), folder_examples(test)
        if classes != others:
            differing = sorted(set(classes) ^ set(others))
            raise ImageError(
                f"{where}: classes of {TRAIN} and {test.name} differ ({', '.join(differing[:3])}); "
                "make the same folders in both"
            )
    check_readable(train, classes, where)
    check_readable(held_out, classes, f"{where}: of the pictures held out")
    return LabelledPictures(printable(folder), classes, train, held_out)


def _prepared(examples: TensorExamples | PictureExamples, preprocess: Preprocess) -> TensorExamples | PictureExamples:
    if isinstance(examples, PictureExamples):
        return replace(examples, prepare=preprocess)
    as_it_is = preprocess.input_size == tuple(examples.inputs.shape[1:]) and preprocess.resize == preprocess.size
    return replace(examples, prepare=preprocess.normalise if as_it_is else _Prepare(preprocess))


@dataclass(frozen=True)
class _Prepare:
    preprocess: Preprocess

    def __call__(self, pictures: Tensor) -> Tensor:
        return self.preprocess.normalise(self.preprocess.pictures(pictures))
