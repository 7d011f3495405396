"""Layout: the size of the cells and the place of every grid and every word of a scene."""

from __future__ import annotations

from dataclasses import dataclass

from unconv.explain.fonts import text_width
from unconv.explain.page import BODY, SMALL, TITLE, Label, Tile
from unconv.explain.scene import LegendEntry, Scene, Stack

MARGIN = 24
WIDEST, TALLEST = 860, 520
"""Pixels that the grids of a picture may take; cells shrink to keep within."""

NARROWEST_TEXT = 440
"""Captions break into lines where they are wider than this and than the grids."""

_TALLEST_BY_A_MATRIX = 180
LARGEST_CELL, SMALLEST_CELL = 34, 5
_GAP_SIGN, _GAP_PLAIN, _GAP_ROWS, _LABEL_HEIGHT, _LINE = 52, 22, 26, 26, 22
_SWATCH, _FOOT = 16, 16
_CONTINUED = "      "


@dataclass(frozen=True)
class Spot:
    """Corner of a grid, and the size of its cells."""

    x: int
    y: int
    cell: int


@dataclass(frozen=True)
class Layout:
    """Places of all grids, in the order of painting; all still words; where the line of a frame stands."""

    width: int
    height: int
    spots: dict[int, Spot]
    labels: tuple[Label, ...]
    swatches: tuple[Tile, ...]
    line_at: tuple[int, int]


def lay_out(scene: Scene) -> Layout:
    """Put every part of a scene in its place."""
    cells = _cell_sizes(scene)
    graphic = max(_row_width(scene, row, cell) for row, cell in zip(scene.rows, cells, strict=True))
    captions = [part for line in scene.captions for part in wrapped(line, max(graphic, NARROWEST_TEXT))]
    words = [(scene.title, TITLE, True), (scene.subtitle, BODY, False)]
    words += [(line, BODY, False) for line in (*captions, scene.note, *(frame.line for frame in scene.frames))]
    inner = max(graphic, *(text_width(text, size, bold) for text, size, bold in words))
    y = MARGIN + TITLE
    labels = [
        Label(MARGIN, y, scene.title, TITLE, bold=True),
        Label(MARGIN, y + _LINE, scene.subtitle, BODY, "muted"),
    ]
    y += _LINE + 18
    spots: dict[int, Spot] = {}
    for row, cell in zip(scene.rows, cells, strict=True):
        left = MARGIN + (inner - _row_width(scene, row, cell)) // 2
        tall = max(_stack_height(scene, stack, cell) for stack in row)
        labels += _place_row(scene, row, cell, (left, y + _LABEL_HEIGHT, tall), spots)
        y += tall + _LABEL_HEIGHT + _GAP_ROWS + (_FOOT if any(stack.foot for stack in row) else 0)
    line_at = (MARGIN, y + 2)
    y, swatches, entries = _place_legend(scene.legend, y + 28, inner)
    y += 8
    for text, style in [(line, "ink") for line in captions] + [(scene.note, "muted")] * bool(scene.note):
        y += _LINE
        labels.append(Label(MARGIN, y, text, BODY, style))
    width, height = inner + 2 * MARGIN, y + MARGIN
    return Layout(_even(width), _even(height), spots, (*labels, *entries), swatches, line_at)


def wrapped(text: str, limit: int) -> list[str]:
    """A caption in lines no wider than ``limit`` pixels, broken before equal signs and between words.

    >>> wrapped("Relation 3:  o = i = 5", limit=130)
    ['Relation 3:  o = i', '      = 5']
    """
    if text_width(text, BODY) <= limit:
        return [text]
    breaks = [n for n in range(1, len(text)) if text[n - 1] == " " and text[n] != " "]
    fitting = [n for n in breaks if text_width(text[:n].rstrip(), BODY) <= limit and text[:n].strip()]
    equal = [n for n in fitting if text[n] == "=" and "=" in text[:n]]
    if not fitting:
        return [text]
    cut = (equal or fitting)[-1]
    return [text[:cut].rstrip(), *wrapped(_CONTINUED + text[cut:], limit)]


def _even(size: int) -> int:
    """Video needs even sizes."""
    return size + size % 2


def _cell_sizes(scene: Scene) -> list[int]:
    """Cells of one size in all rows, but for a last row that is apart."""
    if scene.last_row_apart and len(scene.rows) > 1:
        *maps, last = scene.rows
        return [*(_cell_size(scene, row, _TALLEST_BY_A_MATRIX) for row in maps), _cell_size(scene, last, TALLEST)]
    return [min(_cell_size(scene, row, TALLEST) for row in scene.rows)] * len(scene.rows)


def _cell_size(scene: Scene, row: tuple[Stack, ...], tallest: int) -> int:
    for cell in range(LARGEST_CELL, SMALLEST_CELL, -1):
        tall = max(_stack_height(scene, stack, cell) for stack in row)
        if _row_width(scene, row, cell) <= WIDEST and tall <= tallest:
            return cell
    return SMALLEST_CELL


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
            left += _GAP_SIGN if stack.sign else _GAP_PLAIN
        sliced = n + 1 < len(row) and not row[n + 1].label
        width = _stack_width(scene, stack, cell)
        if not sliced:
            width = max(width, _label_width(stack))
        slots.append((left, width))
        left += width
    return slots


def _row_width(scene: Scene, row: tuple[Stack, ...], cell: int) -> int:
    slots = _slots(scene, row, cell)
    return max(slots[-1][0] + slots[-1][1], _label_width(row[0]))


def _place_row(
    scene: Scene, row: tuple[Stack, ...], cell: int, place: tuple[int, int, int], spots: dict[int, Spot]
) -> list[Label]:
    start, y, tall = place
    labels = []
    for stack, (left, width) in zip(row, _slots(scene, row, cell), strict=True):
        high = _stack_height(scene, stack, cell)
        x, top = start + left + (width - _stack_width(scene, stack, cell)) // 2, y + (tall - high) // 2
        if stack.sign and stack is not row[0]:
            sign_at = (start + left - _GAP_SIGN // 2, top + high // 2 + 8)
            labels.append(Label(*sign_at, stack.sign, 22, "muted", "middle"))
        labels += _stack_label(stack, start + left, top - 10, width)
        if stack.foot:
            labels.append(Label(start + left + width // 2, top + high + 17, stack.foot, SMALL, "muted", "middle"))
        for depth in reversed(range(len(stack.grids))):
            lift = (len(stack.grids) - 1 - depth) * _shift(cell)
            spots[stack.grids[depth]] = Spot(x + depth * _shift(cell), top + lift, cell)
    return labels


def _stack_label(stack: Stack, left: int, y: int, width: int) -> list[Label]:
    if not stack.label:
        return []
    x = left + max(0, (width - _label_width(stack)) // 2)
    after = x + text_width(stack.label, BODY, bold=True) + 8
    return [Label(x, y, stack.label, BODY, bold=True), Label(after, y, stack.detail, SMALL, "muted")]


def _place_legend(
    entries: tuple[LegendEntry, ...], y: int, inner: int
) -> tuple[int, tuple[Tile, ...], tuple[Label, ...]]:
    swatches, labels = [], []
    x = MARGIN
    for entry in entries:
        width = _SWATCH + 8 + text_width(entry.text, SMALL)
        if x > MARGIN and x + width > MARGIN + inner:
            x, y = MARGIN, y + _LINE
        swatches.append(Tile(x - 1, y - _SWATCH + 4, _SWATCH, entry.style))
        labels.append(Label(x + _SWATCH + 6, y, entry.text, SMALL, "muted"))
        x += width + 22
    return y, tuple(swatches), tuple(labels)
