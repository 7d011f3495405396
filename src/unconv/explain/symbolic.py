"""The matrix of a geometry in symbols, as in §4.1 of Dumoulin & Visin (2016)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

from unconv.errors import GeometryError
from unconv.explain.captions import size_text
from unconv.operators.geometry import Geometry

MAX_ENTRIES = 4096
"""Entries of a matrix that is written out in symbols."""

Taps = tuple[tuple[tuple[int, ...] | None, ...], ...]
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def matrix_taps(geometry: Geometry, most: int = MAX_ENTRIES) -> Taps:
    """The matrix that maps the flattened input to the flattened output: per entry the kernel's tap, None for a zero.

    That is C for a convolution (or pooling), and Cᵀ for a transposed one. Raises
    :class:`~unconv.errors.GeometryError` if it has more than ``most`` entries.

    >>> from unconv.operators.geometry import ConvGeometry
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


def entry_text(geometry: Geometry, tap: tuple[int, ...] | None) -> str:
    """One entry: a weight by its tap, the share of a mean, or 0.

    >>> from unconv.operators.geometry import ConvGeometry
    >>> entry_text(ConvGeometry(input_size=(4, 4), kernel_size=3), (0, 2))
    'w₀₂'
    """
    if tap is None:
        return "0"
    if geometry.operation == "avgpool":
        return f"1/{math.prod(geometry.kernel_size)}"
    joint = "" if max(geometry.kernel_size) <= 10 else ","
    letter = "s" if geometry.operation == "maxpool" else "w"
    return letter + joint.join(map(str, tap)).translate(_SUBSCRIPTS)


def latex_entries(geometry: Geometry) -> list[list[str]]:
    """The matrix with LaTeX entries, row by row, for other programs.

    >>> from unconv.operators.geometry import ConvGeometry
    >>> latex_entries(ConvGeometry(input_size=3, kernel_size=2))
    [['w_{0}', 'w_{1}', '0'], ['0', 'w_{0}', 'w_{1}']]
    """
    letter = "s" if geometry.operation == "maxpool" else "w"
    share = f"1/{math.prod(geometry.kernel_size)}" if geometry.operation == "avgpool" else None
    return [
        ["0" if tap is None else share or f"{letter}_{{{','.join(map(str, tap))}}}" for tap in row]
        for row in matrix_taps(geometry)
    ]


def table(entries: Sequence[Sequence[str]]) -> str:
    """A matrix between brackets, its columns aligned.

    >>> print(table([["w₀", "0"], ["0", "w₀"]]))
    ⎡ w₀ 0  ⎤
    ⎣ 0  w₀ ⎦
    """
    widths = [max(map(len, column)) for column in zip(*entries, strict=True)]
    lines = [" ".join(entry.ljust(width) for entry, width in zip(row, widths, strict=True)) for row in entries]
    if len(lines) == 1:
        return f"[ {lines[0]} ]"
    ends = [("⎡", "⎤"), *[("⎢", "⎥")] * (len(lines) - 2), ("⎣", "⎦")]
    return "\n".join(f"{left} {line} {right}" for line, (left, right) in zip(lines, ends, strict=True))


def symbolic_matrix(geometry: Geometry) -> str:
    """The matrix that maps input to output, as a text table: for a 4 × 4 input and a 3 × 3 kernel the guide's 4 × 16.

    >>> from unconv.operators.geometry import ConvGeometry
    >>> print(symbolic_matrix(ConvGeometry(input_size=4, kernel_size=3)))
    ⎡ w₀ w₁ w₂ 0  ⎤
    ⎣ 0  w₀ w₁ w₂ ⎦
    """
    return table([[entry_text(geometry, tap) for tap in row] for row in matrix_taps(geometry)])


def symbolic_transpose(geometry: Geometry) -> str:
    """The transpose of :func:`symbolic_matrix`.

    >>> from unconv.operators.geometry import ConvGeometry
    >>> print(symbolic_transpose(ConvGeometry(input_size=3, kernel_size=2)))
    ⎡ w₀ 0  ⎤
    ⎢ w₁ w₀ ⎥
    ⎣ 0  w₁ ⎦
    """
    rows = [[entry_text(geometry, tap) for tap in row] for row in matrix_taps(geometry)]
    return table([list(column) for column in zip(*rows, strict=True)])
