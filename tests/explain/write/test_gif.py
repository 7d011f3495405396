"""GIF, PNG and MP4 hold the painted frames: all of them, in their size, for their time."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from unconv.errors import MissingExtraError
from unconv.explain.drawing import Drawing, draw
from unconv.explain.themes import DARK, LIGHT
from unconv.explain.write.gif import gif
from unconv.explain.write.raster import Painter
from unconv.explain.write.video import mp4, png
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import MaxPoolGeometry

DRAWINGS = (
    draw(ConvGeometry((5, 5), 3, 2, 1), numbers="random"),
    draw(ConvTransposeGeometry((3, 3), 3, 2, 1, 1), "scatter"),
    draw(ConvGeometry((4, 4), 3), "matrix"),
    draw(MaxPoolGeometry((1, 1), 1)),
)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("drawing", DRAWINGS)
def test_decoded_frames_are_the_painted_ones(drawing: Drawing, theme) -> None:  # type: ignore[no-untyped-def]
    painter = Painter(drawing.page, theme)
    decoded = Image.open(io.BytesIO(gif(painter, drawing.scene.seconds)))
    assert decoded.n_frames == len(drawing.frames)
    assert decoded.size == (drawing.page.width, drawing.page.height)
    for number in range(decoded.n_frames):
        decoded.seek(number)
        assert decoded.info["duration"] == round(1000 * drawing.scene.seconds)
        apart = np.abs(np.asarray(decoded.convert("RGB"), int) - np.asarray(painter.frame(number), int))
        assert apart.max() <= 64
        assert apart.mean() < 0.5


def test_it_loops_for_ever() -> None:
    assert Image.open(io.BytesIO(gif(Painter(DRAWINGS[0].page, LIGHT), 0.5))).info["loop"] == 0


def test_cells_have_exactly_their_colours() -> None:
    drawing = draw(ConvGeometry((5, 5), 3, 2, 1))
    decoded = Image.open(io.BytesIO(gif(Painter(drawing.page, LIGHT), 0.5)))
    decoded.seek(4)
    pixels = {colour for _, colour in decoded.convert("RGB").getcolors(1 << 20)}
    for style in ("input", "output0", "window", "target0", "padding"):
        fill = LIGHT.cells[style].fill
        assert tuple(int(fill[n : n + 2], 16) for n in (1, 3, 5)) in pixels


def test_lit_cells_are_painted_and_others_are_not() -> None:
    drawing = draw(ConvGeometry((5, 5), 3, 2))
    painter = Painter(drawing.page, LIGHT)
    window = _rgb(LIGHT.cells["window"].fill)
    for number, frame in enumerate(drawing.page.frames):
        image = painter.frame(number)
        lit = {(tile.x, tile.y) for group in frame.tiles for tile in group if tile.style == "window"}
        for tile in drawing.page.tiles[0]:
            colour = image.getpixel((tile.x + tile.size // 2, tile.y + tile.size // 2))
            assert (colour == window) == ((tile.x, tile.y) in lit)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[n : n + 2], 16) for n in (1, 3, 5))


def test_png_is_the_painted_frame() -> None:
    painter = Painter(DRAWINGS[0].page, DARK, scale=2)
    frame = painter.frame(4)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(frame)))), np.asarray(frame))


def test_video_has_every_frame_for_its_time() -> None:
    av = pytest.importorskip("av")
    drawing = DRAWINGS[1]
    with av.open(io.BytesIO(mp4(Painter(drawing.page, LIGHT), drawing.scene.seconds))) as container:
        stream = container.streams.video[0]
        frames = [frame.to_image() for frame in container.decode(stream)]
        assert float(stream.average_rate) == pytest.approx(1 / drawing.scene.seconds, rel=1e-3)
    assert len(frames) == len(drawing.frames)
    assert frames[0].size == (drawing.page.width, drawing.page.height)
    painted = np.asarray(Painter(drawing.page, LIGHT).frame(4), int)
    assert np.abs(np.asarray(frames[4], int) - painted).mean() < 3


def test_video_without_the_encoder_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unconv\[demo\]'"):
        mp4(Painter(DRAWINGS[0].page, LIGHT), 0.5)
