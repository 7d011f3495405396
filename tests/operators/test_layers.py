"""torch's layers as geometries and geometries as torch's layers, against what torch's layers return."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

import unconv as uc
from unconv.errors import GeometryError
from unconv.operators.geometry.base import Geometry

LAYERS: dict[str, dict[int, Any]] = {
    "conv": {n: getattr(nn, f"Conv{n}d") for n in (1, 2, 3)},
    "transpose": {n: getattr(nn, f"ConvTranspose{n}d") for n in (1, 2, 3)},
    "maxpool": {n: getattr(nn, f"MaxPool{n}d") for n in (1, 2, 3)},
    "avgpool": {n: getattr(nn, f"AvgPool{n}d") for n in (1, 2, 3)},
}


@st.composite
def layers(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A layer of torch, and the size of an input that it may or may not take."""
    kind = draw(st.sampled_from(list(LAYERS)))
    axes = draw(st.integers(1, 3))

    def sizes(least: int, most: int) -> Any:
        one = st.integers(least, most)
        return draw(one | st.tuples(*[one] * axes))

    kernel, stride, padding, dilation = sizes(1, 4), sizes(1, 3), sizes(0, 2), sizes(1, 2)
    settings_: dict[str, Any] = {"stride": stride, "padding": padding}
    if kind == "conv":
        settings_ |= {"dilation": dilation}
        settings_["padding_mode"] = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
        if draw(st.integers(0, 3)) == 0:
            settings_ |= {"padding": draw(st.sampled_from(["same", "valid"])), "stride": 1}
    elif kind == "transpose":
        settings_ |= {"dilation": dilation, "output_padding": sizes(0, 1)}
    elif kind == "maxpool":
        settings_ |= {"dilation": dilation, "ceil_mode": draw(st.booleans())}
    else:
        settings_ |= {"ceil_mode": draw(st.booleans()), "count_include_pad": draw(st.booleans())}
        if axes == 1:
            settings_["stride"], settings_["padding"] = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    if "pool" in kind and draw(st.booleans()):
        del settings_["stride"]
    channels = (3, 2) if kind in ("conv", "transpose") else ()
    layer = LAYERS[kind][axes](*channels, kernel, **settings_)
    most = 9 if axes < 3 else 6
    return layer, tuple(draw(st.integers(1, most)) for _ in range(axes))


