"""Pictures with their classes, from where users have them: Fashion-MNIST, or a folder for each class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from unconv.data.arrays import printable
from unconv.data.fashion import CLASSES, fashion, holds_fashion
from unconv.errors import ImageError
from unconv.models.preprocess import Preprocess
from unconv.train.examples import FileExamples, TensorExamples, folder_examples, split_off

TRAIN, HELD_OUT = "train", ("test", "val", "valid", "validation")
HELD_OUT_PART = 0.1


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures to train on, and others to measure on.

    Attributes:
        name: what they are, as a phrase.
        classes: the names of the classes, in the order of their numbers.
        train: what a network is trained on.
        held_out: what it is measured on.
    """

    name: str
    classes: tuple[str, ...]
    train: TensorExamples | FileExamples
    held_out: TensorExamples | FileExamples

    def prepared(self, preprocess: Preprocess) -> Pictures:
        """The same as a network wants them."""
        return replace(self, train=_prepared(self.train, preprocess), held_out=_prepared(self.held_out, preprocess))


def pictures_of(data: str | PathLike[str] | None = None, seed: int = 0) -> Pictures:
    """Find pictures and their classes.

    Args:
        data: a folder that holds

            - Fashion-MNIST's files, or torchvision's download of them;
            - or a folder of pictures for each class: a tenth of each class is held out, chosen by the seed;
            - or ``train`` and ``test`` (or ``val``), each with a folder of pictures for each class.

            Unless given, Fashion-MNIST from where Debian's package puts it.
        seed: of the choice.

    Raises ImageError where there are no pictures, or the classes of ``train`` and ``test`` differ.
    """
    if data is None or holds_fashion(data):
        train, held_out = (TensorExamples(*fashion(split, data)) for split in ("train", "test"))
        return Pictures("Fashion-MNIST", CLASSES, train, held_out)
    folder = Path(data)
    if not folder.is_dir():
        raise ImageError(f"data {printable(folder)}: no such folder; it has Fashion-MNIST or a folder for each class")
    test = next((folder / name for name in HELD_OUT if (folder / name).is_dir()), None)
    if not (folder / TRAIN).is_dir() or test is None:
        every, classes = folder_examples(folder)
        return Pictures(printable(folder), classes, *split_off(every, HELD_OUT_PART, seed))
    (files, classes), (other_files, others) = folder_examples(folder / TRAIN), folder_examples(test)
    if classes != others:
        differing = sorted(set(classes) ^ set(others))
        raise ImageError(
            f"data {printable(folder)}: classes of {TRAIN} and {test.name} differ ({', '.join(differing[:3])}); "
            "make the same folders in both"
        )
    return Pictures(printable(folder), classes, files, other_files)


def _prepared(examples: TensorExamples | FileExamples, preprocess: Preprocess) -> TensorExamples | FileExamples:
    if isinstance(examples, FileExamples):
        return replace(examples, prepare=preprocess)
    as_it_is = preprocess.input_size == tuple(examples.inputs.shape[1:]) and preprocess.resize == preprocess.size
    return replace(examples, prepare=preprocess.normalise if as_it_is else _OneByOne(preprocess))


@dataclass(frozen=True)
class _OneByOne:
    preprocess: Preprocess

    def __call__(self, pictures: Tensor) -> Tensor:
        return torch.cat([self.preprocess(picture) for picture in pictures])
