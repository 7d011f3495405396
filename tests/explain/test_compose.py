"""Pages: nothing overlaps, nothing leaves the page, every letter has a glyph."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, strategies as st

from tests.explain.cases import EVERY_KIND, all_views
from unconv.explain.compose import convex_hull, page_of
from unconv.explain.drawing import draw
from unconv.explain.fonts import font, text_width
from unconv.explain.layout import NARROWEST_TEXT, wrapped
from unconv.explain.page import BODY, Label, Page
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry

DRAWINGS = [drawing for geometry in EVERY_KIND for drawing in all_views(geometry, numbers=5)] + [
    draw(ConvGeometry((32, 32), 5), in_channels=3, out_channels=2),
    draw(ConvGeometry(6, 3), in_channels=4, out_channels=4, groups=2),
]


def labels_of(page: Page) -> list[Label]:
    return [*page.labels, *page.cell_labels, *(label for frame in page.frames for label in frame.labels)]


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda d: f"{d.scene.title}-{d.scene.subtitle}-{d.scene.view}")
def test_everything_is_on_the_page(drawing) -> None:  # type: ignore[no-untyped-def]
    page = page_of(drawing.scene)
    for tiles in (*page.tiles, *(group for frame in page.frames for group in frame.tiles)):
        for tile in tiles:
            assert 0 <= tile.x <= page.width - tile.size
            assert 0 <= tile.y <= page.height - tile.size
    for label in labels_of(page):
        width = text_width(label.text, label.size, label.bold)
        left = label.x - {"start": 0, "middle": width / 2, "end": width}[label.anchor]
        assert left >= 0, label
        assert left + width <= page.width, label
        assert label.size <= label.y < page.height, label


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda d: f"{d.scene.title}-{d.scene.subtitle}-{d.scene.view}")
def test_headings_and_captions_do_not_overlap(drawing) -> None:  # type: ignore[no-untyped-def]
    boxes = []
    for label in page_of(drawing.scene).labels:
        width = text_width(label.text, label.size, label.bold)
        left = label.x - {"start": 0, "middle": width / 2, "end": width}[label.anchor]
        boxes.append((label.text, left, label.y - label.size * 0.75, left + width, label.y + label.size * 0.2))
    for (one, *a), (two, *b) in combinations(boxes, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (one, two)


@pytest.mark.parametrize("bold", [False, True])
def test_every_letter_has_a_glyph(bold: bool) -> None:
    letters = {letter for drawing in DRAWINGS for label in labels_of(drawing.page) for letter in label.text}
    letters |= set("⌊⌋⌈⌉′−·×≈→ᵀ₁₂…")
    typeface = font(40, bold)
    missing = bytes(typeface.getmask("\ufffe"))
    assert [letter for letter in letters - {" "} if bytes(typeface.getmask(letter)) == missing] == []


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_video_sizes_are_even(geometry: Geometry) -> None:
    page = draw(geometry).page
    assert (page.width % 2, page.height % 2) == (0, 0)


@given(st.text("abc =/+", min_size=1, max_size=120), st.integers(60, 400))
def test_wrapping_keeps_every_word_in_order(text: str, limit: int) -> None:
    lines = wrapped(text, limit)
    assert "".join(lines).split() == text.split() or "".join("".join(lines).split()) == "".join(text.split())


def test_formulas_break_before_equal_signs() -> None:
    long = "Relation 15:  o = ⌊(i + 2p − k − (k − 1)(d − 1))/s⌋ + 1 = ⌊(7 + 2·0 − 3 − (3 − 1)·(2 − 1))/1⌋ + 1 = 3"
    lines = wrapped(long, NARROWEST_TEXT)
    assert len(lines) == 2
    assert lines[1].strip().startswith("= ⌊(7")
    assert all(text_width(line, BODY) <= NARROWEST_TEXT for line in lines)


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=30))
def test_the_hull_holds_every_point(points: list[tuple[int, int]]) -> None:
    hull = convex_hull(points)
    assert set(hull) <= set(points)
    if len(hull) > 2:
        for (x0, y0), (x1, y1) in zip(hull, (*hull[1:], hull[0]), strict=True):
            assert all((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0 for x, y in points)
