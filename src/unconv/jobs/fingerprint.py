"""Fingerprints of what a job was given, by which a resumed job can tell whether it is still the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from unconv.errors import JobError

FILES_NAMED = 1000
"""More files than this are written down folder by folder."""

ORDER = "order of the files"


def fingerprint_files(paths: Iterable[str | Path], by: Literal["time", "content"] = "time") -> dict[str, str]:
    """Size and time of change (cheap) or SHA-256 of the content (sure, reads everything) of each file, and the order.

    Files are named from the folder they have in common, so that neither the working directory nor a moved folder
    matters. More than 1000 files are summed up by folder. Raises :class:`~unconv.jobs.JobError` for a file that
    cannot be read, and for another word than these two.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     _ = path.write_text("pixels")
    ...     fingerprint_files([path], by="content")
    {'a.txt': '6 bytes 6ec9c2b0eb14', 'order of the files': 'f44546c1be69'}
    """
    if by not in ("time", "content"):
        raise JobError(f"fingerprint: by {by!r} is not a way to know a file; give 'time' or 'content'")
    files = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - not resolve(): links keep their names
    if not files:
        return {ORDER: "no files"}
    common = Path(os.path.commonpath([file.parent for file in files]))
    names = [str(file.relative_to(common)) for file in files]
    marks = [_file(file, by) for file in files]
    order = _digest(map(os.fsencode, names))
    if len(names) <= FILES_NAMED:
        return {**{name: f"{size} bytes {mark}" for name, (size, mark) in zip(names, marks, strict=True)}, ORDER: order}
    folders: dict[str, list[int]] = {}
    for index, file in enumerate(files):
        folders.setdefault(f"{file.parent.relative_to(common)}{os.sep}", []).append(index)
    summed = {}
    for folder, members in folders.items():
        total = sum(marks[index][0] for index in members)
        mark = _digest(os.fsencode(f"{names[index]} {marks[index]}") for index in members)
        summed[folder] = f"{len(members)} files {total} bytes {mark}"
    return {**summed, ORDER: order}


def _file(path: Path, by: str) -> tuple[int, str]:
    try:
        facts = path.stat()
        if by == "content" or not os.access(path, os.R_OK):
            return facts.st_size, file_checksum(path)[:12]
    except OSError as error:
        raise JobError(f"fingerprint: {path}: {error.strerror}; give files that can be read") from error
    return facts.st_size, f"changed {facts.st_mtime_ns}"


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(len(piece).to_bytes(8, "little") + piece)
    return digest.hexdigest()[:12]


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fingerprint_arrays(**arrays: Any) -> dict[str, str]:
    """Type, shape and SHA-256 of the values of each tensor, array, or sequence of them.

    >>> import numpy as np
    >>> fingerprint_arrays(images=np.zeros((2, 3)))
    {'images': 'float64 (2, 3) 17b0761f87b0'}
    """
    return {name: _array(value) for name, value in arrays.items()}


def _array(value: Any) -> str:
    import numpy as np

    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        parts = [_array(entry) for entry in value]
        return f"{len(parts)} arrays {_digest(part.encode() for part in parts)}"
    if hasattr(value, "detach"):  # a tensor: read as bytes, since numpy does not know all of its types
        import torch

        tensor = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
        kind, shape = str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
        flat = tensor.reshape(-1).view(torch.uint8).numpy()
    else:
        array = np.ascontiguousarray(value)
        if array.dtype.hasobject:
            raise JobError(f"fingerprint: a {type(value).__name__} is not an array of numbers; give tensors or arrays")
        kind, shape = str(array.dtype), np.shape(value)
        flat = array.reshape(-1).view(np.uint8)
    return f"{kind} {tuple(map(int, shape))} {hashlib.sha256(flat).hexdigest()[:12]}"


def plain(value: Any, name: str = "fingerprint") -> Any:
    """A fingerprint as JSON keeps it: names, numbers, texts and lists; raises JobError for anything else."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [plain(entry, name) for entry in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else str(float(value))
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return plain(value.item(), name)
    raise JobError(
        f"checkpoint: {name} is a {type(value).__name__}, which a fingerprint cannot hold; "
        "give numbers and texts, and arrays through fingerprint_arrays"
    )


def differences(made: Any, now: Any, name: str = "") -> Iterator[str]:
    """What changed between two plain fingerprints, in words.

    >>> list(differences({"penalty": 0.2, "size": 8}, {"penalty": 0.1, "size": 8, "mask": "a"}))
    ['made with penalty 0.2, now 0.1', "made without mask, now 'a'"]
    """
    if isinstance(made, dict) and isinstance(now, dict):
        # What the order is made of says more than the order: it comes last.
        for key in sorted({**made, **now}, key=lambda key: key == ORDER):
            inner = f"{name} {key}".strip()
            if key not in made:
                yield f"made without {inner}, now {_short(now[key])}"
            elif key not in now:
                yield f"made with {inner} {_short(made[key])}, now without"
            else:
                yield from differences(made[key], now[key], inner)
    elif type(made) is not type(now) or made != now:
        yield f"made with {name} {_short(made)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
