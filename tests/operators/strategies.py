"""Hypothesis strategies for geometries: small, uneven on every axis, and reaching every corner of the arguments."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from unconv.operators.geometry.sizes import effective_kernel_size


@dataclass(frozen=True)
class ConvCase:
    """Arguments of a convolution that has at least one output."""

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    in_per_group: int
    out_per_group: int

    @property
    def in_channels(self) -> int:
        return self.groups * self.in_per_group

    @property
    def out_channels(self) -> int:
        return self.groups * self.out_per_group


@st.composite
def conv_axes(draw: st.DrawFn, largest: int) -> tuple[int, int, int, int, int]:
    kernel = draw(st.integers(1, 5))
    dilation = draw(st.integers(1, 3))
    padding = draw(st.integers(0, 4))
    least = max(1, effective_kernel_size(kernel, dilation) - 2 * padding)
    size = draw(st.integers(least, max(least, largest)))
    return size, kernel, draw(st.integers(1, 4)), padding, dilation


@st.composite
def conv_cases(draw: st.DrawFn, dimensions: int) -> ConvCase:
    largest = {1: 14, 2: 9, 3: 6}[dimensions]
    axes = [draw(conv_axes(largest)) for _ in range(dimensions)]
    channels = (draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    return ConvCase(*zip(*axes, strict=True), *channels)


@dataclass(frozen=True)
class TransposeCase:
    """Arguments of a transposed convolution that torch accepts."""

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    in_per_group: int
    out_per_group: int


@st.composite
def transpose_axes(draw: st.DrawFn, largest: int) -> tuple[int, int, int, int, int, int]:
    kernel, stride, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    size = draw(st.integers(1, largest))
    extra = draw(st.integers(0, max(stride, dilation) - 1))
    full = stride * (size - 1) + effective_kernel_size(kernel, dilation) + extra
    padding = draw(st.integers(0, min(4, (full - 1) // 2)))
    return size, kernel, stride, padding, extra, dilation


@st.composite
def transpose_cases(draw: st.DrawFn, dimensions: int) -> TransposeCase:
    largest = {1: 9, 2: 6, 3: 4}[dimensions]
    axes = [draw(transpose_axes(largest)) for _ in range(dimensions)]
    channels = (draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    return TransposeCase(*zip(*axes, strict=True), *channels)
