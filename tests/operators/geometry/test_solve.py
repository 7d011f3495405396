"""Solutions: all that lead from one size to another, what is held fixed, and the table."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

import unconv as uc
from unconv.operators.geometry.solutions import Solutions

NAMES = ("kernel_size", "stride", "padding", "output_padding", "dilation")


def settings_of(geometry: Any) -> tuple[int, ...]:
    values = [getattr(geometry, name, (0,))[0] for name in NAMES]
    return tuple(value[0] if isinstance(value, tuple) else value for value in values)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(1, 14), st.data())
def test_transposes_are_all_that_torch_has(start: int, end: int, data: st.DataObject) -> None:
    limits = (range(1, 5), range(1, 4), range(7), range(3), range(1, 3))
    fixed = {name: data.draw(st.sampled_from(limit)) for name, limit in zip(NAMES, limits, strict=True)
             if data.draw(st.booleans())}  # fmt: skip
    found = uc.solve_transpose(start, end, **fixed, max_kernel_size=4, max_stride=3)
    ranges = [(fixed[name],) if name in fixed else limit for name, limit in zip(NAMES, limits, strict=True)]
    ranges[4] = (fixed.get("dilation", 1),)
    expected = set()
    for k, s, p, a, d in product(*ranges):
        # What no window reaches is not looked for, and torch's own limit for a is s or d.
        if ("padding" not in fixed and p > d * (k - 1)) or ("output_padding" not in fixed and a >= s):
            continue
        try:
            y = F.conv_transpose1d(torch.zeros(1, 1, start), torch.zeros(1, 1, k), None, s, p, a, 1, d)
        except RuntimeError:
            continue
        if y.shape[-1] == end:
            expected.add((k, s, p, a, d))
    assert {settings_of(one) for one in found} == expected
    assert len(found) == len(expected)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 14), st.integers(1, 9), st.data())
def test_convolutions_are_all_that_torch_has(start: int, end: int, data: st.DataObject) -> None:
    names, limits = (*NAMES[:3], "dilation"), (range(1, 5), range(1, 4), range(7), range(1, 3))
    fixed = {name: data.draw(st.sampled_from(limit)) for name, limit in zip(names, limits, strict=True)
             if data.draw(st.booleans())}  # fmt: skip
    found = uc.solve_conv(start, end, **fixed, max_kernel_size=4, max_stride=3)
    ranges = [(fixed[name],) if name in fixed else limit for name, limit in zip(names, limits, strict=True)]
    ranges[3] = (fixed.get("dilation", 1),)
    expected = set()
    for k, s, p, d in product(*ranges):
        if "padding" not in fixed and p > d * (k - 1):
            continue
        try:
            y = F.conv1d(torch.zeros(1, 1, start), torch.zeros(1, 1, k), None, s, p, d)
        except RuntimeError:
            continue
        if y.shape[-1] == end:
            expected.add((k, s, p, d))
    assert {(one[0], one[1], one[2], one[4]) for one in map(settings_of, found)} == expected


def test_thirteen_to_fifty() -> None:
    found = uc.solve_transpose(13, 50, kernel_size=4)
    assert isinstance(found, Solutions)
    assert str(found).splitlines()[0] == "13 → 50: 2 transposed convolutions, the best first"
    assert str(found).splitlines()[2].split() == ["4", "4", "1", "0", "even"]
    for one in found:
        assert one.to_torch(8, 3)(torch.zeros(1, 8, 13)).shape == (1, 3, 50)
    both = uc.solve_transpose((13, 7), (50, 14), kernel_size=(4, 2))
    assert both[0].to_torch(8, 3)(torch.zeros(1, 8, 13, 7)).shape == (1, 3, 50, 14)


def test_the_first_convolutions_of_known_networks() -> None:
    resnet = uc.solve_conv(224, 112, kernel_size=7)[0]
    assert (resnet.stride, resnet.padding) == ((2,), ((3, 3),))
    assert uc.solve_conv(227, 55, kernel_size=11, padding=0)[0].stride == (4,)
    assert [one.padding[0][0] for one in uc.solve_conv(32, 32, stride=1, max_kernel_size=7)] == [0, 1, 2, 3]
    dilated = uc.solve_conv(32, 32, kernel_size=3, stride=1, dilation=2)
    assert dilated[0].padding == ((2, 2),)
    assert "dilation" in str(dilated)
    assert all(one.output_size == (5, 3) for one in uc.solve_conv((9, 7), (5, 3)))


def test_solutions_are_a_list_that_is_short_in_print() -> None:
    found = uc.solve_transpose(44, 88)
    assert list(found) == found == tuple(found)
    assert found != found[1:]
    assert hash(found) == hash(uc.solve_transpose(44, 88))
    assert found[-1] in found
    many = uc.solve_conv(5, 1)
    lines = repr(many).splitlines()
    assert len(lines) == 13
    assert lines[-1] == f"… {len(many) - 10} more"
    assert "<table>" in many._repr_html_()
    assert f"… {len(many) - 10} more" in many._repr_html_()
    frame = uc.solve_transpose(13, 50, kernel_size=4).to_dataframe()
    assert frame[["kernel_size", "stride", "padding", "output_padding"]].to_numpy().tolist() == [
        [4, 4, 1, 0],
        [4, 4, 2, 2],
    ]
    none = uc.solve_conv(4, 1000)
    assert none == []
    assert repr(none) == "4 → 1000: no convolution within the bounds; raise max_kernel_size or max_stride, or fix less"
    assert "<table>" not in none._repr_html_()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: uc.solve_transpose(13, 50, kernel_size=(4, 4), stride=(1, 2, 3)), "2 and 3 spatial axes"),
        (lambda: uc.solve_transpose(13, 50, kernel_size=0), "kernel 0 must be at least 1"),
        (lambda: uc.solve_conv(13, 50, max_stride="8"), "max_stride '8' is not a whole number"),
        (lambda: uc.solve_conv(13, 50, padding=-1), "padding -1 must be at least 0"),
        (lambda: uc.solve_conv(13, 50, dilation="2"), "dilation 2 has|'2' is not a whole number"),
    ],
)
def test_what_is_no_size_is_refused_in_a_line(call: Any, told: str) -> None:
    with pytest.raises(uc.errors.GeometryError, match=told):
        call()
