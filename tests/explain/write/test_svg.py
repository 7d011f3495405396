"""SVG: well-formed, self-contained, small, and at every moment the frame that the scene says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tests.explain.cases import EVERY_KIND, all_views
from unconv.explain.compose import page_of
from unconv.explain.drawing import draw
from unconv.explain.write.svg import svg_of
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry

NAME = "{http://www.w3.org/2000/svg}"
UP = ConvTransposeGeometry((3, 3), 3, 2, 1, 1)


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_it_is_well_formed_and_fetches_nothing(geometry: Geometry) -> None:
    for drawing in all_views(geometry, numbers=2):
        text = drawing.svg()
        root = ET.fromstring(text)
        assert root.get("viewBox") == f"0 0 {drawing.page.width} {drawing.page.height}"
        assert re.findall(r"https?://[^\"' ]*", text) == ["http://www.w3.org/2000/svg"]
        assert "url(" not in text
        assert "@import" not in text
        names = {element.get("id") for element in root.iter() if element.get("id")}
        used = {element.get("href") for element in root.iter(f"{NAME}use")}
        assert used <= {f"#{name}" for name in names}


def shown_at(root: ET.Element, moment: float) -> list[str]:
    """Texts of the elements that are visible at a moment, by the file's own style rules."""
    style = root.find(f"{NAME}style").text  # type: ignore[union-attr]
    total = float(re.search(r"\.f\{visibility:hidden;animation:([\d.]+)s step-end infinite\}", style).group(1))  # type: ignore[arg-type, union-attr]
    shares = {
        int(n): float(share)
        for n, share in re.findall(r"@keyframes k(\d+)\{0%\{visibility:visible\}([\d.]+)%,to", style)
    }  # type: ignore[arg-type]
    texts = []
    for group in root.iter(f"{NAME}g"):
        kind = re.match(r"f f(\d+)", group.get("class", ""))
        if kind is None:
            continue
        delay = float(re.sub(r"[^\d.]", "", group.get("style", "0")) or 0)
        inside = (moment - delay) % total if moment >= delay else total
        if inside < total * shares[int(kind.group(1))] / 100 - 1e-6:
            texts += ["".join(text.itertext()) for text in group.iter(f"{NAME}text")]
    return texts


@pytest.mark.parametrize("numbers", [None, "random"])
@pytest.mark.parametrize("view", ["gather", "scatter", "zeros"])
def test_each_moment_shows_the_words_of_its_frame(view: str, numbers: str | None) -> None:
    drawing = draw(UP, view, numbers)
    root = ET.fromstring(drawing.svg())
    for number, frame in enumerate(drawing.page.frames):
        for turn in (0, len(drawing.frames)):
            moment = (number + turn + 0.5) * drawing.scene.seconds
            still = [label.text for label in frame.labels if _stays(drawing.page.frames, label)]
            assert sorted(shown_at(root, moment) + still) == sorted(label.text for label in frame.labels)


def _stays(frames, label) -> bool:  # type: ignore[no-untyped-def]
    return all(label in frame.labels for frame in frames)


def test_scripted_elements_carry_their_frames() -> None:
    drawing = draw(UP)
    text = svg_of(drawing.scene, drawing.page, scripted=True)
    spans = [tuple(map(int, span.split())) for span in re.findall(r'data-frames="([\d ]+)"', text)]
    assert "animation" not in text
    for number in range(len(drawing.frames)):
        assert any(first <= number <= last for first, last in spans)
    lines = re.findall(r'data-frames="(\d+) \1"><text class="accent"[^>]*>([^<]*)<', text)
    assert [(int(n), line) for n, line in lines] == [(n, frame.line) for n, frame in enumerate(drawing.frames)]


def test_a_still_does_not_move() -> None:
    text = draw(UP).svg(frame=3)
    assert "animation" not in text
    assert "visibility" not in text


def test_frames_cost_little() -> None:
    drawing = draw(ConvGeometry((9, 9), 3, 1, 1))
    still, moving = len(drawing.svg(frame=0)), len(drawing.svg())
    assert (moving - still) / len(drawing.frames) < 0.08 * still


def test_themes_are_as_asked() -> None:
    drawing = draw(UP)
    light, dark, auto = (svg_of(drawing.scene, drawing.page, theme) for theme in ("light", "dark", "auto"))
    assert "prefers-color-scheme" in auto
    assert "prefers-color-scheme" not in light + dark
    assert ".page{fill:#ffffff}" in light
    assert ".page{fill:#ffffff}" not in dark


def test_words_are_escaped() -> None:
    from dataclasses import replace

    scene = replace(draw(UP).scene, title='<b> & "')
    assert ET.fromstring(svg_of(scene, page_of(scene))).find(f"{NAME}title").text.startswith('<b> & "')  # type: ignore[union-attr]
