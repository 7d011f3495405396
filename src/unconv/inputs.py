"""Input files: what a command or function reads, which nothing that it writes may replace."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from unconv.errors import UnconvError, printable
from unconv.files import same_file
from unconv.source_files import files_of_model

# Files with these endings in a folder that is read are pictures, and read with it.
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")

Input: TypeAlias = str | os.PathLike[str] | None


def paths_in(images: Any) -> list[str | os.PathLike[str]]:
    """The files and folders among pictures that are given in any form; lists are gone through.

    >>> paths_in(["photos", ["a.png", 0.5]]), paths_in("photos"), paths_in(None)
    (['photos', 'a.png'], ['photos'], [])
    """
    if isinstance(images, str | os.PathLike):
        return [images]
    return [path for one in images for path in paths_in(one)] if isinstance(images, list | tuple) else []


def files_named(inputs: Iterable[Input]) -> list[Path]:
    """The files and folders that arguments name: by themselves, or as ``file.py:callable`` and ``kind:folder``.

    >>> files_named([None, "", "torchvision:resnet18"])
    []
    """
    found: list[Path] = []
    for given in inputs:
        if given is None or given == "":
            continue
        text = os.fspath(given)
        found += files_of_model(text)
        for part in dict.fromkeys((text, text.rpartition(":")[0], text.partition(":")[2])):
            if part and _exists(part):
                found.append(Path(part))
    return found


def refuse_inputs(operation: str, path: Path, places: Sequence[Path], read: Iterable[Path]) -> None:
    """Refuse an output that would replace what is read; asked before the work.

    Args:
        operation: what the message begins with.
        path: of the output.
        places: what is not there any more when it is written.
        read: files and folders, as :func:`files_named` finds them.

    Raises :class:`~unconv.errors.UnconvError` for a place that is read, be it through links, that lies around or in a
    folder that is read, or that is a picture in one.
    """
    for given in read:
        if any(_replaces(place, given) for place in places):
            told = (
                "is read by this command"
                if same_file(path, given)
                else f"would replace what is read from {printable(given)}"
            )
            raise UnconvError(f"{operation} {printable(path)}: {told}; name another place")


def _replaces(place: Path, given: Path) -> bool:
    """Whether writing a place would take away something that is read."""
    if not place.exists():
        return False
    real, read = Path(os.path.realpath(place)), Path(os.path.realpath(given))
    around = place.is_dir() and (read.is_relative_to(real) or real.is_relative_to(read))
    in_folder = given.is_dir() and real.is_relative_to(read) and real.suffix.lower() in PICTURES
    return same_file(place, given) or around or in_folder


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # text that no file can be called
        return False
