"""The HTML page holds everything it needs: drawings, words and script, and no reference to elsewhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from tests.explain.cases import all_views
from unconv.explain.drawing import draw
from unconv.explain.gallery import gallery_page
from unconv.explain.write.html import html_of
from unconv.operators.geometry.conv import ConvTransposeGeometry

UP = ConvTransposeGeometry((3, 3), 3, 2, 1, 1)


class Elements(HTMLParser):
    """Start tags and their attributes, and whether they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return html_of({drawing.scene.view: drawing.scene for drawing in all_views(UP)})


def test_nothing_is_fetched(page: str) -> None:
    assert set(re.findall(r"https?://[^\"' <]*", page)) == {"http://www.w3.org/2000/svg"}
    for tag, attributes in Elements(page).found:
        assert tag not in ("link", "iframe", "img")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")


def test_tags_close_and_names_are_unique(page: str) -> None:
    elements = Elements(page)
    assert elements.open == []
    names = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(names) == len(set(names))
    used = {attributes["href"][1:] for tag, attributes in elements.found if tag == "use" and attributes["href"]}
    assert used <= set(names)


def test_every_view_has_its_tab_and_its_lines(page: str) -> None:
    found = Elements(page).found
    scenes = [attributes for _, attributes in found if attributes.get("class") == "scene"]
    assert len([1 for _, attributes in found if attributes.get("role") == "tab"]) == len(scenes) == 4
    for attributes, drawing in zip(scenes, all_views(UP), strict=True):
        assert json.loads(attributes["data-lines"] or "") == [frame.line for frame in drawing.frames]


def test_controls_have_names(page: str) -> None:
    found = Elements(page).found
    for tag, attributes in found:
        if tag == "input" or (tag == "button" and attributes.get("role") != "tab"):
            assert attributes.get("aria-label")


def test_a_drawing_s_page_offers_the_other_views_and_starts_with_its_own() -> None:
    page = draw(UP, "scatter").html()
    selected = [
        attributes.get("aria-selected") for _, attributes in Elements(page).found if attributes.get("role") == "tab"
    ]
    assert selected == ["false", "true", "false", "false"]
    assert "scenes[1]" in page


def test_one_view_has_no_tabs() -> None:
    assert "tablist" not in draw(UP, in_channels=2).html()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_fixed_theme_does_not_follow_the_reader(theme: str) -> None:
    page = html_of({"Gather": draw(UP).scene}, theme)
    assert f'data-theme="{theme}"' in page
    svg = page[page.index("<svg") : page.index("</svg>")]
    assert "prefers-color-scheme" not in svg


def test_the_gallery_shows_every_drawing() -> None:
    page = gallery_page([("up", draw(UP)), ("up_scatter", draw(UP, "scatter"))])
    sources = [attributes["src"] for tag, attributes in Elements(page).found if tag == "img"]
    assert sources == ["up.svg", "up_scatter.svg"]
