"""Executors: the parts of a job computed one after the other, or in threads; results always come in order."""

from __future__ import annotations

import ctypes
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol, TypeVar, runtime_checkable

from unconv.errors import JobError

Item = TypeVar("Item")
Part = TypeVar("Part")

SECONDS_TO_STOP = 0.5
"""How long an interrupted job waits for its threads; one deep inside a native call is left behind after that."""


@runtime_checkable
class Executor(Protocol):
    """Applies a function to a stream of items and yields the results in the order of the items.

    Functions and items are values: they can be pickled and share nothing that changes, so that a job runs the same
    here, in threads, or on other machines. An executor takes few items ahead of those it has yielded, raises what
    the function raised, and stops when the generator is closed.
    """

    def map(self, function: Callable[[Item], Part], items: Iterable[Item]) -> Generator[Part, None, None]:
        """Yield function(item) for each item, in order."""
        ...


@dataclass(frozen=True)
class Serial:
    """One item after the other, in the calling thread.

    >>> list(Serial().map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    def map(self, function: Callable[[Item], Part], items: Iterable[Item]) -> Generator[Part, None, None]:
        """Yield function(item) for each item, in order."""
        for item in items:
            yield function(item)


@dataclass(frozen=True)
class Threads:
    """Several items at once, in threads: for functions that spend their time outside Python (torch, C++, files).

    ``count`` is the number of threads; None takes as many as this process has cores. At most 2·count items are held
    at a time, yielded or not yet, so that a stream of any length needs the same memory. Settings that torch keeps
    per thread (``torch.no_grad``, ``inference_mode``) do not reach the threads: the function sets its own.
    Raises :class:`~unconv.jobs.JobError` for a count below 1.

    >>> list(Threads(2).map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    count: int | None = None

    def __post_init__(self) -> None:
        count = _cores() if self.count is None else self.count
        if type(count) is not int or count < 1:
            raise JobError(
                f"threads: count {count!r} is not a number of threads; give 1 or more, or None for all cores"
            )
        object.__setattr__(self, "count", count)

    def map(self, function: Callable[[Item], Part], items: Iterable[Item]) -> Generator[Part, None, None]:
        """Yield function(item) for each item, in order."""
        count = self.count or 1
        tasks: SimpleQueue[tuple[Future[Part], Item] | None] = SimpleQueue()
        workers: list[Thread] = []
        waiting: deque[Future[Part]] = deque()
        finished = False
        try:
            for item in items:
                waiting.append(Future())
                tasks.put((waiting[-1], item))
                del item  # the stream's memory is that of the items under way
                if len(workers) < count:
                    workers.append(Thread(target=_work, args=(function, tasks), daemon=True))
                    workers[-1].start()
                if len(waiting) >= 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            finished = True
        finally:
            _stop(workers, tasks, at_once=not finished)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(function: Callable[[Item], Part], tasks: SimpleQueue[tuple[Future[Part], Item] | None]) -> None:
    try:
        while (task := tasks.get()) is not None:
            future, item = task
            try:
                part = function(item)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(part)
                del part
            del task, future, item
    except SystemExit:  # from _stop, outside of the function
        return


def _stop(workers: list[Thread], tasks: SimpleQueue[tuple[Future[Part], Item] | None], at_once: bool) -> None:
    """End the threads; at once: raise SystemExit inside them, as Ctrl-C raises KeyboardInterrupt in the main one."""
    if at_once:
        with suppress(Empty):
            while True:
                tasks.get_nowait()
        # Before they are told to end: what is raised in a thread that already ends would be reported as its failure.
        for worker in workers:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident or 0), ctypes.py_object(SystemExit))
    for _ in workers:
        tasks.put(None)
    deadline = time.monotonic() + SECONDS_TO_STOP
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()) if at_once else None)
