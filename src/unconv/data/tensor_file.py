"""Tensor files: safetensors with a JSON head that says what they hold, written whole and read without running code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from unconv.errors import UnconvError
from unconv.files import write_whole
from unconv.results import Shown

# The one entry of the file's metadata: safetensors writes several in an order of its own, and the same content shall
# be the same file.
HEAD = "unconv"


@dataclass(frozen=True, eq=False, repr=False)
class TensorFile(Shown):
    """What is in a file: tensors by name, and the head; empty where unconv has not written it."""

    tensors: dict[str, Tensor]
    head: dict[str, Any]


@dataclass(frozen=True)
class TensorFormat:
    """What a kind of file is called in its head, and who writes it.

    Attributes:
        name: what the head says under ``key``.
        version: that this unconv writes and reads.
        content: what errors call it, as in "holds no encoding".
        writer: what makes such files, as in "give a file that Encoding.save wrote".
        error: what is raised.
        key: of the head.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "point.safetensors"
    >>> points = TensorFormat("point", 1, content="point", writer="write")
    >>> points.read(points.write(path, {"x": torch.ones(2)}, {"unit": "m"}), "load").head
    {'kind': 'point', 'version': 1, 'unit': 'm'}
    >>> TensorFormat("line", 1, content="line", writer="draw").read(path, "load line")
    Traceback (most recent call last):
    unconv.errors.UnconvError: load line: holds no line; give a file that draw wrote
    """

    name: str
    version: int
    content: str
    writer: str
    error: type[UnconvError] = UnconvError
    key: str = "kind"

    def write(self, path: Path, tensors: Mapping[str, Tensor], head: Mapping[str, Any]) -> Path:
        """Write tensors, and in the head what JSON can hold, whole or not at all."""
        return write_tensors(path, tensors, {self.key: self.name, "version": self.version, **head})

    def read(self, path: Path, where: str) -> TensorFile:
        """Read what :meth:`write` wrote; errors begin with ``where``."""
        found = read_tensors(path, where, self.error)
        if found.head.get(self.key) != self.name:
            raise self.error(f"{where}: holds no {self.content}; give a file that {self.writer} wrote")
        if found.head.get("version") != self.version:
            raise self.error(
                f"{where}: format version {found.head.get('version')}, this unconv reads {self.version}; "
                f"update unconv, or write the file anew with {self.writer}"
            )
        return found

    @contextmanager
    def assembling(self, where: str) -> Iterator[None]:
        """Around the code that makes a value of a file: what is missing or does not fit becomes one line."""
        try:
            yield
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            if isinstance(error, UnconvError):
                raise
            text = " ".join(str(error).split())
            raise self.error(
                f"{where}: incomplete or damaged ({text}); write the file anew with {self.writer}"
            ) from None

    def head_of(self, path: Path) -> dict[str, Any]:
        """What a file of this kind and version says of itself; nothing of any other, which is no error here."""
        try:
            head = read_head(path)
        except (OSError, ValueError):
            return {}
        known = head.get(self.key) == self.name and head.get("version") == self.version
        return head if known else {}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], head: Mapping[str, Any]) -> Path:
    """Write tensors and a head to a safetensors file, whole or not at all.

    Raises UnconvError where the place cannot be written to.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # In ASCII: a name that is no UTF-8 is no text for safetensors.
    return write_whole(path, save(plain, {HEAD: json.dumps(head)}))


def read_tensors(path: Path, where: str, error: type[UnconvError] = UnconvError) -> TensorFile:
    """Read any safetensors file, head included where there is one.

    Raises ``error``, one line that begins with ``where``, for a file that is missing or is none.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise error(f"{where}: cannot be read: no such file")
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            head = _parse(file.metadata())
            return TensorFile({name: file.get_tensor(name) for name in file.keys()}, head)  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as failure:
        text = " ".join(str(failure).split())
        raise error(f"{where}: cannot be read: not a safetensors file ({text})") from None


def read_head(path: Path) -> dict[str, Any]:
    """The head alone; empty where there is none.

    Raises OSError for a file that is missing, ValueError for one that is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            return _parse(file.metadata())
    except SafetensorError as failure:
        raise ValueError(str(failure)) from None


def _parse(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    try:
        head = json.loads((metadata or {}).get(HEAD, "{}"))
    except ValueError:  # the entry of another writer
        return {}
    return head if isinstance(head, dict) else {}
