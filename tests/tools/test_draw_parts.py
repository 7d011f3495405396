"""The figure of the parts and the list of rooms say what the imports say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def draw_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    sys.modules.pop("draw_parts", None)
    import draw_parts

    return draw_parts


def test_figure_and_guide_are_as_the_code(draw_parts) -> None:
    ways_out = "run python tools/draw_parts.py, and look at docs/images/parts.svg"
    figure = draw_parts.figure(draw_parts.not_implied(draw_parts.arrows()))
    assert draw_parts.FIGURE.read_text(encoding="utf-8") == figure, ways_out
    text = draw_parts.GUIDE.read_text(encoding="utf-8")
    assert text == draw_parts.guide(text), ways_out


def test_every_part_stands_somewhere_and_every_arrow_points_down(draw_parts) -> None:
    parts = {path.parent.name for path in draw_parts.PACKAGE.glob("*/__init__.py")}
    assert parts | {"errors"} == set(draw_parts.PLACES)
    floors = {part: floor for part, (floor, _) in draw_parts.PLACES.items()}
    for above, below in draw_parts.arrows().items():
        assert all(floors[above] < floors[part] for part in below), above


def test_every_room_says_what_it_is(draw_parts) -> None:
    rooms = {room: about for part in draw_parts.PLACES for room, about in draw_parts.rooms_of(part).items()}
    assert all(about.endswith(".") and 20 < len(about) <= 120 for about in rooms.values())
    assert len(set(rooms.values())) == len(rooms)


def test_no_room_holds_more_than_sixteen_files(draw_parts) -> None:
    for face in draw_parts.PACKAGE.rglob("__init__.py"):
        files = [path for path in face.parent.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 16, face.parent
