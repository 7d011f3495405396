"""Operations: what is made of the cells under a window, what that is called, and how it is written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Operation:
    """All that is particular to one kind of geometry besides its sizes; whatever draws or lists geometries asks here.

    ``value`` makes an output of what meets in its window (each input times its weight, 1 in a pooling) and of the
    number of cells that a mean divides by. ``calculation`` writes that down, with ``{terms}`` and ``{count}``; each
    term is written as ``term``, with ``{value}``, ``{factor}`` (in brackets where negative) and ``{weight}``, and
    ``joint`` stands between them. ``entry`` is an entry of the matrix, with ``{tap}`` and ``{count}``.

    >>> mean = Operation("avgpool", "Average pooling", "A", value=lambda terms, count: sum(terms) / count)
    >>> mean.value([Fraction(3), Fraction(5)], 2), mean.weighted
    (Fraction(4, 1), False)
    """

    name: str
    title: str
    matrix: str
    value: Callable[[Sequence[Fraction], int], Fraction]
    weighted: bool = False
    """Whether there is a kernel of weights; a pooling has none, and works on each channel alone."""

    calculation: str = "{terms}"
    term: str = "{factor}"
    joint: str = " + "
    entry: str = "w{tap}"
    picks: str = ""
    """Which input an output is, where it is one of them."""

    of_padding: str = ""
    """What comes of a window that sees padding only, where padding does not count as zeros."""

    torch: str = ""
    """torch's operator, of which there is one for each number of axes: ``max_pool`` for ``max_pool2d``."""

    @property
    def window(self) -> str:
        """What the window is called."""
        return "kernel" if self.weighted else "window"


def total(terms: Sequence[Fraction], _: int) -> Fraction:
    """The sum of what meets in a window."""
    return sum(terms, Fraction(0))
