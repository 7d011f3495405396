"""Progress of a long job, as a bar or told to a function."""

from __future__ import annotations

import sys
import time
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
        """Begin counting at zero; a total of None is one that nobody knows; the text says what is counted."""
        ...

    def advance(self, count: int = 1, text: str | None = None) -> None:
        """Count on; a new text replaces the old one."""
        ...


@runtime_checkable
class Resuming(Protocol):
    """A progress that also tells what had been done when a job was resumed; others are told it as a first step."""

    def resume(self, done: int) -> None:
        """Begin counting at so many, right after ``start``."""
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


class Lines(_Open):
    """A line on stderr now and then, for what is read later in a file: the first after ten seconds, then ever fewer.

    What was done before is told at once.

    >>> with Lines() as progress:
    ...     progress.start(2, "images")
    ...     progress.advance()
    """

    def __init__(self, first: float = 10.0, longest: float = 300.0) -> None:
        self._wait, self._longest = first, longest
        self._since = self._told = time.monotonic()
        self._total: int | None = None
        self._units, self._text, self._done, self._before = "", "", 0, 0

    def start(self, total: int | None, text: str = "") -> None:
        """Begin counting at zero."""
        self._since = time.monotonic()
        self._total, self._units, self._text, self._done, self._before = total, text, "", 0, 0

    def advance(self, count: int = 1, text: str | None = None) -> None:
        """Count on, and write a line when it is time."""
        now = time.monotonic()
        self._done += count
        self._text = self._text if text is None else text
        if now - self._told < self._wait:
            return
        self._told, self._wait = now, min(2 * self._wait, self._longest)
        fresh, taken = self._done - self._before, now - self._since
        left = f", about {_clock(taken / fresh * (self._total - self._done))} to go" if self._total and fresh else ""
        self._write(", ".join(filter(None, (self._count(self._done), self._text, f"{_clock(taken)}{left}"))))

    def resume(self, done: int) -> None:
        """Tell what was done before."""
        self._done = self._before = done
        self._write(f"{self._count(done)} done before")

    def _count(self, done: int) -> str:
        count = f"{done:,}" if self._total is None else f"{done:,} of {self._total:,}"
        return f"{count} {self._units}".rstrip()

    def _write(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
        self.visible = console.is_terminal or console.is_jupyter
        text = TextColumn("{task.description}", markup=False)
        self._bar: Any = Progress(*columns, text, console=console, transient=True, disable=not self.visible)
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

    def resume(self, done: int) -> None:
        """Begin where a job was left, and leave a line that says so."""
        task = self._bar.tasks[0]
        of = "" if task.total is None else f" of {task.total:,.0f}"
        self._bar.console.print(f"{done:,}{of} {task.description} done before", highlight=False, markup=False)
        self.advance(done)

    def advance(self, count: int = 1, text: str | None = None) -> None:
        """Move the bar on."""
        self._bar.update(self._task, advance=count, description=text)


def quiet() -> Progress:
    """The progress that shows nothing: the library's default."""
    return Quiet()


def bar() -> Progress:
    """The progress of the command line: a bar on a terminal or in a notebook, else a line now and then."""
    shown = Bar()
    return shown if shown.visible else Lines()
