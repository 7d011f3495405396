"""From a scene to a page: tiles, areas and labels at pixel positions, in layers. Renderers only paint them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from unconv.explain.fonts import text_width
from unconv.explain.scene import Beam, Grid, Mark, Scene, Stack, Text

MARGIN = 24
WIDEST = 860
"""Width that the grids of a picture may take; cells shrink to keep it."""
LARGEST_CELL, SMALLEST_CELL = 34, 5
TITLE, BODY, SMALL = 19, 14, 12
GAP_SIGN, GAP_PLAIN, GAP_ROWS, LABEL_HEIGHT = 52, 22, 26, 26
HUES = 4
"""Colours that tell output channels apart; they repeat after that."""

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Tile:
    """A square cell."""

    x: int
    y: int
    size: int
    style: str


@dataclass(frozen=True)
class Label:
    """A line of text; y is the baseline."""

    x: int
    y: int
    text: str
    size: int
    style: str = "ink"
    anchor: Anchor = "start"
    bold: bool = False


@dataclass(frozen=True)
class Area:
    """A filled polygon."""

    points: tuple[tuple[int, int], ...]
    style: str


@dataclass(frozen=True)
class PageFrame:
    """What one frame adds to the page."""

    areas: tuple[Area, ...]
    tiles: tuple[tuple[Tile, ...], ...]
    """Lit cells, in groups of one grid and one style."""
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Page:
    """A scene with everything in its place; painted in the order areas, tiles, labels over the still tiles."""

    width: int
    height: int
    tiles: tuple[tuple[Tile, ...], ...]
    """Still tiles, one tuple per grid, back to front."""
    labels: tuple[Label, ...]
    cell_labels: tuple[Label, ...]
    frames: tuple[PageFrame, ...]


@dataclass(frozen=True)
class _Spot:
    x: int
    y: int
    cell: int


def page_of(scene: Scene) -> Page:
    """Lay a scene out.

    >>> from unconv.operators.geometry import ConvGeometry
    >>> from unconv.explain.views.gather import gather
    >>> page = page_of(gather(ConvGeometry(input_size=(4, 4), kernel_size=3), numbers=None))
    >>> len(page.frames), len(page.tiles)
    (4, 2)
    """
    cells = [_cell_size(scene, row) for row in scene.rows]
    if len(cells) > 1 and scene.view != "matrix":
        cells = [min(cells)] * len(cells)
    words = [(scene.title, TITLE, True), (scene.subtitle, BODY, False)]
    words += [(line, BODY, False) for line in (*scene.captions, scene.note, *(frame.line for frame in scene.frames))]
    inner = max(text_width(text, size, bold) for text, size, bold in words)
    inner = max(inner, *(_row_width(scene, row, cell) for row, cell in zip(scene.rows, cells, strict=True)))
    y = MARGIN + TITLE
    labels = [Label(MARGIN, y, scene.title, TITLE, bold=True), Label(MARGIN, y + 22, scene.subtitle, BODY, "muted")]
    y += 22 + 18
    spots: dict[int, _Spot] = {}
    order: list[int] = []
    for row, cell in zip(scene.rows, cells, strict=True):
        start = MARGIN + max(0, inner - _row_width(scene, row, cell)) // 2
        tall = max(_stack_height(scene, stack, cell) for stack in row)
        for stack, (left, width) in zip(row, _slots(scene, row, cell), strict=True):
            high = _stack_height(scene, stack, cell)
            x = start + left + (width - _stack_width(scene, stack, cell)) // 2
            top = y + LABEL_HEIGHT + (tall - high) // 2
            labels += _stack_labels(stack, top, high, start + left, width, first=stack is row[0])
            for depth in reversed(range(len(stack.grids))):
                lift = (len(stack.grids) - 1 - depth) * _shift(cell)
                spots[stack.grids[depth]] = _Spot(x + depth * _shift(cell), top + lift, cell)
                order.append(stack.grids[depth])
        y += tall + LABEL_HEIGHT + GAP_ROWS
    line_at = y + 2
    y, bottom = _footer(scene, line_at + 26, inner)
    return Page(
        width=_even(inner + 2 * MARGIN),
        height=_even(y + MARGIN - 8),
        tiles=tuple(_still_tiles(scene.grids[n], spots[n]) for n in order),
        labels=(*labels, *bottom),
        cell_labels=tuple(label for n in order for label in _still_labels(scene.grids[n], spots[n])),
        frames=tuple(_frame(scene, n, spots, line_at) for n in range(len(scene.frames))),
    )


def _even(size: int) -> int:
    """Video needs even sizes."""
    return size + size % 2


def _shift(cell: int) -> int:
    """How far the next map of a pile looks out behind the one in front."""
    return max(5, round(cell * 0.5))


def _stack_width(scene: Scene, stack: Stack, cell: int) -> int:
    return max(scene.grids[n].columns for n in stack.grids) * cell + (len(stack.grids) - 1) * _shift(cell)


def _stack_height(scene: Scene, stack: Stack, cell: int) -> int:
    return max(scene.grids[n].rows for n in stack.grids) * cell + (len(stack.grids) - 1) * _shift(cell)


def _label_width(stack: Stack) -> int:
    return text_width(stack.label, BODY, bold=True) + 8 + text_width(stack.detail, SMALL) if stack.label else 0


def _slots(scene: Scene, row: tuple[Stack, ...], cell: int) -> list[tuple[int, int]]:
    """(left, width) of each stack's place in a row: as wide as its grid or its label, unless slices follow."""
    slots, left = [], 0
    for n, stack in enumerate(row):
        if n:
            left += GAP_SIGN if stack.sign else GAP_PLAIN
        sliced = n + 1 < len(row) and not row[n + 1].label
        width = _stack_width(scene, stack, cell)
        if not sliced and stack.label:
            width = max(width, _label_width(stack))
        slots.append((left, width))
        left += width
    return slots


