"""Text: a scene's frame in characters, for the terminal."""

from __future__ import annotations

from unconv.explain.scene import Frame, Grid, Scene, Stack

WIDEST, TALLEST = 100, 44
"""Columns and lines that a text picture may take."""

_ROLES = {
    "input": "□",
    "output": "□",
    "kernel": "□",
    "unread": "∘",
    "unfed": "∘",
    "padding": "·",
    "overhang": "·",
    "zero": "·",
    "extra": "▢",
    "cut": "×",
    "weight": "□",
    "void": "·",
}
_TONES = {"window": "■", "target": "■", "source": "■", "blank": "▪", "lost": "▪", "row": "·"}
_KEYS = (
    ("■", "lit"),
    ("[", "] lit"),
    ("▪", "lit, but holds no value"),
    ("·", "padding or zero"),
    ("∘", "not connected"),
    ("▢", "output padding"),
    ("×", "cut away"),
)
_BETWEEN = "   "


def text_of(scene: Scene, number: int) -> str | None:
    """One frame in characters: grids side by side or below each other; None where it would not fit a terminal.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> from unconv.explain.views.gather import gather
    >>> print(text_of(gather(ConvGeometry(input_size=5, kernel_size=3, stride=2), numbers=None), 1))
    Input 5
    □ □ ■ ■ ■
    <BLANKLINE>
    Output 2
    □ ■
    <BLANKLINE>
    ■ lit
    """
    frame = scene.frames[number]
    rows = [_row(scene, frame, row) for row in scene.rows]
    lines = "\n\n".join("\n".join(row) for row in rows).splitlines()
    if len(lines) > TALLEST or max(map(len, lines)) > WIDEST:
        return None
    drawn = [line for n, grid in enumerate(scene.grids) for line in _lines(grid, n, frame)]
    used = {glyph for line in drawn for glyph in line}
    keys = "   ".join(f"{glyph} {meaning}" for glyph, meaning in _KEYS if glyph in used)
    return "\n".join((*lines, "", keys))


def _row(scene: Scene, frame: Frame, row: tuple[Stack, ...]) -> list[str]:
    blocks = [_block(scene, frame, stack) for stack in row]
    height = max(map(len, blocks))
    padded = []
    for block in blocks:
        width = max(map(len, block))
        padded.append([line.ljust(width) for line in (*block, *[""] * (height - len(block)))])
    return [_BETWEEN.join(lines).rstrip() for lines in zip(*padded, strict=True)]


def _block(scene: Scene, frame: Frame, stack: Stack) -> list[str]:
    front = stack.grids[0]
    head = f"{stack.label} {stack.detail}".strip()
    return [head, *_lines(scene.grids[front], front, frame)]


def _lines(grid: Grid, index: int, frame: Frame) -> list[str]:
    written = {(text.row, text.column): text.text for text in frame.texts if text.grid == index and not text.corner}
    tones = {(mark.row, mark.column): mark.tone for mark in frame.marks if mark.grid == index}
    if not grid.texts and not written:
        return [
            " ".join(_TONES[tones[(r, c)]] if (r, c) in tones else _ROLES[role] for c, role in enumerate(roles))
            for r, roles in enumerate(grid.roles)
        ]
    cells = {
        (r, c): written.get((r, c)) or grid.text(r, c) or "·" for r in range(grid.rows) for c in range(grid.columns)
    }
    width = max(map(len, cells.values()))
    return [
        "".join(
            f"[{cells[(r, c)]:>{width}}]" if (r, c) in tones else f" {cells[(r, c)]:>{width}} "
            for c in range(grid.columns)
        ).rstrip()
        for r in range(grid.rows)
    ]
