"""Atomic folder writes: files that are replaced together, beside files of others that stay."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from unconv.errors import UnconvError, one_line, printable
from unconv.files import check_right

# Lists, in each folder that was written, the files that may be replaced with it.
MANIFEST = ".unconv.json"


@contextmanager
def replacing_folder(path: str | os.PathLike[str], operation: str = "save", force: bool = False) -> Iterator[Path]:
    """A new folder to write to, whose files come into the one at ``path`` when the block has ended well.

    Files that an earlier one has brought there are replaced, all of them; others stay as they are.

    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "notes.txt").write_text("mine")
    >>> for name in ("one", "two"):
    ...     with replacing_folder(place) as beside:
    ...         _ = (beside / name).write_text(name)
    >>> sorted(file.name for file in place.iterdir())
    ['.unconv.json', 'notes.txt', 'two']

    Raises :class:`~unconv.errors.UnconvError` where it cannot be written, and where a file of somebody else would be
    replaced without ``force``; what was there stays.
    """
    folder = Path(path)
    beside = None
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder, prefix=".", suffix=".part"))
        yield beside
        _publish(beside, folder, operation, force)
    except OSError as error:
        raise UnconvError(
            f"{operation}: cannot write {printable(folder)}: {one_line(error)}; choose another folder"
        ) from None
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
        for place in made:
            with suppress(OSError):  # not empty: it was written
                place.rmdir()


def _publish(beside: Path, folder: Path, operation: str, force: bool) -> None:
    """Put the files in their places, then take away those of the earlier folder that have not come again."""
    new = sorted(file.relative_to(beside).as_posix() for file in beside.rglob("*") if not file.is_dir())
    old = own_files(folder)
    _refuse_others([name for name in new if name not in old], folder, operation, force)
    # Before the files: those of a run that is cut short are ours to the next one.
    _write_manifest(folder, sorted(old | set(new)), beside)
    for name in new:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (beside / name).replace(target)
    _write_manifest(folder, new, beside)
    for name in old - set(new):
        (folder / name).unlink(missing_ok=True)
        for above in (folder / name).relative_to(folder).parents:
            with suppress(OSError):  # others' files are in it
                if above.parts:
                    (folder / above).rmdir()


def _write_manifest(folder: Path, names: Sequence[str], beside: Path) -> None:
    (beside / MANIFEST).write_text(json.dumps({"files": names}, indent=1) + "\n", encoding="utf-8")
    (beside / MANIFEST).replace(folder / MANIFEST)


def own_files(folder: Path) -> frozenset[str]:
    """The files in a folder that :func:`replacing_folder` has brought there, relative to it."""
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, TypeError, KeyError):
        return frozenset()
    named = {str(name) for name in told} if isinstance(told, list) else set()
    # A list that somebody has changed does not lead out of the folder.
    return frozenset(name for name in named if name and not Path(name).is_absolute() and ".." not in Path(name).parts)


def check_folder(
    path: str | os.PathLike[str], names: Sequence[str] = (), operation: str = "save", force: bool = False
) -> None:
    """Refuse a folder that could not be written in the end; asked before the work.

    Args:
        path: of the folder; it need not exist.
        names: of the files, and of the folders in it, that are to be written.
        operation: what the message begins with.
        force: whether files of others with these names are replaced.

    Raises :class:`~unconv.errors.UnconvError` for a file in its place, for places without the right to write, and where
    a file of somebody else would be replaced.
    """
    folder = Path(path)
    where = f"{operation} {printable(folder)}"
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except (OSError, ValueError) as error:
        raise UnconvError(f"{where}: {one_line(error)}; name another folder") from None
    if not there.is_dir():
        what = "it is a file" if there == folder else f"{printable(there)} is a file"
        raise UnconvError(f"{where}: {what}; name a folder")
    check_right(there, printable(there), where)
    taken = []
    for name in names:
        place = folder / name
        inside = place.rglob("*") if place.is_dir() and not place.is_symlink() else (place,)
        taken += [file.relative_to(folder).as_posix() for file in inside if not file.is_dir()]
    own = own_files(folder)
    _refuse_others(
        [name for name in taken if name not in own and not name.endswith(MANIFEST)], folder, operation, force
    )


def _refuse_others(names: Sequence[str], folder: Path, operation: str, force: bool) -> None:
    """Refuse to replace files that are not known to be of an earlier folder."""
    there = [name for name in names if (folder / name).exists() and Path(name).name != MANIFEST]
    if there and not force:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UnconvError(
            f"{operation} {printable(folder)}: holds {printable(there[0])}{more}, not written by this command; name "
            "another folder, or force=True"
        )
