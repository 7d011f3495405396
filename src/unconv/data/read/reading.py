"""How pictures are read: their channels, what shows through, how large they may be, whether they are clips."""

from __future__ import annotations

from dataclasses import dataclass

from unconv.data.arrays import Background, Mode

MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
        mode: ``"rgb"`` three channels, ``"grey"`` one (BT.601 luma), ``"keep"`` one or three as in the file.
        background: what shows through where a picture is transparent: grey level or (red, green, blue) in [0, 1].
        max_pixels: larger files are not decoded.
        channels: of the network that they are for; with another number than 1 or 3 every channel of a file is taken as
            it is, opacity and pages too.
        clips: whether they are videos or volumes, ``(channels, frames, height, width)``.

    >>> Reading(channels=4).every_channel, Reading(channels=3).every_channel
    (True, False)
    """

    mode: Mode = "rgb"
    background: Background = 1.0
    max_pixels: int = MAX_PIXELS
    channels: int | None = None
    clips: bool = False

    @property
    def every_channel(self) -> bool:
        """Whether channels are taken as they are, neither made grey nor colour."""
        return self.channels not in (None, 1, 3)
