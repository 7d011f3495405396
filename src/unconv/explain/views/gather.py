"""Gather: an output cell collects from the inputs under its window."""

from __future__ import annotations

from unconv.explain.boards import Board, Position, beams
from unconv.explain.captions import counted, position_text, relation_lines, settings, size_text
from unconv.explain.numbers import Numbers, number_text
from unconv.explain.scene import Frame, Grid, Scene, Stack, Text
from unconv.explain.views import parts
from unconv.operators.geometry.base import Geometry


def gather(geometry: Geometry, numbers: Numbers | None) -> Scene:
    """One frame per output cell: its window lit on the padded input; with numbers, its sum."""
    low, high = parts.window_span(geometry) if not geometry.transposed else _whole(geometry.input_size)
    source = Board(0, low, high)
    target = Board(source.slices, *_whole(geometry.output_size))
    kernel = parts.kernel_board(geometry, source.slices + target.slices) if numbers and numbers.weights else None
    parts.check_cells(geometry, numbers, source, target)
    steps, note = parts.thinned(target.positions())
    grids = _grids(geometry, numbers, source, target, kernel)
    frames = tuple(
        _frame(geometry, numbers, source, target, steps[: n + 1] if numbers else (step,))
        for n, step in enumerate(steps)
    )
    return Scene(
        title=geometry.kind.title,
        subtitle=settings(geometry),
        grids=grids,
        rows=_arrangement(geometry, source, target, kernel),
        frames=frames,
        captions=relation_lines(geometry),
        legend=parts.legend(geometry, grids),
        view="gather",
        note=note,
        seconds=parts.seconds_per_frame(len(frames), numbers),
    )


def _whole(size: Position) -> tuple[Position, Position]:
    return (0,) * len(size), size


def _grids(
    geometry: Geometry, numbers: Numbers | None, source: Board, target: Board, kernel: Board | None
) -> tuple[Grid, ...]:
    roles = parts.Roles(geometry)
    text = None
    if numbers:

        def text(cell: Position) -> str:
            if cell in numbers.inputs:
                return number_text(numbers.inputs[cell])
            return "" if geometry.kind.of_padding else "0"

    grids = source.grids(roles.input, text) + target.grids(roles.output)
    return grids + parts.kernel_grids(kernel, numbers) if kernel else grids


def _arrangement(
    geometry: Geometry, source: Board, target: Board, kernel: Board | None
) -> tuple[tuple[Stack, ...], ...]:
    groups = [parts.stacks_of(source, "Input", parts.input_label(geometry, padded=not geometry.transposed))]
    if kernel:
        sign = "∗ᵀ" if geometry.transposed else "∗"
        groups.append(parts.stacks_of(kernel, "Kernel", size_text(geometry.kernel_size), sign))
    groups.append(parts.stacks_of(target, "Output", size_text(geometry.output_size), "=" if kernel else "→"))
    return parts.arranged(geometry, groups)


def _frame(
    geometry: Geometry, numbers: Numbers | None, source: Board, target: Board, done: tuple[Position, ...]
) -> Frame:
    step = done[-1]
    window = window_of(geometry, step)
    marks = [source.mark(cell, "window" if parts.inside(cell, geometry.input_size) else "blank") for _, cell in window]
    cells = [cell for _, cell in window]
    texts: list[Text] = []
    line = f"Output {position_text(step)} collects from {_collected(geometry, cells)}"
    if numbers:
        texts = [Text(*target.place(o), number_text(numbers.result(geometry, o))) for o in done]
        if numbers.weights:
            weights = [(cell, number_text(numbers.weights[tap])) for tap, cell in window]
            texts += [Text(*source.place(cell), f"×{weight}", corner=True) for cell, weight in weights]
        line = f"Output {position_text(step)}:  {numbers.sum_text(geometry, step)}"
    return Frame(
        position=step,
        marks=(*marks, target.mark(step, "target")),
        texts=tuple(texts),
        beams=() if numbers and numbers.weights else beams(source, cells, target, [step]),
        line=line,
    )


def window_of(geometry: Geometry, output: Position) -> list[tuple[Position, Position]]:
    """(tap, input cell) of all that an output cell's window covers, padding included."""
    if not geometry.transposed:
        return parts.window_cells(geometry, output)
    axes = geometry.taps_of(output)
    found: list[tuple[Position, Position]] = [((), ())]
    for axis in axes:
        found = [((*taps, tap), (*cells, cell)) for taps, cells in found for tap, cell in sorted(axis, key=_by_cell)]
    return found


def _by_cell(pair: tuple[int, int]) -> int:
    return pair[1]


def _collected(geometry: Geometry, cells: list[Position]) -> str:
    real = sum(parts.inside(cell, geometry.input_size) for cell in cells)
    if not cells:
        return "nothing: it holds the bias alone"
    blank = len(cells) - real
    return counted(real, "input") + (f" and {blank} of the padding" if blank else "")
