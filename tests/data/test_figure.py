"""Figures show themselves as PNG and leave nothing behind in pyplot."""

from __future__ import annotations

from matplotlib import pyplot

from unconv.data.figure import BLUE, bare, blank, frame, ruled


def test_a_figure_is_a_picture_of_its_size_and_unknown_to_pyplot() -> None:
    figure = blank(3, 2)
    one, two = figure.subplots(1, 2)
    bare(one, "picture").imshow([[0.0, 1.0]])
    frame(one, BLUE)
    ruled(two, "curve", "steps").plot([1.0, 2.0])
    data = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == 330
    assert pyplot.get_fignums() == []
    assert not one.xaxis.get_ticklocs().size
    assert not two.spines["top"].get_visible()
