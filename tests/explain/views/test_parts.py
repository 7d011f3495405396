"""What all views share: roles agree with the geometry, long animations are thinned, large ones refused."""

from __future__ import annotations

from itertools import product

import pytest

from tests.explain.cases import EVERY_KIND
from unconv.errors import GeometryError
from unconv.explain.drawing import draw
from unconv.explain.views.parts import MAX_CELLS, MAX_FRAMES, DrawingLimitError, Roles, thinned
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry


@pytest.mark.parametrize("geometry", EVERY_KIND, ids=repr)
def test_unread_and_unfed_are_the_cells_without_connections(geometry: Geometry) -> None:
    roles = Roles(geometry)
    for cell in product(*map(range, geometry.input_size)):
        assert (roles.input(cell) == "unread") == (not all(geometry.outputs_of(cell)))
    for output in product(*map(range, geometry.output_size)):
        if roles.output(output) == "unfed":
            assert not all(geometry.inputs_of(output))


@pytest.mark.parametrize("count", [1, MAX_FRAMES, MAX_FRAMES + 1, 5000])
def test_thinning_keeps_the_ends_and_says_so(count: int) -> None:
    steps = [(n,) for n in range(count)]
    chosen, note = thinned(steps)
    assert chosen[0] == steps[0]
    assert chosen[-1] == steps[-1]
    assert len(set(chosen)) == len(chosen) == min(count, MAX_FRAMES)
    assert list(chosen) == sorted(chosen)
    assert bool(note) == (count > MAX_FRAMES)


def test_a_long_animation_says_what_it_leaves_out() -> None:
    drawing = draw(ConvGeometry((28, 28), 5))
    assert len(drawing.frames) == MAX_FRAMES
    assert drawing.note == "120 of 576 steps are shown."
    assert drawing.note in drawing.svg()


def test_what_is_too_large_is_refused_at_once() -> None:
    with pytest.raises(DrawingLimitError, match=f"picture holds {MAX_CELLS:,}") as refusal:
        draw(ConvGeometry((4096, 4096), 7))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("size", [(1000,), (400, 3), (3, 400), (90, 90)])
def test_what_would_not_fit_a_page_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(DrawingLimitError, match=r"cells in a line, a picture holds 160|a picture holds 6,000"):
        draw(ConvGeometry(size, 1))


def test_the_widest_drawings_keep_a_sane_size() -> None:
    for size in ((160,), (40, 74), (160, 2), (2, 160), (12, 9, 9)):
        page = draw(ConvGeometry(size, 1)).page
        assert page.width < 1000
        assert page.height < 1100


def test_numbers_need_room() -> None:
    for size in ((20, 20), (28, 28), (40_000, 40_000)):
        with pytest.raises(GeometryError, match="a picture with numbers holds 600"):
            draw(ConvGeometry(size, 3), numbers="random")
