"""1. The index: which cell lies under which tap of which window, and the matrix that it writes out."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Size: TypeAlias = tuple[int, int]


def output_size(size: Size, kernel_size: int, stride: int = 1, padding: int = 0) -> Size:
    """How many windows there are along each axis: ⌊(i + 2p − k)/s⌋ + 1.

    >>> output_size((5, 7), kernel_size=3, stride=2)
    (2, 3)
    """
    rows, columns = ((side + 2 * padding - kernel_size) // stride + 1 for side in size)
    return rows, columns


def windows(size: Size, kernel_size: int, stride: int = 1, padding: int = 0) -> Array:
    """The number of the cell under each tap of each window, (taps, windows); padding is the cell after the last one.

    >>> windows((3, 3), kernel_size=2)
    array([[0, 1, 3, 4],
           [1, 2, 4, 5],
           [3, 4, 6, 7],
           [4, 5, 7, 8]])
    """
    height, width = size
    counts, taps = output_size(size, kernel_size, stride, padding), np.arange(kernel_size)[:, None]
    rows, columns = (taps + stride * np.arange(count) - padding for count in counts)
    rows, columns = rows[:, None, :, None], columns[None, :, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return np.where(inside, rows * width + columns, height * width).reshape(kernel_size**2, -1)


def im2col(x: Array, index: Array, outside: float = 0.0) -> Array:
    """Read through the index: (batch, channels, height, width) → (batch, channels, taps, windows)."""
    batch, channels = x.shape[:2]
    cells = x.reshape(batch, channels, -1)
    padding = np.full((batch, channels, 1), outside, x.dtype)
    return np.concatenate([cells, padding], axis=2)[:, :, index]


def col2im(columns: Array, index: Array, size: Size) -> Array:
    """Write through the index, adding up where windows overlap: the transpose of im2col.

    >>> index = windows((3, 3), kernel_size=2)
    >>> col2im(im2col(np.ones((1, 1, 3, 3)), index), index, (3, 3))[0, 0]      # in how many windows each cell is
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    batch, channels = columns.shape[:2]
    cells = np.zeros((batch, channels, size[0] * size[1] + 1), columns.dtype)
    for tap, under in enumerate(index):
        # One tap lies on a cell once; but on the padding often, and that is dropped.
        cells[:, :, under] += columns[:, :, tap]
    return cells[:, :, :-1].reshape(batch, channels, *size)


def matrix(weight: Array, size: Size, stride: int = 1, padding: int = 0) -> Array:
    """C itself, written out: (out · windows, in · cells), for weights (out, in, kernel, kernel).

    >>> C = matrix(np.arange(1.0, 10).reshape(1, 1, 3, 3), size=(4, 4))
    >>> C.shape, int((C != 0).sum()), len(set(C[C != 0]))
    ((4, 16), 36, 9)
    """
    index = windows(size, weight.shape[-1], stride, padding)
    outputs, inputs = weight.shape[:2]
    C = np.zeros((outputs, index.shape[1], inputs, size[0] * size[1] + 1), weight.dtype)
    places = np.arange(index.shape[1])
    for tap, under in enumerate(index):
        C[:, places, :, under] = weight.reshape(outputs, inputs, -1)[:, :, tap]
    return C[..., :-1].reshape(outputs * index.shape[1], -1)
