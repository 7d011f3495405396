"""``draw`` refuses what it cannot draw in one line, and ``save`` writes what the ending says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from torch import nn

import unconv as uc
from tests.explain.cases import EVERY_KIND, all_views
from unconv.errors import UnconvError
from unconv.explain.drawing import FORMATS, draw
from unconv.explain.views.all_views import VIEWS, views_of
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import MaxPoolGeometry

CONV = ConvGeometry((5, 5), 3, 2, 1)


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_every_kind_is_drawn_in_every_view_and_format(geometry: Geometry, tmp_path: Path) -> None:
    for drawing in all_views(geometry, numbers=1):
        for ending in (".svg", ".png"):
            assert drawing.save(tmp_path / f"x{ending}").stat().st_size > 500
    assert draw(geometry, numbers=1).save(tmp_path / "x.gif").stat().st_size > 500


def test_what_is_no_geometry_is_refused() -> None:
    with pytest.raises(UnconvError, match="'conv' is not a geometry"):
        draw("conv")  # type: ignore[arg-type]


def test_the_public_name_draws() -> None:
    assert isinstance(uc.draw(CONV), uc.explain.Drawing)


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_is_recognised_by_its_content(ending: str, tmp_path: Path) -> None:
    content = draw(CONV).save(tmp_path / f"picture{ending.upper()}").read_bytes()
    start = {".svg": b"<svg", ".gif": b"GIF89a", ".png": b"\x89PNG", ".html": b"<!doctype html>"}
    assert content.startswith(start[ending]) if ending in start else content[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("geometry", "arguments", "words"),
    [
        (CONV, {"view": "zeros"}, "conv has no view 'zeros'; use one of gather, scatter, matrix"),
        (MaxPoolGeometry((4, 4), 2), {"view": "scatter"}, "maxpool has no view 'scatter'"),
        (CONV, {"view": "sideways"}, "view 'sideways' is not known"),
        (CONV, {"theme": "pink"}, "theme 'pink' is not known"),
        (CONV, {"numbers": "random", "in_channels": 2}, "numbers in the cells need one channel"),
        (CONV, {"view": "matrix", "out_channels": 2}, "view 'matrix' shows one channel"),
    ],
)
def test_refusals_are_one_clear_line(geometry: Geometry, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UnconvError, match=words) as refusal:
        draw(geometry, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


def test_paths_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    drawing = draw(CONV)
    with pytest.raises(UnconvError, match=r"'up.jpg' ends in none of .svg, .gif"):
        drawing.save(tmp_path / "up.jpg")
    with pytest.raises(UnconvError, match="No such file or directory"):
        drawing.save(tmp_path / "missing" / "up.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(UnconvError, match="Is a directory"):
        drawing.save(tmp_path / "folder.svg")
    with pytest.raises(UnconvError, match="frame 9 is outside the 9 frames"):
        drawing.save(tmp_path / "x.png", frame=9)
    with pytest.raises(UnconvError, match="scale 0 must be"):
        drawing.save(tmp_path / "x.png", scale=0)
    with pytest.raises(UnconvError, match=r"frame 1 chooses a still, and .gif holds them all"):
        drawing.save(tmp_path / "x.gif", frame=1)
    with pytest.raises(UnconvError, match=r"scale 2 multiplies pixels, and .svg has none"):
        drawing.save(tmp_path / "x.svg", scale=2)


def test_frame_and_scale_choose_the_still(tmp_path: Path) -> None:
    drawing = draw(CONV)
    with (
        Image.open(drawing.save(tmp_path / "1.png")) as one,
        Image.open(drawing.save(tmp_path / "2.png", scale=2)) as two,
    ):
        assert two.size == (2 * one.width, 2 * one.height)
    assert drawing.svg(frame=-1) == drawing.svg(frame=8) != drawing.svg(frame=0)
    assert drawing.frames[0].line in drawing.svg(frame=0)
    assert drawing.frames[1].line not in drawing.svg(frame=0)


def test_views_fit_the_operation() -> None:
    assert views_of(ConvTransposeGeometry(3, 3)) == VIEWS
    assert [drawing.scene.view for drawing in all_views(CONV)] == ["gather", "scatter", "matrix"]


def test_a_notebook_gets_a_picture_of_its_own() -> None:
    shown = draw(CONV)._repr_html_()
    assert shown.startswith('<img alt="Convolution" ')
    assert 'src="data:image/svg+xml;base64,' in shown


def test_files_are_the_same_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys, unconv as uc; g = uc.ConvTransposeGeometry((3, 3), 3, 2, 1, 1)\n"
        "for e in ('svg', 'gif', 'html', 'png'): uc.draw(g, 'zeros', 'random').save(f'{sys.argv[1]}.{e}')"
    )
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PATH": ""}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / seed)], check=True, env=environment)
    for ending in ("svg", "gif", "html", "png"):
        assert (tmp_path / f"1.{ending}").read_bytes() == (tmp_path / f"2.{ending}").read_bytes()


def test_words_of_habit_are_taken() -> None:
    layer, geometry = nn.Conv2d(1, 1, 3), ConvGeometry(input_size=(5, 5), kernel_size=3)
    assert draw(layer, input_size=5).frames == draw(layer, size=5).frames == draw(geometry).frames
    assert draw(geometry, numbers=True).frames == draw(geometry, numbers="random").frames
    assert draw(geometry, numbers=False).frames == draw(geometry).frames
