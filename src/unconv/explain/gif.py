"""GIF: one palette for all frames, and each frame only the pixels that have changed.

Pillow's own writer repeats every pixel of the box that holds a change, and maps colours to a palette by a coarse grid
that turns white into nearly white. Here what stays is transparent, and the colours of cells are exact.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from unconv.explain.raster import Painter

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
    before: NDArray[np.uint8] | None = None
    for frame in frames:
        pixels = colours.indices(frame)
        patch, corner = _changes(before, pixels)
        before = pixels
        chunks += GifImagePlugin.getdata(
            fromarray(patch), corner, duration=round(seconds * 1000), disposal=1, transparency=_STAYS
        )
    return b"".join((*chunks, b";"))


def _changes(before: NDArray[np.uint8] | None, after: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The smallest patch that turns one frame into the next, what stays made transparent, and where it goes."""
    if before is None:
        return after, (0, 0)
    changed = before != after
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if rows.size == 0:
        return np.full((1, 1), _STAYS, np.uint8), (0, 0)
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    patch = np.where(changed[window], after[window], np.uint8(_STAYS))
    return patch, (int(columns[0]), int(rows[0]))


def _codes(image: Image) -> NDArray[np.int32]:
    """Each pixel's colour as one number."""
    channels = np.asarray(image).astype(np.int32)
    codes: NDArray[np.int32] = (channels[..., 0] << 16) | (channels[..., 1] << 8) | channels[..., 2]
    return codes


class _Colours:
    """Nearest palette entries, each colour looked for once."""

    def __init__(self, palette: NDArray[np.uint8]) -> None:
        self.palette = palette
        self._known = np.full(1 << 24, _UNKNOWN, np.uint8)

    def indices(self, image: Image) -> NDArray[np.uint8]:
        """The image in palette entries."""
        codes = _codes(image)
        found = self._known[codes]
        new = np.unique(codes[found == _UNKNOWN])
        if new.size == 0:
            return found
        colours = np.stack((new >> 16, (new >> 8) & 255, new & 255), axis=1)
        apart = colours[:, None, :] - self.palette[None].astype(np.int32)
        self._known[new] = np.argmin((apart**2).sum(axis=2), axis=1).astype(np.uint8)
        return self._known[codes]


def _palette(frames: list[Image]) -> NDArray[np.uint8]:
    """The commonest colours exactly, and a fair choice of those that smooth the edges.

    Taken from the first, the middle and the last frame: what lights up in between is on one of them.
    """
    from PIL import Image

    chosen = (frames[0], frames[len(frames) // 2], frames[-1])
    joined = Image.new("RGB", (frames[0].width, len(chosen) * frames[0].height))
    for n, frame in enumerate(chosen):
        joined.paste(frame, (0, n * frame.height))
    codes, counts = np.unique(_codes(joined), return_counts=True)
    commonest = codes[np.argsort(-counts, kind="stable")[:_EXACT]]
    exact = np.stack((commonest >> 16, (commonest >> 8) & 255, commonest & 255), axis=1).astype(np.uint8)
    reduced = joined.quantize(colors=_COLOURS - _EXACT, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    fair = np.array(reduced.getpalette() or (), np.uint8).reshape(-1, 3)
    return np.concatenate((exact, fair))[:_COLOURS]
