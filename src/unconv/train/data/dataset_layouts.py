"""Dataset layouts: where data sets of pictures and masks keep their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from unconv.errors import ImageError, one_line, printable
from unconv.train.data.label_images import NOT_COUNTED
from unconv.train.data.labelled import HELD_OUT, HELD_OUT_PART, TRAIN

IMAGES, MASKS, CLASSES = "images", "masks", "classes.txt"
# As torchvision's VOCSegmentation and OxfordIIITPet lay them out.
VOC, PETS = Path("VOCdevkit"), Path("oxford-iiit-pet")
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus",
    "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
# Trimaps: 1 pet, 2 background, 3 not classified.
PETS_CLASSES, PETS_LABELS = ("background", "pet"), {1: 1, 2: 0, 3: NOT_COUNTED}


class Pair(NamedTuple):
    """The files of a picture and of its mask."""

    picture: Path
    mask: Path


@dataclass(frozen=True, eq=False)
class Found:
    """The files of a data set.

    Attributes:
        name: what it is, as a phrase.
        classes: their names; None where nobody says.
        train: what is trained on.
        held_out: what is measured on.
        meaning: for each of 256 label values the class that it stands for.
    """

    name: str
    classes: tuple[str, ...] | None
    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]
    meaning: Tensor


def find_pairs(folder: Path, seed: int) -> Found:
    """The files of a data set; see :func:`~unconv.train.data.masked.masked_pictures` for the layouts.

    Raises ImageError for a folder of none of these layouts, a picture without mask, and fewer than two pictures.

    >>> find_pairs(Path("nowhere"), seed=0)
    Traceback (most recent call last):
    unconv.errors.ImageError: data nowhere: no such folder; it has images/ and masks/, or train/ and test/ with these
    """
    where = f"data {printable(folder)}"
    if not folder.is_dir():
        raise ImageError(f"{where}: no such folder; it has {IMAGES}/ and {MASKS}/, or train/ and test/ with these")
    if (folder / VOC).is_dir():
        return _voc(folder / VOC)
    if (folder / PETS).is_dir():
        return _pets(folder / PETS)
    plain = torch.arange(256)
    classes = _classes(folder / CLASSES)
    if (folder / IMAGES).is_dir() and (folder / MASKS).is_dir():
        return Found(printable(folder), classes, *_split(_pairs_in(folder), seed, where), plain)
    test = next((folder / name for name in HELD_OUT if (folder / name).is_dir()), None)
    if not (folder / TRAIN).is_dir() or test is None:
        raise ImageError(
            f"{where}: neither {IMAGES}/ and {MASKS}/ in it, nor train/ and test/ with these, nor {VOC}/ or {PETS}/ "
            "as torchvision lays them out"
        )
    return Found(printable(folder), classes, _pairs_in(folder / TRAIN), _pairs_in(test), plain)


def _pairs_in(folder: Path) -> tuple[Pair, ...]:
    """Every picture of a folder with the mask of the same stem."""
    pictures = _files(folder / IMAGES)
    masks: dict[str, Path] = {}
    for path in _files(folder / MASKS):
        if path.stem in masks:
            raise ImageError(
                f"mask {printable(path)}: {masks[path.stem].name} is a mask for {path.stem} too; keep one of them"
            )
        masks[path.stem] = path
    for path in pictures:
        if path.stem not in masks:
            raise ImageError(
                f"picture {printable(path)}: no mask {path.stem}.png in {printable(folder / MASKS)}; "
                "make one, or take the picture out"
            )
    return tuple(Pair(path, masks[path.stem]) for path in pictures)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ImageError(
            f"data {printable(folder.parent)}: no folder {folder.name} in it; it needs {IMAGES} and {MASKS}"
        )
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        raise ImageError(f"data {printable(folder)}: no files in it; put pictures in {IMAGES}, their masks in {MASKS}")
    return files


def _split(pairs: Sequence[Pair], seed: int, where: str) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """A tenth, at least one, is held out."""
    if len(pairs) < 2:
        raise ImageError(f"{where}: {len(pairs)} picture, and one is held out; give two at least")
    count = max(1, round(HELD_OUT_PART * len(pairs)))
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = set(order[:count])
    return (
        tuple(pair for place, pair in enumerate(pairs) if place not in chosen),
        tuple(pair for place, pair in enumerate(pairs) if place in chosen),
    )


def _classes(path: Path) -> tuple[str, ...] | None:
    if not path.is_file():
        return None
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{printable(path)}: cannot be read: {one_line(error)}; write a class a line") from error
    names = tuple(line for line in lines if line)
    if not 2 <= len(names) <= NOT_COUNTED or len(set(names)) < len(names):
        raise ImageError(
            f"{printable(path)}: {len(names)} names, {len(set(names))} different; write 2 to {NOT_COUNTED} classes, "
            "one a line, the first for label 0"
        )
    return names


def _voc(root: Path) -> Found:
    year = max((path for path in root.iterdir() if path.name.startswith("VOC")), default=root / "VOC2012")
    train, held_out = (
        tuple(
            Pair(year / "JPEGImages" / f"{stem}.jpg", year / "SegmentationClass" / f"{stem}.png")
            for stem in _stems(year / "ImageSets" / "Segmentation" / f"{name}.txt")
        )
        for name in ("train", "val")
    )
    return Found(f"PASCAL {year.name}", VOC_CLASSES, train, held_out, torch.arange(256))


def _pets(root: Path) -> Found:
    # Any other label is of no class: 254 is beyond the last.
    meaning = torch.full((256,), 254)
    for label, number in PETS_LABELS.items():
        meaning[label] = number
    train, held_out = (
        tuple(
            Pair(root / "images" / f"{stem}.jpg", root / "annotations" / "trimaps" / f"{stem}.png")
            for stem in _stems(root / "annotations" / f"{name}.txt")
        )
        for name in ("trainval", "test")
    )
    return Found("Oxford-IIIT Pet", PETS_CLASSES, train, held_out, meaning)


def _stems(path: Path) -> list[str]:
    """The first word of each line."""
    try:
        return [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(
            f"data {printable(path)}: cannot be read: {one_line(error)}; "
            "let torchvision.datasets fetch the whole data set with download=True"
        ) from error
