"""Pictures with their masks, from where users have them.

A mask is an image file of the picture's size whose pixels are numbers of classes, as grey levels or places in a
palette; 255 is not counted, as in PASCAL VOC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from unconv.data.images import ImageFile, Skipped, iter_images
from unconv.errors import ImageError, printable
from unconv.jobs import fingerprint_files
from unconv.models.load.preprocess import Preprocess
from unconv.results import Shown
from unconv.train.data.dataset_layouts import Pair, find_pairs
from unconv.train.data.examples import Batch
from unconv.train.data.label_images import NOT_COUNTED, check_size, picture_size, read_labels


@dataclass(frozen=True, eq=False, repr=False)
class MaskExamples(Shown):
    """Pictures and masks in files, read when they are fetched.

    Pictures that cannot be read are left out of their batch, and named; a mask that cannot be is an error, since all
    were checked before.

    Attributes:
        pairs: the files.
        meaning: for each of 256 label values the class that it stands for.
        prepare: the picture transform of the network; masks are resized and cropped alike, to the nearest label.
    """

    pairs: tuple[Pair, ...]
    meaning: Tensor
    prepare: Preprocess

    def __len__(self) -> int:
        return len(self.pairs)

    def fetch(self, numbers: Sequence[int]) -> Batch:
        """The pictures of these numbers that can be read, with their masks."""
        pairs = [self.pairs[number] for number in numbers]
        inputs, targets, skipped = [], [], []
        files = [ImageFile(pair.picture, pair.picture.name) for pair in pairs]
        for pair, picture in zip(pairs, iter_images(files), strict=True):
            if isinstance(picture, Skipped):
                skipped.append(str(picture))
                continue
            labels = self.meaning[read_labels(pair.mask).long()]
            check_size(pair.mask, tuple(labels.shape), pair.picture, picture.size)
            inputs.append(self.prepare(picture.tensor))
            targets.append(self.prepare.labels(labels))
        if not inputs:
            empty = torch.empty(0, *self.prepare.input_size)
            return Batch(empty, torch.empty(0, *self.prepare.size, dtype=torch.int64), tuple(skipped))
        return Batch(torch.cat(inputs), torch.stack(targets).to(torch.int64), tuple(skipped))

    def fingerprint(self) -> Any:
        """Names, sizes and times of the files."""
        return {
            "pictures": fingerprint_files(pair.picture for pair in self.pairs),
            "masks": fingerprint_files(pair.mask for pair in self.pairs),
        }


@dataclass(frozen=True, eq=False, repr=False)
class Masked(Shown):
    """Pictures with masks to train on, and others to measure on.

    Attributes:
        name: what they are, as a phrase.
        classes: their names, in the order of their numbers.
        train: the files that are trained on.
        held_out: those that it is measured on.
        meaning: for each of 256 label values the class that it stands for.
        counts: pixels of each class in the masks that are trained on.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]
    meaning: Tensor
    counts: tuple[int, ...]

    notes: ClassVar[tuple[str, ...]] = ()

    def prepared(self, preprocess: Preprocess) -> tuple[MaskExamples, MaskExamples]:
        """What is trained on and what is held out, as a network wants them."""
        return (
            MaskExamples(self.train, self.meaning, preprocess),
            MaskExamples(self.held_out, self.meaning, preprocess),
        )

    def pixels(self) -> tuple[int, ...]:
        """How many pixels each class has in the masks that are trained on."""
        return self.counts


def masked_pictures(data: str | PathLike[str], seed: int = 0) -> Masked:
    """Find pictures with masks, and check every mask.

    Args:
        data: a folder that holds

            - ``images`` and ``masks``, with files of the same stem: a tenth is held out, chosen by the seed;
            - or ``train`` and ``test`` (or ``val``), each with ``images`` and ``masks``;
            - or ``VOCdevkit/VOC2012`` as torchvision's ``VOCSegmentation`` lays it out, or ``oxford-iiit-pet`` as its
              ``OxfordIIITPet`` does. Nothing is downloaded.

            Names of the classes are the lines of ``classes.txt`` there; without it there are as many classes as labels.
        seed: of the choice.

    Raises ImageError, one line with the file and the rule: a mask that is missing, is no label image, has another size
    than its picture or a label of no class; a class without any pixel to learn from; fewer than two pictures.
    """
    found = find_pairs(Path(data), seed)
    where = f"data {printable(Path(data))}"
    known = None if found.classes is None else len(found.classes)
    train, held_out = (count_labels(pairs, found.meaning, known) for pairs in (found.train, found.held_out))
    last = int((train + held_out).nonzero().max()) if bool((train + held_out).any()) else 0
    classes = found.classes or tuple(f"class {number}" for number in range(last + 1))
    if len(classes) < 2:
        raise ImageError(
            f"{where}: {len(classes)} class in {len(found.train) + len(found.held_out)} masks ({NOT_COUNTED} is not "
            "counted); write classes as labels 0, 1, 2, …"
        )
    pixels = train[: len(classes)]
    if not bool(pixels.all()):
        missing = int(pixels.argmin())
        raise ImageError(
            f"{where}: label {missing} ({classes[missing]}) has no pixel in the {len(found.train)} masks to learn "
            "from; number classes without gaps, or add pictures of it"
        )
    return Masked(found.name, classes, found.train, found.held_out, found.meaning, tuple(pixels.tolist()))


def count_labels(pairs: Sequence[Pair], meaning: Tensor, classes: int | None) -> Tensor:
    """How many pixels each of 255 labels has in some masks, every one of which is checked.

    Raises ImageError for a mask that is none, has another size than its picture or a label beyond the classes.
    """
    counts = torch.zeros(NOT_COUNTED, dtype=torch.int64)
    for pair in pairs:
        labels = meaning[read_labels(pair.mask).long()]
        size = picture_size(pair.picture)
        if size is not None:
            check_size(pair.mask, tuple(labels.shape), pair.picture, size)
        own = labels.flatten().bincount(minlength=NOT_COUNTED + 1)[:NOT_COUNTED]
        if classes is not None and bool(own[classes:].any()):
            raise ImageError(
                f"mask {printable(pair.mask)}: label {int(own.nonzero().max())}, where {classes - 1} is the last of "
                f"{classes} classes and {NOT_COUNTED} is not counted; correct the mask, or name more classes"
            )
        counts += own
    return counts
