"""Locations: a line of a Python file, and in what sense it is that of a layer."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from unconv.errors import printable

What: TypeAlias = Literal["construction", "assignment", "forward", "class"]

# What is said of a line that does not construct the layer itself.
MEANING: dict[What, str] = {
    "construction": "made here",
    "assignment": "put into the model here; the line that makes it is not known",
    "forward": "computed in this forward, by a function and not by a module",
    "class": "the class, as the line that makes it is not known",
}


@dataclass(frozen=True)
class Location:
    """A line of a Python file.

    Attributes:
        file: its path, from the root.
        line: counted from 1.
        what: ``"construction"``: the layer is made there; ``"assignment"``: it is put into the model there;
            ``"forward"``: the method that computes it; ``"class"``: the class that it belongs to.
        callers: (file, line) of the calls that led there, the nearest first.

    >>> print(Location("/somewhere/net.py", 12))
    /somewhere/net.py:12
    """

    file: str
    line: int
    what: What = "construction"
    callers: tuple[tuple[str, int], ...] = ()

    @property
    def meaning(self) -> str:
        """In what sense the line is the layer's."""
        return MEANING[self.what]

    def to_dict(self) -> dict[str, Any]:
        """The location as plain data, the file relative to the working directory where it is below it."""
        return {"file": shown(self.file), "line": self.line, "what": self.what}

    def __str__(self) -> str:
        place = f"{printable(shown(self.file))}:{self.line}"
        return place if self.what == "construction" else f"{place} ({self.meaning})"


def shown(file: str) -> str:
    """A path from the root, relative to the working directory where it is below it.

    >>> shown(str(Path.cwd() / "nets" / "net.py")), shown("/somewhere/net.py")
    ('nets/net.py', '/somewhere/net.py')
    """
    path, here = Path(file), Path.cwd().resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()


@lru_cache(maxsize=4096)
def resolved(file: str) -> str | None:
    """The path of a file of source; None for what is no file, as a cell of a notebook.

    >>> resolved("<stdin>") is None, resolved(__file__) == str(Path(__file__).resolve())
    (True, True)
    """
    try:
        path = Path(file).resolve()
        return str(path) if path.is_file() else None
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=4096)
def is_library(file: str) -> bool:
    """Whether a file belongs to torch, to this package, to the standard library or to another installed package.

    >>> is_library(torch.__file__), is_library(__file__), is_library("/home/me/net.py")
    (True, True, False)
    """
    path = Path(file)
    parts = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(parts) or any(path.is_relative_to(folder) for folder in _folders())


@lru_cache(maxsize=1)
def _folders() -> tuple[Path, ...]:
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    own = Path(__file__).resolve().parents[3]
    return (Path(torch.__file__).resolve().parent, own, *(Path(place).resolve() for place in places if place))
