"""Scenes: what an animation shows, as plain data that knows nothing of pixels, colours or file formats.

A :class:`Scene` is a set of grids of cells, arranged in rows of stacks, and a list of frames; a :class:`Frame` says
which cells are lit and what stands in them at one moment. Views make scenes from geometries; renderers draw them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal[
    "input", "unread", "padding", "overhang", "zero", "output", "extra", "unfed", "cut", "kernel", "weight", "void"
]
"""What a cell is while nothing happens.

``unread``: an input that no window reaches; ``overhang``: past the padding (``ceil_mode``); ``zero``: put between the
inputs; ``extra``: output padding; ``unfed``: an output that no input feeds; ``cut``: removed by padding (transposed);
``weight`` and ``void``: non-zero and zero entries of the matrix.
"""

Tone = Literal["window", "blank", "lost", "source", "target", "row"]
"""Why a cell is lit: under the kernel, under the kernel but no value (``blank``) or cut away (``lost``), the input that
pours (``source``), the output that collects (``target``), the matrix row in play (``row``)."""

Block = tuple[int, int, int, int]
"""(first row, first column, last row, last column) of a block of cells."""


@dataclass(frozen=True)
class Grid:
    """A plane of cells: one role and one text per cell; ``hue`` tells the maps of several output channels apart."""

    roles: tuple[tuple[Role, ...], ...]
    texts: tuple[tuple[str, ...], ...] = ()
    hue: int = 0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.roles)

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.roles[0])

    def text(self, row: int, column: int) -> str:
        """What stands in a cell, empty where nothing does."""
        return self.texts[row][column] if self.texts else ""


@dataclass(frozen=True)
class Stack:
    """Grids drawn as one pile, front first, under one label; ``sign`` stands before it, ``foot`` below it."""

    grids: tuple[int, ...]
    label: str
    detail: str = ""
    sign: str = ""
    foot: str = ""


@dataclass(frozen=True)
class Mark:
    """A lit cell."""

    grid: int
    row: int
    column: int
    tone: Tone


@dataclass(frozen=True)
class Text:
    """A number in a cell; ``corner`` puts it small into the corner, as the weight that meets the cell."""

    grid: int
    row: int
    column: int
    text: str
    corner: bool = False


@dataclass(frozen=True)
class Beam:
    """The connection between a block of cells of one grid and a block of another."""

    source: int
    source_box: Block
    target: int
    target_box: Block


@dataclass(frozen=True)
class Frame:
    """One moment: the cell in play (an output that collects, or an input that pours) and all that is lit with it."""

    position: tuple[int, ...]
    marks: tuple[Mark, ...]
    texts: tuple[Text, ...] = ()
    beams: tuple[Beam, ...] = ()
    line: str = ""
    channel: int = 0

    def lit(self, grid: int, *tones: Tone) -> frozenset[tuple[int, int]]:
        """(row, column) of a grid's cells that are lit in one of the tones; in any, if none is named."""
        return frozenset(
            (mark.row, mark.column) for mark in self.marks if mark.grid == grid and (not tones or mark.tone in tones)
        )


@dataclass(frozen=True)
class LegendEntry:
    """A coloured cell and what it stands for."""

    style: str
    text: str


@dataclass(frozen=True)
class Scene:
    """An animation as data; ``note`` says what was left out, and is empty where nothing was.

    ``last_row_apart``: the cells of the last row may be smaller than the others' (a matrix below its maps).
    """

    title: str
    subtitle: str
    grids: tuple[Grid, ...]
    rows: tuple[tuple[Stack, ...], ...]
    frames: tuple[Frame, ...]
    captions: tuple[str, ...]
    legend: tuple[LegendEntry, ...]
    view: str
    note: str = ""
    seconds: float = 0.5
    last_row_apart: bool = False

    @property
    def cells(self) -> int:
        """Number of cells in all grids."""
        return sum(grid.rows * grid.columns for grid in self.grids)


def block_of(cells: list[tuple[int, int]]) -> Block:
    """The smallest block that holds all cells.

    >>> block_of([(1, 2), (3, 0)])
    (1, 0, 3, 2)
    """
    rows, columns = zip(*cells, strict=True)
    return min(rows), min(columns), max(rows), max(columns)
