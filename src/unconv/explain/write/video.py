"""Image and video files from painted frames: PNG and MP4."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING

from unconv.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

    from unconv.explain.write.raster import Painter


def png(image: Image) -> bytes:
    """A still picture."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def mp4(painter: Painter, seconds: float) -> bytes:
    """A video (H.264, in colours that every player knows). Raises :class:`~unconv.errors.MissingExtraError`."""
    try:
        import av
    except ImportError:
        raise MissingExtraError("draw: writing .mp4", "av (PyAV)", "demo") from None
    buffer = io.BytesIO()
    rate = Fraction(1) / Fraction(round(seconds * 100), 100)
    with av.open(buffer, mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = painter.size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "tune": "stillimage"}
        for image in painter.frames():
            container.mux(stream.encode(av.VideoFrame.from_image(image)))  # type: ignore[no-untyped-call]
        container.mux(stream.encode(None))
    return buffer.getvalue()
