"""The matrix of a geometry in symbols, as in §4.1 of Dumoulin & Visin (2016)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

from unconv.errors import GeometryError
from unconv.explain.captions import size_text
from unconv.explain.numbers import mean_size
from unconv.operators.geometry.base import Geometry
from unconv.tables import aligned

MAX_ENTRIES = 4096
"""Entries of a matrix that is written out in symbols."""

Taps = tuple[tuple[tuple[int, ...] | None, ...], ...]
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def matrix_taps(geometry: Geometry, most: int = MAX_ENTRIES) -> Taps:
    """The matrix that maps the flattened input to the flattened output: per entry the kernel's tap, None for a zero.

    That is C for a convolution (or pooling), and Cᵀ for a transposed one. Raises
    :class:`~unconv.errors.GeometryError` if it has more than ``most`` entries.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> matrix_taps(ConvGeometry(input_size=3, kernel_size=2))
    (((0,), (1,), None), (None, (0,), (1,)))
    """
    rows, columns = math.prod(geometry.output_size), math.prod(geometry.input_size)
    if rows * columns > most:
        raise GeometryError(
            f"matrix: {rows:,} × {columns:,} entries for {size_text(geometry.input_size)} → "
            f"{size_text(geometry.output_size)} are more than the {most:,} that are written out; use a smaller input"
        )
    lines = []
    for output in product(*map(range, geometry.output_size)):
        line: list[tuple[int, ...] | None] = [None] * columns
        for pairs in product(*geometry.taps_of(output)):
            column = 0
            for (_, cell), size in zip(pairs, geometry.input_size, strict=True):
                column = column * size + cell
            line[column] = tuple(tap for tap, _ in pairs)
        lines.append(tuple(line))
    return tuple(lines)


def matrix_texts(geometry: Geometry, most: int = MAX_ENTRIES) -> list[list[str]]:
    """The matrix in symbols: weights by their taps, the shares of a mean, and zeros.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> matrix_texts(ConvGeometry(input_size=3, kernel_size=2))
    [['w₀', 'w₁', '0'], ['0', 'w₀', 'w₁']]
    """
    joint = "" if max(geometry.kernel_size) <= 10 else ","
    return _entries(geometry, lambda tap: joint.join(map(str, tap)).translate(_SUBSCRIPTS), most)


def latex_entries(geometry: Geometry) -> list[list[str]]:
    """The matrix with LaTeX entries, row by row, for other programs.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> latex_entries(ConvGeometry(input_size=3, kernel_size=2))
    [['w_{0}', 'w_{1}', '0'], ['0', 'w_{0}', 'w_{1}']]
    """
    return _entries(geometry, lambda tap: f"_{{{','.join(map(str, tap))}}}", MAX_ENTRIES)


def _entries(geometry: Geometry, index: Callable[[tuple[int, ...]], str], most: int) -> list[list[str]]:
    # The bound comes first: product() stores its ranges, and a size beyond the machine's word has no length.
    taps = matrix_taps(geometry, most)
    lines = []
    for output, row in zip(product(*map(range, geometry.output_size)), taps, strict=True):
        count = mean_size(geometry, output)
        write = geometry.kind.entry.format
        lines.append(["0" if tap is None else write(tap=index(tap), count=count) for tap in row])
    return lines


def table(entries: Sequence[Sequence[str]]) -> str:
    """A matrix between brackets, its columns aligned.

    >>> print(table([["w₀", "0"], ["0", "w₀"]]))
    ⎡ w₀ 0  ⎤
    ⎣ 0  w₀ ⎦
    """
    lines = aligned(entries, left=len(entries[0]), gap=" ")
    if len(lines) == 1:
        return f"[ {lines[0]} ]"
    ends = [("⎡", "⎤"), *[("⎢", "⎥")] * (len(lines) - 2), ("⎣", "⎦")]
    return "\n".join(f"{left} {line} {right}" for line, (left, right) in zip(lines, ends, strict=True))


def symbolic_matrix(geometry: Geometry) -> str:
    """The matrix that maps input to output, as a text table: for a 4 × 4 input and a 3 × 3 kernel the guide's 4 × 16.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> print(symbolic_matrix(ConvGeometry(input_size=4, kernel_size=3)))
    ⎡ w₀ w₁ w₂ 0  ⎤
    ⎣ 0  w₀ w₁ w₂ ⎦
    """
    return table(matrix_texts(geometry))


def symbolic_transpose(geometry: Geometry) -> str:
    """The transpose of :func:`symbolic_matrix`.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> print(symbolic_transpose(ConvGeometry(input_size=3, kernel_size=2)))
    ⎡ w₀ 0  ⎤
    ⎢ w₁ w₀ ⎥
    ⎣ 0  w₁ ⎦
    """
    return table([list(column) for column in zip(*matrix_texts(geometry), strict=True)])
