"""Input of the experiments: pictures, classes, parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconv.cli.skipped import tell_skipped
from unconv.errors import ImageError, UnconvError

if TYPE_CHECKING:
    from torch import Tensor

    from unconv.models.load.resolve import LoadedModel

SHOWN = 5


def pictures(loaded: LoadedModel, paths: list[str], least: int) -> tuple[Tensor, Tensor, list[str]]:
    """Pictures as the network wants them, the same to show in [0, 1], and their names; skipped ones go to stderr."""
    import torch

    from unconv.data.images import Image, Skipped
    from unconv.data.read.read_item import read_item
    from unconv.data.read.source import source_of

    reading = loaded.preprocess.reading
    read = [read_item(item, reading) for item in source_of(paths, stacks=not reading.clips)]
    skipped, found = [one for one in read if isinstance(one, Skipped)], [one for one in read if isinstance(one, Image)]
    if not found:
        raise ImageError(f"experiment: no picture could be read: {'; '.join(map(str, skipped[:3])) or 'none given'}")
    tell_skipped(skipped)
    if len(found) < least:
        raise ImageError(f"experiment: {len(found)} pictures; give {least} or more")
    shown = torch.stack([loaded.preprocess.picture(image.tensor) for image in found])
    return loaded.preprocess.normalise(shown), shown, [image.name for image in found]


def normalised(loaded: LoadedModel, colour: list[float]) -> list[float]:
    """A colour in [0, 1], one value or one a channel, as the network is given it."""
    means, deviations = loaded.preprocess.mean, loaded.preprocess.std
    colour = colour * len(means) if len(colour) == 1 else colour
    if len(colour) != len(means) or not all(0 <= value <= 1 for value in colour):
        raise UnconvError(
            f"--fill {','.join(map(str, colour))}: give one brightness in [0, 1], or {len(means)}, one a channel"
        )
    return [(value - mean) / deviation for value, mean, deviation in zip(colour, means, deviations, strict=True)]


def target_of(text: str | None) -> int | str | None:
    """A class by its index, or by its name.

    >>> target_of("281"), target_of("tabby"), target_of(None)
    (281, 'tabby', None)
    """
    return int(text) if text is not None and text.isascii() and text.isdigit() else text


def parts_file(path: Path, names: list[str]) -> dict[str, list[tuple[int, int, int, int]]]:
    """Boxes of parts from JSON: by part and picture, [top, left, height, width]."""
    try:
        given: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnconvError(f"--parts {path}: cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(given, dict) or not all(isinstance(boxes, dict) for boxes in given.values()):
        raise UnconvError(f'--parts {path}: write {{"part": {{"picture": [top, left, height, width]}}}}')
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for part, boxes in given.items():
        missing = [name for name in names if name not in boxes]
        if missing:
            raise UnconvError(f"--parts {path}: part {part!r} has no box in {', '.join(missing[:SHOWN])}")
        found[part] = [_box(path, part, name, boxes[name]) for name in names]
    return found


def _box(path: Path, part: str, name: str, box: Any) -> tuple[int, int, int, int]:
    if not isinstance(box, list) or len(box) != 4 or not all(type(number) is int for number in box):
        raise UnconvError(
            f"--parts {path}: part {part!r} in {name!r} is {json.dumps(box)}; write [top, left, height, width]"
        )
    return box[0], box[1], box[2], box[3]


def class_folders(folder: Path) -> list[Path]:
    """The sub-folders of a folder, by name: one for each class."""
    if not folder.is_dir():
        raise UnconvError(f"{folder}: no such folder; give one with a sub-folder of pictures for each class")
    found = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    if len(found) < 2:
        raise UnconvError(f"{folder}: {len(found)} sub-folders; make one for each class, two or more")
    return found


def labelled(loaded: LoadedModel, classes: list[Path]) -> tuple[Tensor, list[int]]:
    """The pictures of all classes, and the class of each."""
    import torch

    batches, labels = [], []
    for label, folder in enumerate(classes):
        batch, _, _ = pictures(loaded, [str(folder)], 1)
        batches.append(batch)
        labels += [label] * len(batch)
    return torch.cat(batches), labels
