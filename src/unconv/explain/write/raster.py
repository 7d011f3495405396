"""Pixels: frames as Pillow images. What stands still is painted once; cells are sprites, smoothed by supersampling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from unconv.explain.fonts import font
from unconv.explain.page import SMALL_CELL, Area, Label, Page, PageFrame, Tile
from unconv.explain.themes import Paint, Theme

if TYPE_CHECKING:
    from PIL.Image import Image

_OVERSAMPLING = 4


class Painter:
    """Paints the frames of one page in one theme, ``scale`` device pixels to a page pixel."""

    def __init__(self, page: Page, theme: Theme, scale: int = 1) -> None:
        from PIL import Image

        self._page, self._theme, self._scale = page, theme, scale
        self.size = (page.width * scale, page.height * scale)
        base = Image.new("RGB", self.size, theme.background)
        for tiles in (*page.tiles, page.swatches):
            self._tiles(base, tiles)
        for label in page.labels:
            self._label(base, label)
        self._base = base

    def frames(self) -> Iterator[Image]:
        """All frames, in order."""
        return map(self.frame, range(len(self._page.frames)))

    def frame(self, number: int) -> Image:
        """One frame."""
        moment: PageFrame = self._page.frames[number]
        image = self._base.copy()
        for area in moment.areas:
            self._area(image, area)
        for tiles in moment.tiles:
            self._tiles(image, tiles)
        for label in (*self._page.cell_labels, *moment.labels):
            self._label(image, label)
        return image

    def _tiles(self, image: Image, tiles: Iterable[Tile]) -> None:
        for tile in tiles:
            sprite = _sprite(self._theme.cells[tile.style], tile.size, self._scale)
            image.paste(sprite, (tile.x * self._scale, tile.y * self._scale), sprite)

    def _label(self, image: Image, label: Label) -> None:
        from PIL import ImageDraw

        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[label.anchor]
        typeface = font(label.size * self._scale, label.bold)
        place = (label.x * self._scale, label.y * self._scale)
        ImageDraw.Draw(image).text(place, label.text, fill=self._theme.inks[label.style], font=typeface, anchor=anchor)

    def _area(self, image: Image, area: Area) -> None:
        from PIL import ImageDraw
        from PIL.Image import new

        scale = self._scale
        left, top = (min(axis) * scale - 1 for axis in zip(*area.points, strict=True))
        right, bottom = (max(axis) * scale + 1 for axis in zip(*area.points, strict=True))
        fine = 2
        size = ((right - left) * fine, (bottom - top) * fine)
        mask = new("L", size)
        corners = [((x * scale - left) * fine, (y * scale - top) * fine) for x, y in area.points]
        fill, edge = (round(255 * opacity) for opacity in (self._theme.beam_opacity, self._theme.edge_opacity))
        ImageDraw.Draw(mask).polygon(corners, fill=fill, outline=edge, width=fine * scale)
        mask = mask.reduce(fine)
        image.paste(self._theme.beam, (left, top, left + mask.width, top + mask.height), mask)


@lru_cache(maxsize=512)
def _sprite(paint: Paint, size: int, scale: int) -> Image:
    """One cell with a transparent rim."""
    from PIL import Image, ImageDraw

    zoom = _OVERSAMPLING * scale
    side = size * zoom
    image = Image.new("RGBA", (side, side), (*_rgb(paint.stroke), 0))
    draw = ImageDraw.Draw(image)
    inset = zoom if size > 8 else zoom // 2
    edge = (inset - zoom // 2, inset - zoom // 2, side - inset + zoom // 2 - 1, side - inset + zoom // 2 - 1)
    radius = zoom * (2 if size > 16 else 1)
    if paint.dashed:
        draw.rounded_rectangle(edge, radius, fill=paint.fill)
        _dashes(draw, edge, zoom, paint.stroke)
    else:
        line = zoom if size > SMALL_CELL else zoom // 2
        draw.rounded_rectangle(edge, radius, fill=paint.fill, outline=paint.stroke, width=line)
    return image.reduce(_OVERSAMPLING)


def _dashes(draw: object, edge: tuple[int, int, int, int], zoom: int, colour: str) -> None:
    left, top, right, bottom = edge
    for start in range(left, right, 5 * zoom):
        stop = min(start + 3 * zoom, right)
        for line in ((start, top, stop, top + zoom - 1), (start, bottom - zoom + 1, stop, bottom)):
            draw.rectangle(line, fill=colour)  # type: ignore[attr-defined]
        for line in ((left, start, left + zoom - 1, stop), (right - zoom + 1, start, right, stop)):
            draw.rectangle(line, fill=colour)  # type: ignore[attr-defined]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
