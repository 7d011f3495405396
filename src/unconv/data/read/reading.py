"""How pictures are read: their channels, what shows through, how large they may be, whether they are clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from unconv.data.arrays import Background, Mode
from unconv.errors import ImageError

MAX_PIXELS = 100_000_000

# Of the whole process, as Pillow's own: pictures are read by threads of their own.
_limits = [MAX_PIXELS]
_changing = Lock()


@contextmanager
def pixel_limit(max_pixels: int | None) -> Iterator[None]:
    """Within, pictures of so many pixels are read, by all functions and threads; None changes nothing.

    >>> with pixel_limit(10**9):
    ...     Reading().max_pixels
    1000000000

    Raises ImageError for less than one.
    """
    if max_pixels is None:
        yield
        return
    if max_pixels < 1:
        raise ImageError(f"images: max_pixels {max_pixels} lets nothing through; give 1 or more")
    with _changing:
        _limits.append(max_pixels)
    try:
        yield
    finally:
        with _changing:
            _limits.reverse()
            _limits.remove(max_pixels)
            _limits.reverse()


@dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
        mode: ``"rgb"`` three channels, ``"grey"`` one (BT.601 luma), ``"keep"`` one or three as in the file.
        background: what shows through where a picture is transparent: grey level or (red, green, blue) in [0, 1].
        max_pixels: larger files are not decoded; 100,000,000 unless :func:`pixel_limit` says another.
        channels: of the network that they are for; with another number than 1 or 3 every channel of a file is taken as
            it is, opacity and pages too.
        clips: whether they are videos or volumes, ``(channels, frames, height, width)``.

    >>> Reading(channels=4).every_channel, Reading(channels=3).every_channel
    (True, False)
    """

    mode: Mode = "rgb"
    background: Background = 1.0
    max_pixels: int = field(default_factory=lambda: _limits[-1])
    channels: int | None = None
    clips: bool = False

    @property
    def every_channel(self) -> bool:
        """Whether channels are taken as they are, neither made grey nor colour."""
        return self.channels not in (None, 1, 3)
