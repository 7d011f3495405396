"""Running options of a job (executor, checkpoint folder, progress, log) as one value: no answer depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from unconv.errors import JobError, UnconvError
from unconv.jobs.checkpoint import Checkpoint
from unconv.jobs.executor import Executor
from unconv.jobs.progress import Progress


@dataclass(frozen=True)
class Running:
    """How a job is run.

    Attributes:
        executor: computes the parts; None: the job's own choice.
        folder: of the checkpoint; None: nothing is kept.
        every_seconds: how often it is written.
        progress: what shows how far the job is; None: nothing does.
        log: a folder for the curves of what is measured, by jobs that measure anything.

    >>> from unconv.jobs import Serial
    >>> Running(executor=Serial()).checkpoint(dict) is None
    True
    """

    executor: Executor | None = None
    folder: str | PathLike[str] | None = None
    every_seconds: float = 30.0
    progress: Progress | None = None
    log: str | PathLike[str] | None = None

    def checkpoint(self, fingerprint: Callable[[], Mapping[str, Any]], *types: type[Any]) -> Checkpoint | None:
        """The checkpoint in the folder, None without one; the fingerprint is taken only where it is compared.

        Args:
            fingerprint: gives what the answer depends on, as names and values.
            types: the dataclasses in the state.
        """
        if self.folder is None:
            return None
        return Checkpoint(Path(self.folder), fingerprint(), self.every_seconds, types=types)


@contextmanager
def raising_causes() -> Iterator[None]:
    """The errors of a job's own functions without the part they came from, where they are of the family themselves.

    >>> from unconv.jobs import run
    >>> def refuse(item): raise UnconvError("scan: torn")
    >>> with raising_causes():
    ...     run([1], refuse, max, state=0)
    Traceback (most recent call last):
    unconv.errors.UnconvError: scan: torn
    """
    try:
        yield
    except JobError as error:
        if isinstance(error.__cause__, UnconvError):
            raise error.__cause__ from None
        raise
