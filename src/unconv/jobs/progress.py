"""Progress of a long job, as a bar or told to a function."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """What follows a job: told a total and a text when it starts, and each step after that; closed at the end."""

    def __enter__(self) -> Progress:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing, whatever happened."""
        ...

    def start(self, total: int | None, text: str = "") -> None:
        """Begin counting at zero; a total of None is one that nobody knows."""
        ...

    def advance(self, count: int = 1, text: str | None = None) -> None:
        """Count on; a new text replaces the old one."""
        ...


class _Open:
    """What has nothing to close."""

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Quiet(_Open):
    """Shows nothing.

    >>> with Quiet() as progress:
    ...     progress.start(2, "images")
    ...     progress.advance()
    """

    def start(self, total: int | None, text: str = "") -> None:
        """Show nothing."""

    def advance(self, count: int = 1, text: str | None = None) -> None:
        """Show nothing."""


class Bar:
    """A bar on stderr, or in the notebook, that leaves nothing behind; nothing at all in a file or a pipe.

    >>> with Bar() as progress:
    ...     progress.start(2, "images")
    ...     progress.advance()
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        shown = console.is_terminal or console.is_jupyter
        text = TextColumn("{task.description}", markup=False)
        self._bar: Any = Progress(*columns, text, console=console, transient=True, disable=not shown)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, total: int | None, text: str = "") -> None:
        """Begin the bar anew."""
        self._bar.remove_task(self._task)
        self._task = self._bar.add_task(text, total=total)

    def advance(self, count: int = 1, text: str | None = None) -> None:
        """Move the bar on."""
        self._bar.update(self._task, advance=count, description=text)


def quiet() -> Progress:
    """The progress that shows nothing: the library's default."""
    return Quiet()


def bar() -> Progress:
    """The progress of the command line: a bar on a terminal or in a notebook."""
    return Bar()
