"""Files below paths: folders walked in the order of their names, what cannot be read in its place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import has_magic
from itertools import chain, takewhile
from pathlib import Path

from unconv.data.read.items import ImageFile, Skipped
from unconv.errors import one_line


def list_images(inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[ImageFile | Skipped, ...]:
    """Find the files that reading these paths would open, without opening them: to count, to show, to split.

    Missing paths and empty folders come back as Skipped, in their place. The result can be given to iter_images.

    >>> [str(item) for item in list_images("nowhere.png")]
    ['nowhere.png: no such file or folder']
    """
    paths = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    return tuple(chain.from_iterable(find_files(path) for path in paths))


def match_paths(given: str | os.PathLike[str]) -> list[tuple[Path, str | None]]:
    """What a path with ``*``, ``?`` or ``[`` matches, in the order of names, each with its name below what is fixed.

    A path that is there means itself, and so does one without such signs, or that matches nothing. ``**`` goes through
    folders; what begins with a dot is passed over.

    >>> match_paths("cat.png")
    [(PosixPath('cat.png'), None)]
    """
    text = os.fspath(given)
    path = Path(given)
    if not has_magic(text) or os.path.lexists(text):
        return [(path, None)]
    fixed = Path(*takewhile(lambda part: not has_magic(part), path.parts[:-1]))
    below = path.parts[len(fixed.parts) :]
    found = ((one, one.relative_to(fixed)) for one in fixed.glob("/".join(below)))
    shown = [(one, name) for one, name in found if not any(part.startswith(".") for part in name.parts)]
    return sorted(((one, name.as_posix()) for one, name in shown), key=lambda one: one[0].parts) or [(path, None)]


def find_files(given: str | os.PathLike[str]) -> Iterator[ImageFile | Skipped]:
    """The file of a path, or all files below a folder; of a pattern (``"photos/*.jpg"``) those of all that it matches.

    >>> next(find_files("")).reason
    'an empty name is no file or folder'
    """
    if not os.fspath(given):
        # Path("") would be the current folder.
        yield Skipped("", "an empty name is no file or folder")
        return
    try:
        for place, name in match_paths(given):
            yield from files_at(place, name)
    except (OSError, ValueError) as error:
        # A name too long, a NUL in it, a folder that may not be searched.
        path = Path(given)
        yield Skipped(path.name, one_line(error), path)


def files_at(place: Path, name: str | None = None) -> Iterator[ImageFile | Skipped]:
    """The file at a place, which no pattern is, or all files below a folder."""
    if place.is_dir():
        yield from _walk(place)
    else:
        yield _file(place, name or place.name)


def _file(path: Path, name: str) -> ImageFile | Skipped:
    if path.is_file():
        return ImageFile(path, name)
    # A pipe or a device would be waited for, perhaps for ever.
    missing = "no file matches the pattern" if has_magic(str(path)) else "no such file or folder"
    return Skipped(name, "not a regular file" if path.exists() else missing, path)


def _walk(folder: Path) -> Iterator[ImageFile | Skipped]:
    """All files below a folder, sorted by name, hidden ones left out; a folder reached twice is walked once."""
    seen: set[Path] = set()
    found: list[ImageFile | Skipped] = []

    def unreadable(error: OSError) -> None:
        place = Path(error.filename)
        found.append(Skipped(_below(place, folder), one_line(error), place))

    for place, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        here = Path(place)
        real = here.resolve()
        if real in seen:
            folders.clear()
            found.append(Skipped(_below(here, folder), "a link to a folder already read", here))
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith("."):
                found.append(_file(here / name, _below(here / name, folder)))
    if not found:
        found.append(Skipped(folder.name or str(folder), "no files in this folder", folder))
    yield from sorted(found, key=lambda item: (item.path or folder).parts)


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
