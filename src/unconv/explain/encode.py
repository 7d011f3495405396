"""Image and video files from painted frames."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING

from unconv.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

    from unconv.explain.raster import Painter

_COLOURS = 96


def png(image: Image) -> bytes:
    """A still picture."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def gif(painter: Painter, seconds: float) -> bytes:
    """An animation that loops for ever; all frames share one palette, and each holds only what has changed."""
    from PIL import Image

    frames = list(painter.frames())
    palette = _palette(frames)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    indexed[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=indexed[1:],
        duration=round(seconds * 1000),
        loop=0,
        optimize=False,
        disposal=1,
    )
    return buffer.getvalue()


def _palette(frames: list[Image]) -> Image:
    """Colours of the first, the middle and the last frame: what lights up in between is on one of them."""
    from PIL import Image

    chosen = (frames[0], frames[len(frames) // 2], frames[-1])
    joined = Image.new("RGB", (frames[0].width, len(chosen) * frames[0].height))
    for n, frame in enumerate(chosen):
        joined.paste(frame, (0, n * frame.height))
    return joined.quantize(colors=_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


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