@pytest.mark.filterwarnings("ignore:Using padding=.same.:UserWarning")
@settings(deadline=None, max_examples=80)
@given(layers())
def test_a_layers_geometry_has_the_size_that_the_layer_returns(case: tuple[nn.Module, tuple[int, ...]]) -> None:
    layer, size = case
    x = torch.zeros(1, 3, *size)
    try:
        expected = tuple(layer(x).shape[2:])
    except (RuntimeError, ValueError):
        expected = None
    if expected is None and hasattr(layer, "ceil_mode"):
        # Small inputs, and paddings of half a dilated kernel, are refused by torch in some dimensions only.
        return
    if expected is None or 0 in expected:
        with pytest.raises(GeometryError):
            uc.ConvGeometry.of(layer, size)
        return
    found = uc.ConvGeometry.of(layer, size)
    assert isinstance(found, Geometry)
    assert found.output_size == expected
    assert found.kind.name in type(found).__name__.lower()
    assert found == uc.ConvGeometry.of(layer, x) == uc.operators.AvgPoolGeometry.of(layer, (3, *size))
    assert found == uc.ConvTransposeGeometry.of(layer, (1, 3, *size)) == uc.ConvGeometry.of(layer, x[0])
    if len(set(size)) == 1:
        assert found == uc.ConvGeometry.of(layer, size[0])


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Any geometry, with paddings that may differ at both ends."""
    kind = draw(
        st.sampled_from(
            [uc.ConvGeometry, uc.ConvTransposeGeometry, uc.operators.MaxPoolGeometry, uc.operators.AvgPoolGeometry]
        )
    )
    axes = draw(st.integers(1, 3))

    def sizes(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    before = sizes(0, 2)
    after = draw(st.just(before) | st.tuples(*[st.integers(0, 2)] * axes))
    settings_: dict[str, Any] = {"padding": tuple(zip(before, after, strict=True))}
    if kind is not uc.operators.AvgPoolGeometry:
        settings_["dilation"] = sizes(1, 2)
    if kind is uc.ConvTransposeGeometry:
        settings_["output_padding"] = sizes(0, 1)
    if kind in (uc.operators.MaxPoolGeometry, uc.operators.AvgPoolGeometry):
        settings_["ceil_mode"] = draw(st.booleans())
    if kind is uc.operators.AvgPoolGeometry:
        settings_["count_include_pad"] = draw(st.booleans())
    try:
        return kind(sizes(1, 7), sizes(1, 4), sizes(1, 3), **settings_)
    except GeometryError:
        return uc.ConvGeometry((3,) * axes, 3)


@settings(deadline=None, max_examples=80)
@given(geometries())
def test_a_geometrys_layer_returns_its_size(geometry: Geometry) -> None:
    even = all(before == after for before, after in geometry.padding)
    weighted = geometry.kind.weighted
    if isinstance(geometry, uc.operators.MaxPoolGeometry):
        even &= all(pair[0] <= k // 2 for pair, k in zip(geometry.padding, geometry.kernel_size, strict=True))
    try:
        layer = geometry.to_torch(*((4, 2) if weighted else ()))
    except GeometryError:
        # Poolings whose sides differ are all that torch may lack.
        assert not even
        assert not weighted
        return
    assert tuple(layer(torch.zeros(1, 4, *geometry.input_size)).shape[2:]) == geometry.output_size
    assert isinstance(layer, nn.Sequential) == (not even)
    if even:
        assert uc.ConvGeometry.of(layer, geometry.input_size) == geometry


@settings(deadline=None, max_examples=40)
@given(geometries())
def test_layers_of_uneven_padding_compute_what_the_operators_do(geometry: Geometry) -> None:
    x = torch.randn(1, 1, *geometry.input_size, dtype=torch.float64)
    try:
        layer = geometry.to_torch(1, 1, bias=False).double()
    except GeometryError:
        return
    if isinstance(geometry, uc.ConvGeometry | uc.ConvTransposeGeometry):
        weight = next(layer.parameters()).detach()
        expected = torch.zeros(geometry.output_size, dtype=torch.float64)
        for output in itertools.product(*map(range, geometry.output_size)):
            for taps in itertools.product(*geometry.taps_of(output)):
                tap, cell = (tuple(part) for part in zip(*taps, strict=True))
                expected[output] += weight[0, 0][tap] * x[0, 0][cell]
        torch.testing.assert_close(layer(x)[0, 0].detach(), expected)
    elif isinstance(geometry, uc.operators.MaxPoolGeometry):
        for output in itertools.product(*map(range, geometry.output_size)):
            seen = [float(x[0, 0][cell]) for cell in itertools.product(*geometry.inputs_of(output))]
            assert float(layer(x)[0, 0][output]) == max(seen, default=-float("inf"))


def test_one_axis_may_stand_for_several() -> None:
    up = uc.solve_transpose(13, 50, kernel_size=4)[0].to_torch(8, 3, dim=2)
    assert isinstance(up, nn.ConvTranspose2d)
    assert up(torch.zeros(1, 8, 13, 13)).shape == (1, 3, 50, 50)
    pool = uc.operators.MaxPoolGeometry(7, 3, 2, 1).to_torch(dim=3)
    assert pool(torch.zeros(1, 2, 7, 7, 7)).shape == (1, 2, 4, 4, 4)
    grouped = uc.ConvGeometry((7, 7), 3).to_torch(4, 6, groups=2, bias=False, dtype=torch.float64)
    assert (grouped.groups, grouped.bias, grouped.weight.dtype) == (2, None, torch.float64)


def test_layers_of_ours_have_geometries_too() -> None:
    for layer in (
        uc.upsample.ConvTranspose2d(3, 2, 4, 2, 1),
        uc.upsample.ConvTransposeTo2d(3, 2, 3, 2),
        uc.upsample.ConvTransposeTo2d(3, 2, 3, 2, ((0, 1), (1, 1))),
    ):
        found = uc.ConvTransposeGeometry.of(layer, (3, 5, 7))
        assert found.output_size == tuple(layer(torch.zeros(1, 3, 5, 7)).shape[2:])


def test_draw_takes_a_layer_and_a_size() -> None:
    layer = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    expected = uc.draw(uc.ConvGeometry((5, 5), 3, 2, 1), "matrix")
    for drawing in (
        uc.draw(layer, 5, "matrix"),
        uc.draw(layer, (5, 5), view="matrix"),
        uc.draw(layer, size=torch.zeros(1, 3, 5, 5), view="matrix"),
        uc.draw(layer=layer, size=5, view="matrix"),
    ):
        assert drawing.frames == expected.frames
    assert uc.draw(uc.ConvGeometry(5, 3), "gather", 1).frames == uc.draw(nn.Conv1d(1, 1, 3), 5, "gather", 1).frames


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: uc.ConvGeometry.of(nn.Linear(3, 3), 3), "Linear is no layer with one geometry; give nn.Conv1d to 3d"),
        (lambda: uc.ConvGeometry.of(nn.AdaptiveAvgPool2d(1), 3), "AdaptiveAvgPool2d is no layer with one geometry"),
        (lambda: uc.ConvGeometry.of(nn.Conv2d(3, 1, 3), (4, 7, 7)), "takes 3 channels, and size .4, 7, 7. has 4"),
        (lambda: uc.ConvGeometry.of(nn.Conv2d(3, 1, 3), torch.zeros(7, 7)), "is not .channels, .size. or .batch"),
        (lambda: uc.ConvGeometry.of(nn.Conv2d(3, 1, 3), "7x7"), "is not a whole number|has . entries"),
        (lambda: uc.ConvGeometry.of(nn.AvgPool2d(2, divisor_override=3), 4), "divisor_override 3 is no mean"),
        (lambda: uc.ConvGeometry.of(nn.Conv1d(1, 1, 3, padding=3, padding_mode="reflect"), 3), "needs 4 cells, and"),
        (lambda: uc.ConvGeometry.of(nn.Conv2d, 3), "the class Conv2d is no layer"),
        (lambda: uc.ConvGeometry(5, 3).to_torch(3, 4, device="gpu"), "torch has no such layer: Expected one of cpu"),
        (lambda: uc.ConvGeometry(5, 3).to_torch(), "needs in_channels and out_channels"),
        (lambda: uc.ConvGeometry(5, 3).to_torch(3, 4, groups=2), "torch has no such layer: in_channels must be"),
        (lambda: uc.ConvGeometry((5, 5), 3).to_torch(1, 1, dim=3), "a geometry of 2 axes cannot be one of dim 3"),
        (lambda: uc.operators.MaxPoolGeometry(5, 3).to_torch(3, 4), "a pooling keeps its 3 channels"),
        (
            lambda: uc.operators.AvgPoolGeometry(5, 3, 1, ((0, 1),), False, False).to_torch(),
            "leaves two different paddings out",
        ),
        (lambda: uc.draw(nn.Conv2d(3, 1, 3)), "draw: a layer needs the size of its input"),
        (lambda: uc.draw(nn.Conv2d(3, 1, 3), "matrix"), "draw: a layer needs the size of its input"),
        (lambda: uc.draw(uc.ConvGeometry(5, 3), "gather", view="matrix"), "argument 'view' is given twice"),
        (lambda: uc.draw(uc.ConvGeometry(5, 3), size=3), "argument 'size' is not known"),
        (lambda: uc.draw(uc.ConvGeometry(5, 3), "gather", 1, 2), "draw: 4 arguments; give geometry, view, numbers"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(call: Any, told: str) -> None:
    with pytest.raises(uc.UnconvError, match=told) as refusal:
        call()
    assert "\n" not in str(refusal.value)
