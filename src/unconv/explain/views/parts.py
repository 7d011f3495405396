"""Parts of views: boards of a geometry's input and output, roles of their cells, legends, thinning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from unconv.errors import GeometryError
from unconv.explain.boards import Board, Position
from unconv.explain.captions import padding_text, short_text, size_text
from unconv.explain.numbers import Numbers, number_text
from unconv.explain.scene import Grid, LegendEntry, Role, Stack
from unconv.operators.geometry.base import Geometry

MAX_FRAMES = 120
"""Steps that an animation shows at most; of more, an even selection is drawn, and the picture says so."""

MAX_CELLS = 6000
"""Cells that a picture may hold; larger geometries are refused."""

SECONDS, SECONDS_WITH_NUMBERS, LONGEST = 0.5, 1.0, 30.0


MAX_SIDE = 160
"""Rows of a map, and columns that stand side by side: more would not be told apart."""

_GAP = 4
"""Cells that would fit between two slices."""

MAX_NUMBERED_CELLS = 600
"""Cells that a picture with numbers may hold, so that the numbers can be read."""


class DrawingLimitError(GeometryError):
    """A geometry that is sound, but more than a picture can show."""


def thinned(positions: Iterable[Position]) -> tuple[tuple[Position, ...], str]:
    """At most :data:`MAX_FRAMES` positions, evenly chosen with the first and the last, and what to say about it.

    >>> thinned([(0,), (1,)])
    (((0,), (1,)), '')
    """
    steps = tuple(positions)
    if len(steps) <= MAX_FRAMES:
        return steps, ""
    spread = (len(steps) - 1) / (MAX_FRAMES - 1)
    chosen = tuple(steps[round(n * spread)] for n in range(MAX_FRAMES))
    return chosen, f"{MAX_FRAMES} of {len(steps):,} steps are shown."


def seconds_per_frame(frames: int, numbers: Numbers | None) -> float:
    """How long a frame stands: long animations hurry, so that none lasts longer than half a minute."""
    return max(0.1, round(min(SECONDS_WITH_NUMBERS if numbers else SECONDS, LONGEST / frames), 2))


def check_cells(geometry: Geometry, numbers: Numbers | None, *boards: Board) -> None:
    """Refuse what is too large to draw, before any of it is built."""
    cells = sum(board.cells for board in boards)
    most, kind = (MAX_NUMBERED_CELLS, "a picture with numbers") if numbers else (MAX_CELLS, "a picture")
    if cells > most:
        raise DrawingLimitError(
            f"draw: {geometry.operation} from {size_text(geometry.input_size)} to {size_text(geometry.output_size)} "
            f"needs {cells:,} cells, {kind} holds {most:,}; draw a smaller input, the pattern repeats"
        )
    widths = [board.slices * (board.columns + _GAP) - _GAP for board in boards]
    side = max(sum(widths) if side_by_side(geometry) else max(widths), max(board.rows for board in boards))
    if side > MAX_SIDE:
        raise DrawingLimitError(
            f"draw: {geometry.operation} from {size_text(geometry.input_size)} to {size_text(geometry.output_size)} "
            f"needs {side:,} cells in a line, a picture holds {MAX_SIDE}; draw a smaller input, the pattern repeats"
        )


def side_by_side(geometry: Geometry) -> bool:
    """Whether maps stand next to each other: planes do, but rows, volumes and wide planes need the width."""
    rows, columns = (1, *geometry.input_size)[-2:]
    return geometry.dimensions == 2 and columns < 3 * rows


def window_span(geometry: Geometry) -> tuple[Position, Position]:
    """[low, high) of the padded input of a convolution or pooling, with what windows hang over (``ceil_mode``)."""
    low, high = [], []
    for n, size in enumerate(geometry.input_size):
        before, after = geometry.padding[n]
        last = geometry.stride[n] * (geometry.output_size[n] - 1) - before + geometry.effective_kernel_size[n]
        low.append(-before)
        high.append(max(size + after, last))
    return tuple(low), tuple(high)


def window_cells(geometry: Geometry, output: Position) -> list[tuple[Position, Position]]:
    """(tap, cell) of a whole window, the taps on padding too."""
    axes = [
        [(tap, walk.position(index, tap)) for tap in range(walk.kernel_size)]
        for walk, index in zip(geometry.walks, output, strict=True)
    ]
    return [(tuple(t for t, _ in pairs), tuple(i for _, i in pairs)) for pairs in product(*axes)]


def inside(position: Position, size: Sequence[int]) -> bool:
    """Whether a cell belongs to the map itself."""
    return all(0 <= index < length for index, length in zip(position, size, strict=True))


class Roles:
    """Roles of a geometry's input and output cells, looked up axis by axis."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        walks = geometry.walks
        sizes = zip(walks, geometry.input_size, geometry.output_size, strict=True)
        self._reading, self._fed = [], []
        for walk, size, output in sizes:
            reads = walk.touched if geometry.transposed else walk.touching
            feeds = walk.touching if geometry.transposed else walk.touched
            self._reading.append([bool(reads(i)) for i in range(size)])
            self._fed.append([bool(feeds(o)) for o in range(output)])
        self._extra = getattr(geometry, "output_padding", (0,) * geometry.dimensions)

    def input(self, position: Position) -> Role:
        """Role of an input cell, or of the padding around it."""
        geometry = self._geometry
        if inside(position, geometry.input_size):
            read = all(axis[index] for axis, index in zip(self._reading, position, strict=True))
            return "input" if read else "unread"
        rows = zip(position, geometry.input_size, geometry.padding, strict=True)
        padded = all(-pads[0] <= index < size + pads[1] for index, size, pads in rows)
        return "padding" if padded else "overhang"

    def output(self, position: Position) -> Role:
        """Role of an output cell, or of what padding cuts away around it."""
        size = self._geometry.output_size
        if not inside(position, size):
            return "cut"
        added = any(index >= end - more for index, end, more in zip(position, size, self._extra, strict=True))
        if added:
            return "extra"
        fed = all(axis[index] for axis, index in zip(self._fed, position, strict=True))
        return "output" if fed or not self._geometry.transposed else "unfed"