def _row_width(scene: Scene, row: tuple[Stack, ...], cell: int) -> int:
    slots = _slots(scene, row, cell)
    return max(slots[-1][0] + slots[-1][1], _label_width(row[0]))


def _cell_size(scene: Scene, row: tuple[Stack, ...]) -> int:
    for cell in range(LARGEST_CELL, SMALLEST_CELL, -1):
        if _row_width(scene, row, cell) <= WIDEST and max(_stack_height(scene, s, cell) for s in row) <= WIDEST * 0.6:
            return cell
    return SMALLEST_CELL


def _stack_labels(stack: Stack, top: int, height: int, slot: int, width: int, first: bool) -> list[Label]:
    labels = []
    if stack.sign and not first:
        labels.append(Label(slot - GAP_SIGN // 2, top + height // 2 + 8, stack.sign, 22, "muted", "middle"))
    if stack.label:
        left = slot + max(0, (width - _label_width(stack)) // 2)
        labels.append(Label(left, top - 10, stack.label, BODY, bold=True))
        after = left + text_width(stack.label, BODY, bold=True) + 8
        labels.append(Label(after, top - 10, stack.detail, SMALL, "muted"))
    return labels


def _footer(scene: Scene, y: int, inner: int) -> tuple[int, list[Label]]:
    labels: list[Label] = []
    x = MARGIN
    for entry in scene.legend:
        width = 22 + text_width(entry.text, SMALL) + 22
        if x > MARGIN and x + width - 22 > MARGIN + inner:
            x, y = MARGIN, y + 22
        labels.append(Label(x, y, entry.style, SMALL, "swatch"))
        labels.append(Label(x + 22, y, entry.text, SMALL, "muted"))
        x += width
    y += 30
    for line in scene.captions:
        labels.append(Label(MARGIN, y, line, BODY))
        y += 22
    if scene.note:
        labels.append(Label(MARGIN, y, scene.note, BODY, "muted"))
        y += 22
    return y - 22 + 8, labels


def _still_tiles(grid: Grid, spot: _Spot) -> tuple[Tile, ...]:
    return tuple(
        Tile(spot.x + column * spot.cell, spot.y + row * spot.cell, spot.cell, _style(role, grid.hue))
        for row, roles in enumerate(grid.roles)
        for column, role in enumerate(roles)
    )


def _style(role: str, hue: int) -> str:
    return f"{role}{hue % HUES}" if role in ("output", "kernel", "target") else role


def _still_labels(grid: Grid, spot: _Spot) -> Iterable[Label]:
    for row in range(grid.rows):
        for column in range(grid.columns):
            text = grid.text(row, column)
            if text:
                style = "faint" if grid.roles[row][column] in ("padding", "zero", "overhang") else "ink"
                yield _cell_label(spot, row, column, text, style)


def _cell_label(spot: _Spot, row: int, column: int, text: str, style: str = "ink") -> Label:
    size = max(6, min(BODY, round(spot.cell * 0.42), round(spot.cell * 1.3 / max(1, len(text)))))
    x, y = spot.x + column * spot.cell + spot.cell // 2, spot.y + row * spot.cell + spot.cell // 2
    return Label(x, y + round(size * 0.36), text, size, style, "middle")


def _corner_label(spot: _Spot, row: int, column: int, text: str) -> Label:
    x, y = spot.x + (column + 1) * spot.cell - 4, spot.y + (row + 1) * spot.cell - 4
    return Label(x, y, text, 9, "weight-ink", "end")


def _frame(scene: Scene, number: int, spots: dict[int, _Spot], line_at: int) -> PageFrame:
    frame = scene.frames[number]
    tiles = tuple(
        tuple(_lit_tile(scene, mark, spots[mark.grid]) for mark in group)
        for _, group in groupby(frame.marks, key=lambda mark: (mark.grid, mark.tone))
    )
    labels = [_text_label(scene, text, spots) for text in frame.texts]
    if frame.line:
        labels.append(Label(MARGIN, line_at, frame.line, BODY, "accent"))
    return PageFrame(tuple(_area(beam, spots) for beam in frame.beams), tiles, tuple(labels))


def _lit_tile(scene: Scene, mark: Mark, spot: _Spot) -> Tile:
    style = _style(mark.tone, scene.grids[mark.grid].hue)
    return Tile(spot.x + mark.column * spot.cell, spot.y + mark.row * spot.cell, spot.cell, style)


def _text_label(scene: Scene, text: Text, spots: dict[int, _Spot]) -> Label:
    spot = spots[text.grid]
    if text.corner:
        return _corner_label(spot, text.row, text.column, text.text)
    gone = scene.grids[text.grid].roles[text.row][text.column] == "cut"
    return _cell_label(spot, text.row, text.column, text.text, "faint" if gone else "ink")


def _area(beam: Beam, spots: dict[int, _Spot]) -> Area:
    corners = []
    for grid, (top, left, bottom, right) in ((beam.source, beam.source_box), (beam.target, beam.target_box)):
        spot = spots[grid]
        for row in (top, bottom + 1):
            corners += [(spot.x + column * spot.cell, spot.y + row * spot.cell) for column in (left, right + 1)]
    return Area(convex_hull(corners), "beam")


def convex_hull(points: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The smallest convex polygon that holds all points (Andrew's monotone chain).

    >>> convex_hull([(0, 0), (2, 0), (1, 1), (2, 2), (0, 2)])
    ((0, 0), (2, 0), (2, 2), (0, 2))
    """
    ordered = sorted(set(points))

    def half(chain: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        hull: list[tuple[int, int]] = []
        for x, y in chain:
            while len(hull) > 1:
                (x0, y0), (x1, y1) = hull[-2:]
                if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                    break
                hull.pop()
            hull.append((x, y))
        return hull[:-1]

    return (*half(ordered), *half(reversed(ordered)))
