"""Receptive fields against the set of inputs that a chain of connections really reaches."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

import unconv as uc
from tests.operators.strategies import conv_axes, transpose_axes
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.receptive import AxisField, ReceptiveField


@st.composite
def chains(draw: st.DrawFn) -> list[Geometry]:
    """Two to four 1-D layers, down and up, each as large as the one before puts out."""
    layers: list[Geometry] = []
    size = draw(st.integers(6, 20))
    for _ in range(draw(st.integers(2, 4))):
        if draw(st.booleans()):
            _, kernel, stride, padding, dilation = draw(conv_axes(9))
            if dilation * (kernel - 1) + 1 > size + 2 * padding:
                continue
            layers.append(uc.ConvGeometry(size, kernel, stride, padding, dilation))
        else:
            _, kernel, stride, _, extra, dilation = draw(transpose_axes(4))
            layers.append(uc.ConvTransposeGeometry(size, kernel, stride, 0, extra, dilation))
        size = layers[-1].output_size[0]
        if size > 200:
            break
    return layers


def unpadded_reach(layers: list[Geometry], unit: int) -> set[int]:
    """Input cells connected to a unit, where every layer is as if it went on for ever on both sides."""
    reached = {unit}
    for layer in reversed(layers):
        (walk,) = layer.walks
        if layer.transposed:
            reached = {
                (cell + walk.pad_before - walk.dilation * tap) // walk.stride
                for cell in reached
                for tap in range(walk.kernel_size)
                if (cell + walk.pad_before - walk.dilation * tap) % walk.stride == 0
            }
        else:
            reached = {walk.position(output, tap) for output in reached for tap in range(walk.kernel_size)}
    return reached


@settings(max_examples=400, deadline=None)
@given(chains(), st.integers(-5, 40))
def test_field_of_a_chain_is_the_hull_of_what_it_reaches(layers: list[Geometry], unit: int) -> None:
    field = ReceptiveField.of_pixels(1)
    for layer in layers:
        field = field.then(layer.receptive_field)
    ((start, stop),) = field.of((unit,))
    reached = unpadded_reach(layers, unit)
    # Between layers the hull stands for the set, so that it may be wider where upsampling has left holes.
    if reached:
        assert start <= min(reached)
        assert max(reached) < stop
    if not any(layer.transposed for layer in layers):
        assert (start, stop) == (min(reached), max(reached) + 1)


@settings(max_examples=200, deadline=None)
@given(chains().filter(bool), st.integers(1, 12))
def test_units_of_a_layer_that_has_few_see_what_they_see_without_an_end(layers: list[Geometry], extent: int) -> None:
    *before, last = layers
    field = ReceptiveField.of_pixels(1)
    for layer in before:
        field = field.then(layer.receptive_field)
    (below,), (axis,) = field.axes, last.receptive_field.axes
    endless, cut = below.then(axis), below.then(axis, extent)
    assert cut.stride == endless.stride
    assert cut.period <= max(extent, axis.period)
    assert [cut.of(unit) for unit in range(extent)] == [endless.of(unit) for unit in range(extent)]


@settings(max_examples=200, deadline=None)
@given(chains(), chains(), st.integers(0, 30))
def test_union_is_the_hull_of_both_branches(one: list[Geometry], two: list[Geometry], unit: int) -> None:
    fields = []
    for layers in (one, two):
        field = ReceptiveField.of_pixels(1)
        for layer in layers:
            field = field.then(layer.receptive_field)
        fields.append(field)
    first, second = fields
    if first.stride != second.stride:
        with pytest.raises(uc.errors.GeometryError, match="cannot be joined"):
            first.union(second)
        return
    joined = first.union(second).of((unit,))[0]
    boxes = [field.of((unit,))[0] for field in fields]
    seen = [box for box in boxes if box[0] < box[1]]
    if seen:
        assert joined == (min(start for start, _ in seen), max(stop for _, stop in seen))


def test_stack_of_three_by_three_has_the_textbook_field() -> None:
    field = ReceptiveField.of_pixels(2)
    layer = uc.ConvGeometry((32, 32), 3, padding=1).receptive_field
    for depth in range(1, 5):
        field = field.then(layer)
        assert field.size == (2 * depth + 1,) * 2
        assert field.start == (-depth,) * 2


def test_vgg16_has_the_published_field() -> None:
    """196 at conv5_3 and 212 after pool5 (Araujo, Norris & Sim 2019)."""
    field = ReceptiveField.of_pixels(2)
    conv = uc.ConvGeometry((224, 224), 3, padding=1).receptive_field
    pool = uc.operators.MaxPoolGeometry((224, 224), 2).receptive_field
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            field = field.then(conv)
        before_pool = field
        field = field.then(pool)
    assert before_pool.size == (196, 196)
    assert field.size == (212, 212)
    assert field.stride == (32, 32)


def test_upsampling_halves_the_stride_and_phases_differ() -> None:
    up = uc.ConvTransposeGeometry(8, kernel_size=3, stride=2, padding=1).receptive_field
    assert up.stride == (Fraction(1, 2),)
    assert up.of((4,)) == ((2, 3),)
    assert up.of((5,)) == ((2, 4),)


def test_a_unit_between_kernels_sees_nothing() -> None:
    field = uc.ConvTransposeGeometry(4, kernel_size=1, stride=3).receptive_field
    start, stop = field.of((1,))[0]
    assert start == stop
    assert (
        field.axes[0].then(AxisField((0,), (1,), 1)).of(1)[0] == field.axes[0].then(AxisField((0,), (1,), 1)).of(1)[1]
    )


def test_global_pooling_sees_everything_from_then_on() -> None:
    whole = ReceptiveField.everything((32, 24))
    assert whole.covers_everything
    assert whole.of((5, 5)) == ((0, 32), (0, 24))
    deep = ReceptiveField.of_pixels(2).then(uc.ConvGeometry((32, 24), 3).receptive_field)
    assert deep.union(whole) == whole == whole.union(deep)
