"""Pages: tiles, areas and labels at pixel positions, in layers. Renderers only paint them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TITLE, BODY, SMALL = 19, 14, 12
"""Sizes of text in pixels."""

SMALL_CELL = 12
"""Up to this size cells have thin outlines."""

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
    """What one frame adds to the page; ``tiles`` in groups of one grid and one style."""

    areas: tuple[Area, ...]
    tiles: tuple[tuple[Tile, ...], ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Page:
    """A scene with everything in its place; what moves is painted over the still tiles: areas, tiles, then labels.

    ``tiles`` has one tuple per grid, back to front; ``swatches`` are the legend's cells.
    """

    width: int
    height: int
    tiles: tuple[tuple[Tile, ...], ...]
    swatches: tuple[Tile, ...]
    labels: tuple[Label, ...]
    cell_labels: tuple[Label, ...]
    frames: tuple[PageFrame, ...]
