"""Interrupts: signals that come while a state is being changed are told once it is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass
class Interrupts:
    """Ctrl-C and SIGTERM held back, but where they are let through; a second one is not held.

    >>> with holding_back() as interrupts:
    ...     with interrupts.let_through():
    ...         print("here they come as ever")
    here they come as ever
    """

    held: bool = True
    waiting: Callable[[], Any] | None = None

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Tell what came before, and what comes while this is open."""
        try:
            self.held = False
            self.tell()
            yield
        finally:
            self.held = True

    def tell(self) -> None:
        """Hand what was held back to who handles it."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting()


@contextmanager
def holding_back() -> Iterator[Interrupts]:
    """Hold SIGINT and SIGTERM back where Python code handles them; only the main thread can, and is asked.

    What is still held at the end is told then.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in before.items() if callable(handler)}

    def hold(number: int, frame: FrameType | None) -> None:
        handler = handlers[signal.Signals(number)]
        if interrupts.held and interrupts.waiting is None:
            interrupts.waiting = lambda: handler(number, frame)
        else:
            handler(number, frame)

    for number in handlers:
        signal.signal(number, hold)
    try:
        yield interrupts
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    interrupts.tell()
