"""Counter-based random numbers (Philox): those of one number are the same whatever is asked for beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float64]


def uniform(key: tuple[int, int], numbers: Sequence[int], words: int) -> Numbers:
    """Numbers in [0, 1), so many for each number asked for, whatever else is asked for with it.

    A word is 53 bits of Philox4x64-10 (J. K. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011), of
    the counters from 2⁶⁴·number on.

    >>> both = uniform((0, 0), [7, 3], words=5)
    >>> both.shape, np.array_equal(both[1:], uniform((0, 0), [3], words=5))
    ((2, 5), True)
    """
    bits = np.random.Philox(key=np.array(key, np.uint64))
    start = bits.state
    raw = np.empty((len(numbers), words), np.uint64)
    for row, number in zip(raw, numbers, strict=True):
        start["state"]["counter"] = np.array([0, number, 0, 0], np.uint64)
        bits.state = start
        row[...] = bits.random_raw(words)
    return np.ldexp((raw >> np.uint64(11)).astype(np.float64), -53)


def between(bounds: tuple[float, float], parts: Numbers) -> Numbers:
    """From parts in [0, 1) to numbers between two bounds.

    >>> between((2.0, 4.0), np.array([0.0, 0.5])).tolist()
    [2.0, 3.0]
    """
    return bounds[0] + (bounds[1] - bounds[0]) * parts