LEGEND: tuple[tuple[Role, str], ...] = (
    ("unread", "input that no window reaches"),
    ("padding", "padding"),
    ("overhang", "past the padding (ceil mode)"),
    ("zero", "zeros between the inputs"),
    ("extra", "output padding"),
    ("unfed", "output that no input feeds"),
    ("cut", "cut away by padding"),
)


def legend(geometry: Geometry, grids: Iterable[Grid], skip: tuple[str, ...] = ()) -> tuple[LegendEntry, ...]:
    """Entries for the special cells that occur; input, output and kernel carry labels of their own."""
    present = {role for grid in grids for row in grid.roles for role in row} - set(skip)
    entries = [LegendEntry("window", f"{geometry.kind.window} {size_text(geometry.kernel_size)}")]
    amounts = {
        "padding": padding_text(geometry.padding),
        "extra": short_text(getattr(geometry, "output_padding", (0,))),
        "cut": padding_text(geometry.padding),
    }
    for role, text in LEGEND:
        if role in present:
            entries.append(LegendEntry(role, f"{text} {amounts[role]}" if role in amounts else text))
    return tuple(entries)


def input_label(geometry: Geometry, padded: bool) -> str:
    """Size of the input, and of its padding where that is drawn."""
    size = size_text(geometry.input_size)
    return f"{size}, padding {padding_text(geometry.padding)}" if padded and any(map(any, geometry.padding)) else size


def kernel_board(geometry: Geometry, first: int) -> Board:
    """The kernel's cells, undilated."""
    return Board(first, (0,) * geometry.dimensions, geometry.kernel_size)


def kernel_grids(board: Board, numbers: Numbers | None, hue: int = 0) -> tuple[Grid, ...]:
    """The kernel, with its weights where there are numbers."""
    text = (lambda tap: number_text(numbers.weights[tap])) if numbers else None
    return board.grids(lambda _: "kernel", text, hue)


def arranged(geometry: Geometry, stacks: Sequence[Sequence[Stack]]) -> tuple[tuple[Stack, ...], ...]:
    """Maps side by side, or one below the other."""
    if side_by_side(geometry):
        return (tuple(stack for group in stacks for stack in group),)
    return tuple(tuple(group) for group in stacks)


def stacks_of(board: Board, label: str, detail: str, sign: str = "") -> tuple[Stack, ...]:
    """One stack; of a volume, one per slice: the first carries the label, each its depth."""
    if board.slices == 1:
        return (Stack(board.indices, label, detail, sign),)
    return tuple(
        Stack(
            (grid,),
            label if n == 0 else "",
            detail if n == 0 else "",
            foot=f"depth {board.low[0] + n}".replace("-", "−"),
        )
        for n, grid in enumerate(board.indices)
    )
