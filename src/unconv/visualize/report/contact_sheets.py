"""Contact sheets: the units of each layer as one picture, for print and slides, as PNG files or one PDF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as PillowImage, ImageDraw, ImageFont

from unconv.choices import ReportFormat
from unconv.errors import UnconvError
from unconv.visualize.report.files import write_file
from unconv.visualize.report.unit_pictures import UnitBlock

FORMATS: tuple[ReportFormat, ...] = ("html", "png", "pdf")
PAPER, INK, MUTED = "white", "#1d2630", "#5b6875"
MARGIN, GAP, LINE = 32, 16, 22
ACROSS = 4
# Pixels that a unit's square has at least.
SIDE = 192
DPI = 150


def check_formats(formats: Sequence[ReportFormat]) -> tuple[ReportFormat, ...]:
    """The formats asked for, each once.

    >>> check_formats(["png", "html", "png"])
    ('png', 'html')
    """
    for name in formats:
        if name not in FORMATS:
            raise UnconvError(f"format: {name!r} is not one of {', '.join(FORMATS)}")
    if not formats:
        raise UnconvError("format: an empty list was given; name html, png or pdf")
    return tuple(dict.fromkeys(formats))


class ContactSheets:
    """Takes the units of a report as they come, and writes what it was asked for at the end."""

    def __init__(self, folder: Path, formats: Sequence[str], title: str) -> None:
        self._folder, self._formats, self._title = folder, formats, title
        self._pages: list[PillowImage.Image] = []
        self._count: dict[str, int] = {}
        self._written: list[Path] = []

    @property
    def needed(self) -> bool:
        """Whether any of the formats is made from them."""
        return any(name in ("png", "pdf") for name in self._formats)

    def draw(self, layer: str, first: int, blocks: Sequence[UnitBlock]) -> None:
        """Draw some units of a layer on a page of their own."""
        numbers = f"units {first + 1} to {first + len(blocks)} of those shown"
        page = draw_page(f"{self._title} · {layer} · {numbers}", blocks)
        if "png" in self._formats:
            number = self._count.get(layer, 0)
            self._count[layer] = number + 1
            name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in layer)
            self._written.append(write_file(self._folder / "sheets" / f"{name}-{number}.png", _as_bytes([page], "PNG")))
        if "pdf" in self._formats:
            self._pages.append(page)

    def close(self) -> tuple[Path, ...]:
        """Write the PDF; all files that were written."""
        if self._pages:
            self._written.append(write_file(self._folder / "report.pdf", _as_bytes(self._pages, "PDF")))
        return tuple(self._written)


def draw_page(heading: str, blocks: Sequence[UnitBlock]) -> PillowImage.Image:
    """Units side by side, each with its patches and, right of them, its projections."""
    factor = max(1, SIDE // max(blocks[0].patches.shape[1:]))
    height, width = (factor * int(side) for side in blocks[0].patches.shape[1:])
    cell = (2 * width + GAP, height + LINE)
    across = min(ACROSS, len(blocks))
    down = -(-len(blocks) // across)
    size = (
        max(2 * MARGIN + across * cell[0] + (across - 1) * 2 * GAP, 640),
        2 * MARGIN + 2 * LINE + down * (cell[1] + GAP),
    )
    page = PillowImage.new("RGB", size, PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    pen.text((MARGIN, MARGIN), heading, fill=INK, font=font)
    for number, one in enumerate(blocks):
        row, column = divmod(number, across)
        left = MARGIN + column * (cell[0] + 2 * GAP)
        top = MARGIN + 2 * LINE + row * (cell[1] + GAP)
        strongest = f" · {one.places[0].activation:.4g}" if one.places else ""
        pen.text((left, top), f"unit {one.unit}{strongest}", fill=MUTED, font=font)
        for place, square in enumerate((one.patches, one.projections)):
            drawn = PillowImage.fromarray(square.permute(1, 2, 0).contiguous().numpy())
            drawn = drawn.resize((width, height), PillowImage.Resampling.NEAREST)
            page.paste(drawn, (left + place * (width + GAP), top + LINE))
    return page


def _as_bytes(pages: Sequence[PillowImage.Image], kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "PDF":
        pages[0].save(buffer, "PDF", save_all=True, append_images=list(pages[1:]), resolution=DPI)
    else:
        pages[0].save(buffer, kind, optimize=True)
    return buffer.getvalue()
