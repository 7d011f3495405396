"""Sizes and paddings as they are read."""

from __future__ import annotations

from collections.abc import Sequence


def size_text(size: Sequence[int]) -> str:
    """A size as it is read aloud.

    >>> size_text((7, 5))
    '7 × 5'
    """
    return " × ".join(map(str, size))


def short_text(size: Sequence[int]) -> str:
    """One number where all axes agree.

    >>> short_text((2, 2)), short_text((2, 1))
    ('2', '2 × 1')
    """
    return str(size[0]) if len(set(size)) == 1 else size_text(size)


def padding_text(padding: Sequence[tuple[int, int]]) -> str:
    """Padding, short where it is even: before:after where the two ends differ.

    >>> padding_text(((1, 1), (1, 1))), padding_text(((0, 1), (2, 2)))
    ('1', '0:1 × 2')
    """
    ends = [str(before) if before == after else f"{before}:{after}" for before, after in padding]
    return ends[0] if len(set(ends)) == 1 else " × ".join(ends)
