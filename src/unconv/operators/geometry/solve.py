"""Solving for geometries: which transposed convolutions lead from one size to another."""

from __future__ import annotations

from itertools import product

from unconv.errors import GeometryError
from unconv.operators.geometry.conv import ConvTransposeGeometry
from unconv.operators.geometry.sizes import Size, dimensions, per_axis

_Axis = tuple[int, int, int, int]  # kernel, stride, padding, output padding


def solve_transpose(
    input_size: Size, output_size: Size, *, max_kernel_size: int = 8, max_stride: int = 8
) -> list[ConvTransposeGeometry]:
    """All undilated transposed convolutions from ``input_size`` to ``output_size``, the best first.

    Solves o′ = s(i′ − 1) + k − 2p + a (Dumoulin & Visin 2016, relation 14) for k, s, p ≤ k − 1 and a < s. First come
    those whose kernels overlap evenly (s divides k, Odena 2016), then those without output padding, then small kernels.
    With several axes, kernel and stride are the same on all axes where that is possible. The list is empty where no
    kernel within the bounds reaches the size.

    >>> best = solve_transpose(input_size=44, output_size=88)[0]
    >>> best.kernel_size, best.stride, best.padding, best.output_padding
    ((2,), (2,), ((0, 0),), (0,))
    """
    count = dimensions("solve", input_size, output_size)
    starts = per_axis("solve", "input size", input_size, count, least=1)
    ends = per_axis("solve", "output size", output_size, count, least=1)
    if max_kernel_size < 1 or max_stride < 1:
        raise GeometryError(f"solve: the largest kernel {max_kernel_size} and stride {max_stride} must be at least 1")
    found = [_solve_axis(start, end, max_kernel_size, max_stride) for start, end in zip(starts, ends, strict=True)]
    shared = set.intersection(*({axis[:2] for axis in axes} for axes in found))
    if shared:
        found = [[axis for axis in axes if axis[:2] in shared] for axes in found]
        choices = [axes for axes in product(*found) if len({axis[:2] for axis in axes}) == 1]
    else:
        choices = list(product(*found))
    ranked = sorted(choices, key=lambda axes: [sum(ranks) for ranks in zip(*map(_rank, axes), strict=True)])
    return [_geometry(starts, axes) for axes in ranked]


def _solve_axis(start: int, end: int, max_kernel_size: int, max_stride: int) -> list[_Axis]:
    solutions = []
    for kernel, stride in product(range(1, max_kernel_size + 1), range(1, max_stride + 1)):
        full = stride * (start - 1) + kernel
        for extra in range(stride):
            padding, odd = divmod(full + extra - end, 2)
            if not odd and 0 <= padding <= kernel - 1:
                solutions.append((kernel, stride, padding, extra))
    return solutions


def _rank(axis: _Axis) -> tuple[int, ...]:
    kernel, stride, padding, extra = axis
    return (kernel % stride != 0, kernel < stride, extra, kernel, padding)


def _geometry(starts: tuple[int, ...], axes: tuple[_Axis, ...]) -> ConvTransposeGeometry:
    kernel, stride, padding, extra = zip(*axes, strict=True)
    return ConvTransposeGeometry(starts, kernel, stride, padding, extra)
