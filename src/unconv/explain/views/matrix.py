"""Matrix: the operation as one matrix times the flattened input; the row in play lights up with its cells."""

from __future__ import annotations

import math
from itertools import product

from unconv.explain.boards import Board, Position
from unconv.explain.captions import position_text, relation_lines, settings, size_text
from unconv.explain.numbers import Numbers, number_text
from unconv.explain.scene import Frame, Grid, LegendEntry, Mark, Scene, Stack, Text
from unconv.explain.symbolic import Taps, matrix_taps, matrix_texts
from unconv.explain.views import parts
from unconv.operators.geometry.base import Geometry

MAX_SIDE = 144
"""Rows or columns of a matrix that is drawn; beyond, its entries would be finer than the eye."""

_SYMBOLS_UP_TO = 25


def matrix(geometry: Geometry, numbers: Numbers | None) -> Scene:
    """One frame per output cell: its row of the matrix, and the inputs that the row's weights meet."""
    height, width = math.prod(geometry.output_size), math.prod(geometry.input_size)
    _check_side(geometry, height, width)
    taps = matrix_taps(geometry, most=MAX_SIDE**2)
    source = Board(0, (0,) * geometry.dimensions, geometry.input_size)
    target = Board(source.slices, (0,) * geometry.dimensions, geometry.output_size)
    place = source.slices + target.slices
    steps, note = parts.thinned(target.positions())
    roles = parts.Roles(geometry)
    text = (lambda cell: number_text(numbers.inputs[cell])) if numbers else None
    grids = (*source.grids(roles.input, text), *target.grids(roles.output), _grid(geometry, numbers, taps))
    frames = tuple(
        _frame(geometry, numbers, (source, target, place), taps, steps[: n + 1] if numbers else (step,))
        for n, step in enumerate(steps)
    )
    return Scene(
        title=geometry.kind.title,
        subtitle=settings(geometry),
        grids=grids,
        rows=_arrangement(geometry, source, target, place, height, width),
        frames=frames,
        captions=(*relation_lines(geometry), _counts(geometry, taps)),
        legend=(LegendEntry("window", "weights of the row in play"), *parts.legend(geometry, grids)[1:]),
        view="matrix",
        last_row_apart=True,
        note=note,
        seconds=parts.seconds_per_frame(len(frames), numbers),
    )


def _check_side(geometry: Geometry, height: int, width: int) -> None:
    if max(height, width) > MAX_SIDE:
        raise parts.DrawingLimitError(
            f"draw: the matrix of {geometry.operation} from {size_text(geometry.input_size)} to "
            f"{size_text(geometry.output_size)} is {height:,} × {width:,}, a picture holds {MAX_SIDE} rows and "
            "columns; draw a smaller input"
        )


def _grid(geometry: Geometry, numbers: Numbers | None, taps: Taps) -> Grid:
    texts: tuple[tuple[str, ...], ...] = ()
    if numbers and numbers.weights:
        texts = tuple(tuple("" if t is None else number_text(numbers.weights[t]) for t in row) for row in taps)
    elif max(len(taps), len(taps[0])) <= _SYMBOLS_UP_TO:
        symbols = matrix_texts(geometry, most=_SYMBOLS_UP_TO**2)
        texts = tuple(tuple("" if text == "0" else text for text in row) for row in symbols)
    return Grid(tuple(tuple("void" if t is None else "weight" for t in row) for row in taps), texts)


def _arrangement(
    geometry: Geometry, source: Board, target: Board, place: int, height: int, width: int
) -> tuple[tuple[Stack, ...], ...]:
    left = parts.stacks_of(source, "Input", f"{size_text(geometry.input_size)}, {width} cells")
    right = parts.stacks_of(target, "Output", f"{size_text(geometry.output_size)}, {height} cells", "→")
    name = f"Matrix {geometry.kind.matrix}"
    square = Stack((place,), name, f"{height} × {width}", "·" if height > width else "")
    if height > width and geometry.dimensions == 2:
        return ((*left, Stack((place,), name, f"{height} × {width}"), *right),)
    return ((*left, *right), (square,)) if geometry.dimensions < 3 else (left, right, (square,))


def _counts(geometry: Geometry, taps: Taps) -> str:
    filled = sum(tap is not None for row in taps for tap in row)
    total = len(taps) * len(taps[0])
    if geometry.kind.picks:
        return f"Each row picks one of its s: {geometry.kind.picks}. {filled:,} of {total:,} entries are candidates."
    kinds = len({tap for row in taps for tap in row if tap is not None})
    shared = f", {kinds} distinct weights" if geometry.kind.weighted else ""
    name = geometry.kind.matrix
    return f"{name} has {filled:,} non-zeros of {total:,}{shared}; a fully connected layer has {total:,} weights."


def _frame(
    geometry: Geometry,
    numbers: Numbers | None,
    boards: tuple[Board, Board, int],
    taps: Taps,
    done: tuple[Position, ...],
) -> Frame:
    source, target, place = boards
    step = done[-1]
    row = _flat(step, geometry.output_size)
    cells = list(product(*geometry.inputs_of(step)))
    lit = [Mark(place, row, column, "row" if tap is None else "window") for column, tap in enumerate(taps[row])]
    texts: tuple[Text, ...] = ()
    line = f"Row {row} of {geometry.kind.matrix} makes output {position_text(step)}"
    if numbers:
        texts = tuple(Text(*target.place(o), number_text(numbers.result(geometry, o))) for o in done)
        line += f":  {numbers.sum_text(geometry, step)}"
    return Frame(
        position=step,
        marks=(*(source.mark(cell, "window") for cell in cells), *lit, target.mark(step, "target")),
        texts=texts,
        line=line,
    )


def _flat(position: Position, size: Position) -> int:
    index = 0
    for entry, length in zip(position, size, strict=True):
        index = index * length + entry
    return index
