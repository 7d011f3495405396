"""Atomic file writes: files that are written whole or not at all, and whether they can be."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unconv.errors import UnconvError, one_line, printable

# Bytes of a name that stand in that of the file beside it: names end at 255.
SHOWN = 40


def write_whole(path: str | os.PathLike[str], content: str | bytes, operation: str = "save") -> Path:
    """Write a file under another name first, so that no half of one is ever found at ``path``.

    >>> place = Path(tempfile.mkdtemp()) / "codes"
    >>> write_whole(place, b"whole").read_bytes()
    b'whole'

    Args:
        path: where to; through a link, what the link points to is replaced.
        content: of the file; text is written as UTF-8.
        operation: what the message begins with.

    Raises :class:`~unconv.errors.UnconvError` where the place cannot be written to; what was there stays.
    """
    with replacing(path, operation) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def replacing(path: str | os.PathLike[str], operation: str = "save") -> Iterator[Path]:
    """A new file to write to, beside ``path``, which takes its place when the block has ended well.

    >>> place = Path(tempfile.mkdtemp()) / "table"
    >>> with replacing(place) as beside:
    ...     _ = beside.write_text("whole")
    >>> place.read_text(), [file.name for file in place.parent.iterdir()]
    ('whole', ['table'])

    Raises :class:`~unconv.errors.UnconvError` where the place cannot be written to; what was there stays.
    """
    with replacing_all([path], operation) as (beside,):
        yield beside


@contextmanager
def replacing_all(paths: Sequence[str | os.PathLike[str]], operation: str = "save") -> Iterator[list[Path]]:
    """New files to write to, which take their places when the block has ended well and all of them are on the disk.

    Raises :class:`~unconv.errors.UnconvError` where a place cannot be written to; what was there stays.
    """
    besides: list[Path] = []
    path = paths[0]
    try:
        targets = [Path(os.path.realpath(path)) for path in paths]
        for path, target in zip(paths, targets, strict=True):  # noqa: B007 - the message names it
            name = os.fsdecode(os.fsencode(target.name)[:SHOWN])
            handle, made = tempfile.mkstemp(dir=target.parent, prefix=f".{name}.", suffix=".part")
            os.close(handle)
            besides.append(Path(made))
        yield besides
        for path, target, beside in zip(paths, targets, besides, strict=True):  # noqa: B007
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.chmod(_mode(target))
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        for path, target, beside in zip(paths, targets, besides, strict=True):  # noqa: B007
            beside.replace(target)
    except OSError as error:
        raise UnconvError(
            f"{operation}: cannot write {printable(Path(path))}: {one_line(error)}; choose a place that can be "
            "written to"
        ) from None
    finally:
        for beside in besides:
            beside.unlink(missing_ok=True)


def _mode(target: Path) -> int:
    """The rights of the file that is replaced; of a new one those that any file is made with, unlike mkstemp's."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def check_file(path: str | os.PathLike[str], endings: Sequence[str], operation: str) -> None:
    """Refuse a file that could not be written in the end; asked before the work that makes it.

    Args:
        path: of the file.
        endings: one of which its name has, in small letters or capitals.
        operation: what the message begins with.

    >>> check_file("drawing.SVG", (".svg", ".png"), "draw")
    >>> check_file("drawing.txt", (".svg", ".png"), "draw")
    Traceback (most recent call last):
    unconv.errors.UnconvError: draw drawing.txt: files end in .svg or .png

    Raises :class:`~unconv.errors.UnconvError` for another ending, a folder that does not exist, a folder in place of
    the file, what is no ordinary file, and places without the right to write.
    """
    where = f"{operation} {printable(Path(path))}"
    if Path(path).suffix.lower() not in endings:
        *most, last = endings
        raise UnconvError(f"{where}: files end in {', '.join(most)}{' or ' if most else ''}{last}")
    try:
        target = Path(os.path.realpath(path))
        folder = target.parent
        kind = target.stat().st_mode if target.exists() else None
    except (OSError, ValueError) as error:
        raise UnconvError(f"{where}: {one_line(error)}; name another file") from None
    above = printable(Path(path).parent if folder == Path(os.path.realpath(Path(path).parent)) else folder)
    if not folder.exists():
        raise UnconvError(f"{where}: there is no folder {above}; make it first")
    if not folder.is_dir():
        raise UnconvError(f"{where}: {above} is no folder; name another")
    if kind is not None and not stat.S_ISREG(kind):
        raise UnconvError(f"{where}: it is {'a folder' if stat.S_ISDIR(kind) else 'no ordinary file'}; name a file")
    if kind is not None and not os.access(target, os.W_OK):
        raise UnconvError(f"{where}: it is write-protected; name another file")
    check_right(folder, above, where)


def check_right(folder: Path, shown: str, where: str) -> None:
    """Refuse a folder in which no file can be made, by making one: file systems refuse for more reasons than rights."""
    try:
        if not os.access(folder, os.W_OK):
            raise PermissionError(0, "no right to write")
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UnconvError(f"{where}: {shown} cannot be written to: {one_line(error)}; name another place") from None


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file, be it through links, and be it there or not.

    >>> same_file("a.png", "b/../a.png"), same_file("a.png", "b.png")
    (True, False)
    """
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)
