"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from unconv.errors import UnconvError


def write_whole(path: Path, data: bytes) -> Path:
    """Write under another name first, so that no half of a file is ever found at ``path``.

    >>> place = Path(tempfile.mkdtemp()) / "codes"
    >>> write_whole(place, b"whole").read_bytes()
    b'whole'

    Raises :class:`~unconv.errors.UnconvError` where the place cannot be written to.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that nobody else may read.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        return Path(temporary).replace(path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UnconvError(
                f"save: {path}: {error.strerror or error}; choose a place that can be written to"
            ) from None
        raise
