"""The typeface of the pictures, shipped so that they look the same on every machine; its licence is beside it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_FILES = {False: "unconv-regular.otf", True: "unconv-semibold.otf"}

_UNITS = 2816
"""Units of the typeface to its em."""


@lru_cache(maxsize=64)
def font(size: int, bold: bool = False) -> FreeTypeFont:
    """The typeface in one size, in pixels."""
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(__file__).parent / _FILES[bold]), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def text_width(text: str, size: int, bold: bool = False) -> int:
    """Width of a line of text in pixels, from the typeface's own units: the same whatever rasterises it.

    >>> text_width("", 14)
    0
    >>> text_width("output", 14) < text_width("output", 14, bold=True)
    True
    """
    return round(font(_UNITS, bold).getlength(text) * size / _UNITS)
