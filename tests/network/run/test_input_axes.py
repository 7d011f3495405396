"""What the axes of an input are, as einops and torch write them."""

from __future__ import annotations

import pytest

from unconv.errors import ModelError
from unconv.network.run.input_axes import read_axes, usual_axes


@pytest.mark.parametrize(
    "spellings",
    [
        ["h w c", "hwc", "HWC", "NHWC", "b h w c", "batch h w channels", " H  W features ", ["hwc"]],
        ["t", "T", "n t", "BT"],
        ["t c", "TC", "b t c", "t features", "n t channel"],
        ["c h w, t", "CHW,T", ["chw", "b t"], ("n c h w", "t")],
    ],
)
def test_spellings_say_the_same(spellings: list[str]) -> None:
    assert len({read_axes(one) for one in spellings}) == 1


def test_what_is_no_place_is_units() -> None:
    views = read_axes("c c h w")[0]
    assert (views.places, views.sizes((4, 3, 32, 24))) == ((2, 3), (32, 24))
    assert read_axes("t mel")[0].places == (0, 1)
    assert read_axes(None) == ()


def test_usual_axes_are_what_torch_takes() -> None:
    for axes, letters in enumerate(("C", "CL", "CHW", "CDHW"), start=1):
        assert usual_axes((3,) * axes).names == read_axes(letters)[0].names


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ("", "must name each axis"),
        ("h w (c)", "must name each axis"),
        ("h w ->", "must name each axis"),
        ("h, ,w", "must name each axis"),
        ("h h c", "names h twice"),
        ("t z y x", "4 places of 4 axes"),
        ("time", "words are set apart by spaces"),
        ("c n h", "the batch is the first axis"),
        ("n", "0 places of 0 axes"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_line(axes: str, why: str) -> None:
    with pytest.raises(ModelError, match=why) as refused:
        read_axes(axes, "audit")
    assert str(refused.value).startswith("audit: axes")
    assert "\n" not in str(refused.value)
