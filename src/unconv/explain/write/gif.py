"""GIF: one palette for all frames, and each frame only the pixels that have changed.

Pillow's own writer repeats every pixel of the box that holds a change, and maps colours to a palette by a coarse grid
that turns white into nearly white. Here what stays is transparent, and the colours of cells are exact.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from unconv.explain.write.raster import Painter

Codes: TypeAlias = "NDArray[np.uint32]"

_COLOURS, _EXACT = 127, 48
_STAYS = 127
"""Index of the transparent colour, behind the real ones."""
_UNKNOWN = 255
_LOOP_FOR_EVER = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


def gif(painter: Painter, seconds: float) -> bytes:
    """The painter's frames as an animation that loops for ever."""
    from PIL import GifImagePlugin
    from PIL.Image import fromarray

    frames = list(painter.frames())
    colours = _Colours(_palette(frames))
    width, height = painter.size
    head = struct.pack("<HHBBB", width, height, 0xF6, 0, 0)
    chunks = [b"GIF89a", head, colours.palette.tobytes().ljust(3 * (_STAYS + 1), b"\0"), _LOOP_FOR_EVER]
    before: Codes | None = None
    for frame in frames:
        after = _codes(frame)
        window, changed = _changes(before, after)
        patch = np.where(changed, colours.indices(after[window]), np.uint8(_STAYS))
        corner = (window[1].start, window[0].start)
        chunks += GifImagePlugin.getdata(
            fromarray(patch), corner, duration=round(seconds * 1000), disposal=1, transparency=_STAYS
        )
        before = after
    return b"".join((*chunks, b";"))


def _changes(before: Codes | None, after: Codes) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """The smallest window that holds all that differs between two frames, and what differs in it."""
    changed = np.ones(after.shape, np.bool_) if before is None else np.not_equal(before, after)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if rows.size == 0:
        return (slice(0, 1), slice(0, 1)), np.zeros((1, 1), np.bool_)
    window = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    return window, changed[window]


def _codes(image: Image) -> Codes:
    """Each pixel's colour as one number, its bytes as they lie in memory."""
    padded = np.asarray(image.convert("RGBX"))
    return np.bitwise_and(padded.view(np.dtype("<u4"))[..., 0], np.uint32(0xFFFFFF), dtype=np.uint32)


def _colours(codes: Codes) -> NDArray[np.int32]:
    """Red, green and blue of colours given as numbers."""
    return np.stack((codes & 255, (codes >> 8) & 255, codes >> 16), axis=1).astype(np.int32)


class _Colours:
    """Nearest palette entries, each colour looked for once."""

    def __init__(self, palette: NDArray[np.uint8]) -> None:
        self.palette = palette
        self._known = np.full(1 << 24, _UNKNOWN, np.uint8)

    def indices(self, codes: Codes) -> NDArray[np.uint8]:
        """Colours in palette entries."""
        found = self._known[codes]
        new = np.unique(codes[found == _UNKNOWN])
        if new.size == 0:
            return found
        apart = _colours(new)[:, None, :] - self.palette[None].astype(np.int32)
        self._known[new] = np.argmin((apart**2).sum(axis=2), axis=1).astype(np.uint8)
        return self._known[codes]


def _palette(frames: list[Image]) -> NDArray[np.uint8]:
    """The commonest colours exactly, and a fair choice of those that smooth the edges.

    Taken from the first, the middle and the last frame: what lights up in between is on one of them.
    """
    from PIL import Image

    chosen = [_codes(frame).ravel() for frame in (frames[0], frames[len(frames) // 2], frames[-1])]
    codes, counts = np.unique(np.concatenate(chosen), return_counts=True)
    colours = _colours(codes).astype(np.uint8)
    exact = colours[np.argsort(-counts, kind="stable")[:_EXACT]]
    reduced = Image.fromarray(colours[None]).quantize(_COLOURS - _EXACT, Image.Quantize.MEDIANCUT)
    fair = np.array(reduced.getpalette() or (), np.uint8).reshape(-1, 3)
    return np.concatenate((exact, fair))[:_COLOURS]
