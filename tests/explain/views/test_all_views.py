"""A view that stands in the table is known everywhere: drawn, listed, on the command line, a tab of the page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.explain.cases import EVERY_KIND
from unconv.cli.arithmetic.commands import app
from unconv.errors import GeometryError
from unconv.explain.drawing import draw
from unconv.explain.numbers import Numbers
from unconv.explain.scene import Scene
from unconv.explain.views.all_views import VIEWS, View, views_of
from unconv.explain.views.gather import gather
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import POOLINGS

COMMANDS = {kind.kind.name: kind for kind in (ConvGeometry, ConvTransposeGeometry, *POOLINGS)}


def summary(geometry: Geometry, numbers: Numbers | None) -> Scene:
    return replace(gather(geometry, numbers), view="summary")


@pytest.fixture
def with_one_more(monkeypatch: pytest.MonkeyPatch) -> View:
    view = View("summary", "In short", "everything at a glance", summary, suits=lambda shape: not shape.transposed)
    monkeypatch.setitem(VIEWS, view.name, view)
    return view


def page_of_help(command: str) -> str:
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "400"}).output
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_offers_the_views_that_suit_and_no_others(command: str, with_one_more: View) -> None:
    text = page_of_help(command)
    for view in VIEWS.values():
        offered = view.name in views_of(COMMANDS[command])
        assert (f"{view.name} ({view.shows})" in text) is offered, view.name
    assert (with_one_more.shows in text) is (command != "transpose")


@pytest.mark.usefixtures("with_one_more")
@pytest.mark.parametrize("geometry", EVERY_KIND, ids=lambda geometry: f"{geometry.operation}-{geometry.dimensions}")
def test_a_view_is_drawn_where_it_suits_and_refused_elsewhere(geometry: Geometry) -> None:
    for name, view in VIEWS.items():
        if view.suits(geometry):
            assert draw(geometry, name).scene.view == name
        else:
            with pytest.raises(
                GeometryError, match=f"has no view '{name}'; use one of {', '.join(views_of(geometry))}"
            ):
                draw(geometry, name)


@pytest.mark.parametrize("geometry", [ConvGeometry((5, 5), 3), ConvTransposeGeometry((3, 3), 3, 2)])
def test_the_page_has_a_tab_for_each_view_in_the_order_of_the_table(geometry: Geometry, with_one_more: View) -> None:
    for view in views_of(geometry):
        page = draw(geometry, view).html()
        tabs = re.findall(r'role="tab"[^>]*>([^<]*)<', page)
        assert tabs == [other.title for other in views_of(geometry).values()]
        assert (with_one_more.title in tabs) is not geometry.transposed


@pytest.mark.usefixtures("with_one_more")
def test_errors_list_the_views() -> None:
    with pytest.raises(GeometryError, match=f"view 'nought' is not known; use one of {', '.join(VIEWS)}"):
        draw(ConvGeometry(5, 3), "nought")
    refusal = CliRunner().invoke(app, ["conv", "-i", "5", "-k", "3", "--view", "nought"]).exception
    assert f"use one of {', '.join(VIEWS)}" in str(refusal)


@pytest.mark.usefixtures("with_one_more")
def test_channels_are_drawn_by_the_views_that_have_such_a_picture() -> None:
    for name, view in views_of(ConvGeometry).items():
        if view.with_channels is None:
            with pytest.raises(GeometryError, match=f"view '{name}' shows one channel; several .* view 'gather'"):
                draw(ConvGeometry((5, 5), 3), name, out_channels=2)
        else:
            assert len(draw(ConvGeometry((5, 5), 3), name, out_channels=2).scene.grids) > 3
