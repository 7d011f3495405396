"""Geometries for the tests of pictures: Hypothesis' own, small enough to draw, and a list of every kind."""

from __future__ import annotations

from hypothesis import assume, strategies as st

from tests.operators.strategies import conv_cases, transpose_cases
from unconv.explain.drawing import Drawing, draw
from unconv.explain.numbers import NumbersSpec
from unconv.explain.views.all_views import views_of
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry

EVERY_KIND: tuple[Geometry, ...] = (
    ConvGeometry(7, 3, 2, 1),
    ConvGeometry((5, 6), (3, 2), (2, 1), ((0, 1), (1, 0))),
    ConvGeometry((2, 3, 4), (1, 2, 3), 1, (0, 1, 1)),
    ConvGeometry((6, 7), 2, 3, 0, 2),
    ConvTransposeGeometry(4, 3, 2, 1, 1),
    ConvTransposeGeometry((2, 3), (3, 4), (2, 1), (1, 0), (1, 0)),
    ConvTransposeGeometry((2, 2, 2), 2, 2),
    ConvTransposeGeometry((3, 3), 2, 3, 0, 1),
    ConvTransposeGeometry((6, 6), 2, 1, 2),
    MaxPoolGeometry((5, 6), 3, 2, 1, ceil_mode=True),
    AvgPoolGeometry((6, 5), 2, 2, 1, ceil_mode=True, count_include_pad=False),
    AvgPoolGeometry(7, 3, 2, ceil_mode=True),
)
"""Every number of axes; uneven padding, gaps, output padding, more padding than kernel, windows that hang over."""


@st.composite
def conv_geometries(draw: st.DrawFn) -> ConvGeometry:
    case = draw(st.integers(1, 3).flatmap(conv_cases))
    geometry = ConvGeometry(case.input_size, case.kernel_size, case.stride, case.padding, case.dilation)
    return _small(geometry)


@st.composite
def transpose_geometries(draw: st.DrawFn) -> ConvTransposeGeometry:
    case = draw(st.integers(1, 3).flatmap(transpose_cases))
    geometry = ConvTransposeGeometry(
        case.input_size, case.kernel_size, case.stride, case.padding, case.output_padding, case.dilation
    )
    return _small(geometry)


def _small(geometry):  # type: ignore[no-untyped-def]
    cells = 1
    for size, pads, output in zip(geometry.input_size, geometry.padding, geometry.output_size, strict=True):
        cells *= max(size + sum(pads), output + sum(pads))
    assume(cells <= 150)
    return geometry


@st.composite
def pool_geometries(draw: st.DrawFn) -> MaxPoolGeometry | AvgPoolGeometry:
    dimensions = draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(dimensions))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(draw(st.integers(max(1, k - 2 * p), 9)) for k, p in zip(kernel, padding, strict=True))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(dimensions))
    ceil_mode = draw(st.booleans())
    if draw(st.booleans()):
        return MaxPoolGeometry(size, kernel, stride, padding, 1, ceil_mode)
    return AvgPoolGeometry(size, kernel, stride, padding, ceil_mode, draw(st.booleans()))


def all_views(geometry: Geometry, numbers: NumbersSpec = None) -> list[Drawing]:
    """Every view that an operation has."""
    return [draw(geometry, view, numbers) for view in views_of(geometry)]
