"""Tar archives of pictures, as webdataset writes them: members listed from their headers, read one by one."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unconv.data.read.items import Member, Skipped
from unconv.errors import ImageError, one_line

# What members end in that are listed; others are labels, captions and the like.
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def is_archive(path: Any) -> bool:
    """Whether a path is that of a tar file.

    >>> is_archive("nowhere.tar"), is_archive(3)
    (False, False)
    """
    if not isinstance(path, str | os.PathLike) or Path(path).suffix.lower() != ".tar":
        return False
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def list_members(path: Path) -> Iterator[Member | Skipped]:
    """The pictures of an archive in their order, none of them read; an archive that is damaged ends as skipped.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "all.tar"
    >>> _ = path.write_bytes(b"no archive")
    >>> [str(item).rpartition("/")[2] for item in list_members(path)]
    ['all.tar: cannot be read as a tar file (truncated header)']
    """
    try:
        with tarfile.open(path, "r:") as archive:
            while (member := archive.next()) is not None:
                # Else it keeps the headers of all members in memory.
                archive.members = []  # type: ignore[attr-defined]
                if member.isfile() and member.name.lower().endswith(SUFFIXES):
                    yield Member(path, member.name, member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        yield Skipped(path.name, f"cannot be read as a tar file ({one_line(error)})", path)


def read_member(member: Member) -> bytes:
    """The bytes of a member; raises ImageError where the archive cannot be read any more."""
    try:
        with member.archive.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)
    except OSError as error:
        raise ImageError(f"cannot be read ({one_line(error)})") from error
