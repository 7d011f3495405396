"""TensorBoard logs of a training's curves."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from unconv.errors import MissingExtraError, UnconvError, one_line, printable

EVERY = 10
"""Steps from one that is logged to the next."""


class Log:
    """Numbers by step, in a folder for each curve: ``steps``, every ten steps, ``train`` and ``held_out``, every epoch.

    What is written is in the file at once, by no thread of its own as torch's ``SummaryWriter`` has it: a full disk is
    an error here and nowhere else, and what a checkpoint has seen is in the log. The first number of a curve hides,
    for TensorBoard, what an earlier run has written of this step and of later ones: a training that was killed and
    resumed shows the curves of one left alone.

    Raises MissingExtraError where tensorboard is not installed, UnconvError where the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.compat.proto import event_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise MissingExtraError("train: the log", "tensorboard", "train") from error
        self._events: Any = event_pb2
        self._writer: Any = RecordWriter
        self._folder = folder
        self._open: dict[str, Any] = {}
        self._files = ExitStack()
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)

    def add(self, curve: str, numbers: Mapping[str, float], step: int) -> None:
        """Write some numbers of one step, counted from 1 over all epochs."""
        with self._told():
            if curve not in self._open:
                self._open[curve] = self._begun(curve)
                self._write(curve, file_version="brain.Event:2")
                self._write(curve, step=step, session_log={"status": self._events.SessionLog.START})
            values = [{"tag": name, "simple_value": value} for name, value in numbers.items()]
            self._write(curve, step=step, summary={"value": values})
            self._open[curve].flush()

    def close(self) -> None:
        """End all files."""
        with self._told():
            self._files.close()

    def _begun(self, curve: str) -> Any:
        (self._folder / curve).mkdir(exist_ok=True)
        # TensorBoard reads the files of a curve in the order of their names.
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        return self._writer(self._files.enter_context((self._folder / curve / name).open("wb")))

    def _write(self, curve: str, **content: Any) -> None:
        self._open[curve].write(self._events.Event(wall_time=time.time(), **content).SerializeToString())

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or one_line(error)
            raise UnconvError(f"log {printable(self._folder)}: {reason}; make room, or log elsewhere") from error


@contextmanager
def logging_to(folder: str | PathLike[str] | None) -> Iterator[Log | None]:
    """A log that is closed at the end; none for None.

    >>> with logging_to(None) as log:
    ...     print(log)
    None
    """
    if folder is None:
        yield None
        return
    log = Log(Path(folder))
    try:
        yield log
    finally:
        log.close()
