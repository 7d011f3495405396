"""Scatter: an input cell pours its kernel into the output, where what overlaps adds up."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

from unconv.explain.boards import Board, Position, beams
from unconv.explain.captions import counted, position_text, relation_lines, settings, size_text
from unconv.explain.numbers import Numbers, number_text
from unconv.explain.scene import Frame, Grid, Scene, Stack, Text
from unconv.explain.views import parts
from unconv.operators.geometry.base import Geometry


def scatter(geometry: Geometry, numbers: Numbers | None) -> Scene:
    """One frame per input cell: where it pours, cut-away cells included; with numbers, the sums so far."""
    source = Board(0, (0,) * geometry.dimensions, geometry.input_size)
    low, high = reach(geometry)
    target = Board(source.slices, low, high)
    kernel = parts.kernel_board(geometry, source.slices + target.slices) if numbers else None
    parts.check_cells(geometry, numbers, source, target)
    steps, note = parts.thinned(source.positions())
    if note and numbers:
        note += " Sums add up every step, the hidden ones too."
    roles = parts.Roles(geometry)
    text = (lambda cell: number_text(numbers.inputs[cell])) if numbers else None
    grids: tuple[Grid, ...] = source.grids(roles.input, text) + target.grids(roles.output)
    if kernel:
        grids += parts.kernel_grids(kernel, numbers)
    return Scene(
        title=geometry.kind.title,
        subtitle=settings(geometry),
        grids=grids,
        rows=_arrangement(geometry, source, target, kernel),
        frames=_frames(geometry, numbers, source, target, steps),
        captions=relation_lines(geometry),
        legend=parts.legend(geometry, grids),
        view="scatter",
        note=note,
        seconds=parts.seconds_per_frame(len(steps), numbers),
    )


def poured(geometry: Geometry, cell: Position) -> list[tuple[Position, Position]]:
    """(tap, output cell) of all that one input cell feeds; of a transposed convolution, what is cut away too.

    >>> from unconv.operators.geometry.conv import ConvTransposeGeometry
    >>> poured(ConvTransposeGeometry(input_size=2, kernel_size=3, stride=2, padding=1), (0,))
    [((0,), (-1,)), ((1,), (0,)), ((2,), (1,))]
    """
    if geometry.transposed:
        return parts.window_cells(geometry, cell)
    axes = (walk.touching(index) for walk, index in zip(geometry.walks, cell, strict=True))
    return [(tuple(t for t, _ in pairs), tuple(o for _, o in pairs)) for pairs in product(*axes)]


def reach(geometry: Geometry) -> tuple[Position, Position]:
    """[low, high) of the output with the rows that padding cuts away.

    >>> from unconv.operators.geometry.conv import ConvTransposeGeometry
    >>> reach(ConvTransposeGeometry(input_size=2, kernel_size=3, stride=2, padding=1))
    ((-1,), (4,))
    """
    size = geometry.output_size
    if not geometry.transposed:
        return (0,) * len(size), size
    low = tuple(-before for before, _ in geometry.padding)
    rows = zip(geometry.input_size, geometry.stride, geometry.effective_kernel_size, geometry.padding, strict=True)
    ends = [step * (count - 1) + span - pads[0] for count, step, span, pads in rows]
    return low, tuple(max(end, inner) for end, inner in zip(ends, size, strict=True))


def _arrangement(
    geometry: Geometry, source: Board, target: Board, kernel: Board | None
) -> tuple[tuple[Stack, ...], ...]:
    groups = [parts.stacks_of(source, "Input", size_text(geometry.input_size))]
    if kernel:
        groups.append(parts.stacks_of(kernel, "Kernel", size_text(geometry.kernel_size), "×"))
    groups.append(parts.stacks_of(target, "Output", size_text(geometry.output_size), "→"))
    return parts.arranged(geometry, groups)


def _frames(
    geometry: Geometry, numbers: Numbers | None, source: Board, target: Board, steps: tuple[Position, ...]
) -> tuple[Frame, ...]:
    sums: dict[Position, Fraction] = {}
    shown = set(steps)
    frames = []
    for step in source.positions() if numbers else steps:
        reached = poured(geometry, step)
        if numbers:
            for tap, cell in reached:
                sums[cell] = sums.get(cell, Fraction(0)) + numbers.inputs[step] * numbers.weights[tap]
        if step in shown:
            frames.append(_frame(geometry, numbers, source, target, step, reached, sums))
    return tuple(frames)


def _frame(
    geometry: Geometry,
    numbers: Numbers | None,
    source: Board,
    target: Board,
    step: Position,
    reached: list[tuple[Position, Position]],
    sums: dict[Position, Fraction],
) -> Frame:
    cells = [cell for _, cell in reached]
    kept = [cell for cell in cells if parts.inside(cell, geometry.output_size)]
    marks = [target.mark(cell, "window" if parts.inside(cell, geometry.output_size) else "lost") for cell in cells]
    lost = len(cells) - len(kept)
    cut = f"; {lost} cut away" if lost else ""
    line = f"Input {position_text(step)} pours into {counted(len(kept), 'output')}{cut}"
    texts: tuple[Text, ...] = ()
    if numbers:
        texts = tuple(Text(*target.place(cell), number_text(value)) for cell, value in sums.items())
        texts += tuple(
            Text(
                *target.place(cell),
                f"+{number_text(numbers.inputs[step] * numbers.weights[tap])}".replace("+−", "−"),
                True,
            )
            for tap, cell in reached
        )
        line = f"Input {position_text(step)} adds {number_text(numbers.inputs[step])} × kernel{cut}"
    return Frame(
        position=step,
        marks=(source.mark(step, "source"), *marks),
        texts=texts,
        beams=() if numbers else beams(source, [step], target, cells),
        line=line,
    )
