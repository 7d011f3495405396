"""Boards: where the cells of a 1-, 2- or 3-dimensional map stand in the grids of a scene.

One axis is a single row, two are a plane, three a row of slices. A board may begin below 0 and end past the size:
those cells are padding, or what padding cuts away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from unconv.explain.scene import Beam, Grid, Mark, Role, Tone, block_of

Position = tuple[int, ...]


@dataclass(frozen=True)
class Board:
    """Cells [low, high) per axis, in grids counted from ``first``.

    >>> Board(first=2, low=(-1, -1), high=(6, 6)).place((0, 4))
    (2, 1, 5)
    """

    first: int
    low: Position
    high: Position

    @property
    def slices(self) -> int:
        """Number of grids: 1, or the slices of a volume."""
        return self.high[0] - self.low[0] if len(self.low) == 3 else 1

    @property
    def rows(self) -> int:
        """Rows of each grid."""
        return self.high[-2] - self.low[-2] if len(self.low) > 1 else 1

    @property
    def columns(self) -> int:
        """Columns of each grid."""
        return self.high[-1] - self.low[-1]

    @property
    def cells(self) -> int:
        """Cells in all grids."""
        return self.slices * self.rows * self.columns

    @property
    def indices(self) -> tuple[int, ...]:
        """The grids of this board."""
        return tuple(range(self.first, self.first + self.slices))

    def place(self, position: Position) -> tuple[int, int, int]:
        """(grid, row, column) of a cell."""
        shifted = [index - low for index, low in zip(position, self.low, strict=True)]
        depth, row, column = [0] * (3 - len(shifted)) + shifted
        return self.first + depth, row, column

    def positions(self) -> Iterator[Position]:
        """All cells, in raster order."""
        return product(*(range(low, high) for low, high in zip(self.low, self.high, strict=True)))

    def grids(
        self, role: Callable[[Position], Role], text: Callable[[Position], str] | None = None, hue: int = 0
    ) -> tuple[Grid, ...]:
        """The grids, with a role and perhaps a text for each cell."""
        flat = list(self.positions())
        lines = [flat[start : start + self.columns] for start in range(0, len(flat), self.columns)]
        planes = [lines[start : start + self.rows] for start in range(0, len(lines), self.rows)]
        return tuple(
            Grid(
                roles=tuple(tuple(map(role, line)) for line in plane),
                texts=tuple(tuple(map(text, line)) for line in plane) if text else (),
                hue=hue,
            )
            for plane in planes
        )

    def mark(self, position: Position, tone: Tone) -> Mark:
        """A lit cell."""
        return Mark(*self.place(position), tone)


def beams(source: Board, cells: Iterable[Position], target: Board, reached: Iterable[Position]) -> tuple[Beam, ...]:
    """What connects a block of cells to a block of another board, for every pair of slices that takes part."""
    starts, ends = _boxes(source, cells), _boxes(target, reached)
    return tuple(
        Beam(grid, block_of(block), other, block_of(met))
        for grid, block in starts.items()
        for other, met in ends.items()
    )


def _boxes(board: Board, cells: Iterable[Position]) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    for position in cells:
        grid, row, column = board.place(position)
        found.setdefault(grid, []).append((row, column))
    return found
