"""What a forward pass needs of each of its convolutions, told to them in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor

Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Needed:
    """Of one convolution's output the cells that are needed, a box a sample; no boxes: all of them.

    ``channels`` and ``kernel_size`` are what the convolution must have, or it is another.
    """

    channels: int
    kernel_size: tuple[int, ...]
    boxes: tuple[Box, ...]


class Course:
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


_COURSE: ContextVar[Course | None] = ContextVar("course", default=None)


def upcoming(weight: Tensor) -> tuple[int | None, tuple[Box, ...]]:
    """Of the convolution that runs now, with such kernels, the number and what is needed; nothing said: all of it."""
    course = _COURSE.get()
    return (None, ()) if course is None else course.next(weight)


@contextmanager
def following(needed: Sequence[Needed]) -> Iterator[Course]:
    """One forward pass whose convolutions compute what is needed of them."""
    course = Course(needed)
    token = _COURSE.set(course)
    try:
        yield course
    finally:
        _COURSE.reset(token)
