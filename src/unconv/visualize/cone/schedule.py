"""The schedule of a forward pass: what is needed of each of its convolutions, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor

from unconv.operators.geometry.receptive import Box


@dataclass(frozen=True)
class Needed:
    """Of one convolution's output the cells that are needed, a box a sample; no boxes: all of them.

    ``channels`` and ``kernel_size`` are what the convolution must have, or it is another.
    """

    channels: int
    kernel_size: tuple[int, ...]
    boxes: tuple[Box, ...]


class ConvSchedule:
    """The convolutions of one forward pass, counted as they come, with what is needed of each."""

    def __init__(self, needed: Sequence[Needed]) -> None:
        self._needed = needed
        self._count = 0
        self._kept = True

    def next(self, weight: Tensor) -> tuple[int, tuple[Box, ...]]:
        """Number and boxes of the convolution that comes now, with such kernels."""
        number, self._count = self._count, self._count + 1
        expected = self._needed[number] if number < len(self._needed) else None
        same = expected is not None and (len(weight), *weight.shape[2:]) == (expected.channels, *expected.kernel_size)
        self._kept = self._kept and same
        return number, expected.boxes if expected is not None and self._kept else ()

    @property
    def kept(self) -> bool:
        """Whether the convolutions that came were those expected, all of them; else the pass counts for nothing."""
        return self._kept and self._count == len(self._needed)


_SCHEDULE: ContextVar[ConvSchedule | None] = ContextVar("schedule of convolutions", default=None)


def next_convolution(weight: Tensor) -> tuple[int | None, tuple[Box, ...]]:
    """Of the convolution that runs now, with such kernels, the number and what is needed; nothing said: all of it."""
    schedule = _SCHEDULE.get()
    return (None, ()) if schedule is None else schedule.next(weight)


@contextmanager
def limit_convolutions(needed: Sequence[Needed]) -> Iterator[ConvSchedule]:
    """One forward pass whose convolutions compute what is needed of them."""
    schedule = ConvSchedule(needed)
    token = _SCHEDULE.set(schedule)
    try:
        yield schedule
    finally:
        _SCHEDULE.reset(token)
