"""Composition: from a scene to its page, every cell, number and beam at its place."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from unconv.explain.layout import Layout, Spot, lay_out
from unconv.explain.page import BODY, Area, Label, Page, PageFrame, Tile
from unconv.explain.scene import Beam, Grid, Mark, Scene, Text

HUES = 4
"""Colours that tell output channels apart; they repeat after that."""

_CORNER = 9
_FAINT = ("padding", "zero", "overhang", "cut")


def page_of(scene: Scene) -> Page:
    """Lay a scene out.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> from unconv.explain.views.gather import gather
    >>> page = page_of(gather(ConvGeometry(input_size=(4, 4), kernel_size=3), numbers=None))
    >>> len(page.frames), len(page.tiles)
    (4, 2)
    """
    layout = lay_out(scene)
    placed = [(scene.grids[n], spot) for n, spot in layout.spots.items()]
    return Page(
        width=layout.width,
        height=layout.height,
        tiles=tuple(_still_tiles(grid, spot) for grid, spot in placed),
        swatches=layout.swatches,
        labels=layout.labels,
        cell_labels=tuple(label for grid, spot in placed for label in _still_labels(grid, spot)),
        frames=tuple(_frame(scene, number, layout) for number in range(len(scene.frames))),
    )


def _still_tiles(grid: Grid, spot: Spot) -> tuple[Tile, ...]:
    return tuple(
        _tile(spot, row, column, _style(role, grid.hue))
        for row, roles in enumerate(grid.roles)
        for column, role in enumerate(roles)
    )


def _tile(spot: Spot, row: int, column: int, style: str) -> Tile:
    return Tile(spot.x + column * spot.cell, spot.y + row * spot.cell, spot.cell, style)


def _style(role: str, hue: int) -> str:
    return f"{role}{hue % HUES}" if role in ("output", "target") else role


def _still_labels(grid: Grid, spot: Spot) -> Iterable[Label]:
    for row in range(grid.rows):
        for column in range(grid.columns):
            text = grid.text(row, column)
            if text:
                yield _cell_label(grid, spot, row, column, text)


def _cell_label(grid: Grid, spot: Spot, row: int, column: int, text: str) -> Label:
    size = max(6, min(BODY, round(spot.cell * 0.42), round(spot.cell * 1.3 / len(text))))
    x, y = spot.x + column * spot.cell + spot.cell // 2, spot.y + row * spot.cell + spot.cell // 2
    style = "faint" if grid.roles[row][column] in _FAINT else "ink"
    return Label(x, y + round(size * 0.36), text, size, style, "middle")


def _frame(scene: Scene, number: int, layout: Layout) -> PageFrame:
    frame = scene.frames[number]
    tiles = tuple(
        tuple(_lit_tile(scene.grids[mark.grid], layout.spots[mark.grid], mark) for mark in group)
        for _, group in groupby(frame.marks, key=lambda mark: (mark.grid, mark.tone))
    )
    labels = [_text_label(scene.grids[text.grid], layout.spots[text.grid], text) for text in frame.texts]
    labels.append(Label(*layout.line_at, frame.line, BODY, "accent"))
    return PageFrame(tuple(_area(beam, layout) for beam in frame.beams), tiles, tuple(labels))


def _lit_tile(grid: Grid, spot: Spot, mark: Mark) -> Tile:
    return _tile(spot, mark.row, mark.column, _style(mark.tone, grid.hue))


def _text_label(grid: Grid, spot: Spot, text: Text) -> Label:
    if not text.corner:
        return _cell_label(grid, spot, text.row, text.column, text.text)
    x, y = spot.x + (text.column + 1) * spot.cell - 4, spot.y + (text.row + 1) * spot.cell - 4
    return Label(x, y, text.text, _CORNER, "weight-ink", "end")


def _area(beam: Beam, layout: Layout) -> Area:
    corners = []
    for grid, (top, left, bottom, right) in ((beam.source, beam.source_box), (beam.target, beam.target_box)):
        spot = layout.spots[grid]
        for row in (top, bottom + 1):
            corners += [(spot.x + column * spot.cell, spot.y + row * spot.cell) for column in (left, right + 1)]
    return Area(convex_hull(corners), "beam")


def convex_hull(points: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The smallest convex polygon that holds all points (Andrew's monotone chain).

    >>> convex_hull([(0, 0), (2, 0), (1, 1), (2, 2), (0, 2)])
    ((0, 0), (2, 0), (2, 2), (0, 2))
    """
    ordered = sorted(set(points))
    return (*_half_hull(ordered), *_half_hull(ordered[::-1]))


def _half_hull(chain: list[tuple[int, int]]) -> list[tuple[int, int]]:
    hull: list[tuple[int, int]] = []
    for x, y in chain:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                break
            hull.pop()
        hull.append((x, y))
    return hull[:-1]
