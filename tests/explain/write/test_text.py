"""The text picture shows the same cells as the drawn one, or says nothing."""

from __future__ import annotations

import pytest

from tests.explain.cases import EVERY_KIND, all_views
from unconv.explain.drawing import draw
from unconv.explain.write.text import TALLEST, WIDEST, text_of
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry

EXPECTED = """\
Input 5 × 5, padding 1   Output 3 × 3
▪ ▪ ▪ · · · ·            ■ □ □
▪ ■ ■ □ □ □ ·            □ □ □
▪ ■ ■ □ □ □ ·            □ □ □
· □ □ □ □ □ ·
· □ □ □ □ □ ·
· □ □ □ □ □ ·
· · · · · · ·

■ lit   ▪ lit, but holds no value   · padding or zero"""


def test_a_padded_strided_convolution() -> None:
    assert text_of(draw(ConvGeometry((5, 5), 3, 2, 1)).scene, 0) == EXPECTED


def test_output_padding_and_cut_cells_have_their_signs() -> None:
    text = text_of(draw(ConvTransposeGeometry(3, 3, 2, 1, 1), "scatter").scene, 0)
    assert text is not None
    assert "▪ ■ ■ □ □ □ ▢" in text


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_lit_signs_are_as_many_as_lit_cells(geometry: Geometry) -> None:
    for drawing in all_views(geometry)[:-1]:
        for number, frame in enumerate(drawing.frames):
            text = text_of(drawing.scene, number)
            if text is not None:
                picture = text.rsplit("\n\n", 1)[0]
                assert picture.count("■") + picture.count("▪") == sum(m.tone != "row" for m in frame.marks)


def test_numbers_stand_in_the_cells() -> None:
    scene = draw(ConvGeometry(3, 2), numbers=([1, 2, 3], [10, 1])).scene
    text = text_of(scene, 1)
    assert text is not None
    assert text.splitlines()[1] == " 1 [2][3]"
    assert "12 [23]" in text


def test_what_does_not_fit_a_terminal_is_left_out() -> None:
    assert text_of(draw(ConvGeometry((50, 50), 5)).scene, 0) is None
    assert text_of(draw(ConvGeometry((TALLEST // 2, WIDEST // 8), 3)).scene, 0) is not None
