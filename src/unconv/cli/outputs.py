"""Output checks: whether what a command is to write can be written, asked before the work that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from unconv.errors import MissingExtraError, UnconvError, printable
from unconv.files import check_file, same_file
from unconv.folders import check_folder
from unconv.inputs import Input, files_named, refuse_inputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS = (".safetensors",)
FIGURES = (".png", ".pdf", ".svg", ".jpg")


@dataclass(frozen=True)
class File:
    """A file that is written where an option names one.

    Args:
        option: by which it is named.
        path: None where it is not wanted.
        endings: that its name may have.
        figure: whether matplotlib draws it.
    """

    option: str
    path: Path | None
    endings: tuple[str, ...] = FIGURES
    figure: bool = False

    def check(self, path: Path) -> None:
        """Refuse what cannot be written."""
        check_file(path, self.endings, self.option)
        if self.figure:
            try:
                import matplotlib  # noqa: F401
            except ImportError:
                raise MissingExtraError(f"{self.option} {path}", "matplotlib", "demo") from None

    def replaced(self, path: Path) -> tuple[Path, ...]:
        """What is not there any more when it is written."""
        return (path,)


@dataclass(frozen=True)
class Folder:
    """A folder that is written where an option names one.

    Args:
        option: by which it is named.
        path: None where it is not wanted.
        names: of files and folders in it that are written; of others, it only has to be a folder.
        force: whether others' files with these names are replaced.
    """

    option: str
    path: Path | None
    names: tuple[str, ...] = ()
    force: bool = False

    def check(self, path: Path) -> None:
        """Refuse what cannot be written."""
        check_folder(path, self.names, self.option, self.force)

    def replaced(self, path: Path) -> tuple[Path, ...]:
        """What is not there any more when it is written."""
        return tuple(path / name for name in self.names)


def check_outputs(outputs: Sequence[File | Folder], inputs: Iterable[Input] = ()) -> None:
    """Refuse, before anything is computed, what could not be written in the end, or would destroy something.

    Args:
        outputs: what the command is to write.
        inputs: files, folders and MODEL strings that it reads: none is written over.

    Raises :class:`~unconv.errors.UnconvError` for endings, folders and rights as
    :func:`~unconv.files.check_file` does, for outputs that are inputs, be it through links, and for two in one place.

    >>> check_outputs([File("--out", Path("x.png")), File("--plot", Path("./x.png"))])
    Traceback (most recent call last):
    unconv.errors.UnconvError: --plot x.png: --out writes there too; name two files
    """
    wanted = [(output, output.path) for output in outputs if output.path is not None]
    for output, path in wanted:
        output.check(path)
    read = files_named(inputs)
    for output, path in wanted:
        refuse_inputs(output.option, path, output.replaced(path), read)
    for (one, first), (other, second) in combinations(wanted, 2):
        if same_file(first, second):
            raise UnconvError(f"{other.option} {printable(second)}: {one.option} writes there too; name two files")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure on white, and say so."""
    from unconv.data.figure import save_figure

    save_figure(figure, path, facecolor="white")
    typer.echo(f"wrote {path}", err=True)
