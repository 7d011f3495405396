"""Solving for geometries: which convolutions, or transposed ones, lead from one size to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import NamedTuple

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.sizes import Size, dimensions, effective_kernel_size, per_axis
from unconv.operators.geometry.solutions import Solutions


class _Axis(NamedTuple):
    """The settings of one axis."""

    kernel: int
    stride: int
    padding: int
    output_padding: int
    dilation: int

    @property
    def span(self) -> int:
        return effective_kernel_size(self.kernel, self.dilation)


class _Fixed(NamedTuple):
    """What is held fixed on one axis; None for what is looked for."""

    kernel: int | None
    stride: int | None
    padding: int | None
    output_padding: int | None
    dilation: int


@tell_wrong_arguments
def solve_transpose(
    input_size: Size,
    output_size: Size,
    *,
    kernel_size: Size | None = None,
    stride: Size | None = None,
    padding: Size | None = None,
    output_padding: Size | None = None,
    dilation: Size = 1,
    max_kernel_size: int = 8,
    max_stride: int = 8,
) -> Solutions[ConvTransposeGeometry]:
    """All transposed convolutions from ``input_size`` to ``output_size``, the best first.

    Solves o′ = s(i′ − 1) + d(k − 1) + 1 − 2p + a (Dumoulin & Visin 2016, relation 14) for k, s, p ≤ d(k − 1) and a < s.
    First come those whose kernels overlap evenly (s divides k, Odena 2016), then those without output padding, then
    small kernels. With several axes, kernel and stride are the same on all axes where that is possible. The list is
    empty where no kernel within the bounds reaches the size.

    Args:
        input_size, output_size: an int, or one per axis; two ints are one axis.
        kernel_size, stride, padding, output_padding: held fixed where they are given; an int, or one per axis. What is
            held fixed is not bounded.
        dilation: an int, or one per axis.
        max_kernel_size, max_stride: how far those that are not fixed are looked for.

    Raises :class:`~unconv.errors.GeometryError` for values that are no sizes.

    >>> solve_transpose(input_size=44, output_size=88, stride=2, output_padding=0, max_kernel_size=4)
    44 → 88: 2 transposed convolutions, the best first
    kernel  stride  padding  output padding  overlap
    2       2       0        0               even
    4       2       1        0               even
    >>> best = solve_transpose(13, 50, kernel_size=4)[0]
    >>> best.stride, best.padding
    ((4,), ((1, 1),))
    """
    given = (kernel_size, stride, padding, output_padding)
    starts, ends, fixed = _asked(input_size, output_size, given, dilation, max_kernel_size, max_stride)

    def candidates(start: int, end: int, kept: _Fixed) -> Iterable[_Axis]:
        for kernel, step in _pairs(kept, max_kernel_size, max_stride):
            span = effective_kernel_size(kernel, kept.dilation)
            extras = range(step) if kept.output_padding is None else (kept.output_padding,)
            for extra in extras:
                pads, odd = divmod(step * (start - 1) + span + extra - end, 2)
                if not odd and _fits(pads, span, kept) and extra < max(step, kept.dilation):
                    yield _Axis(kernel, step, pads, extra, kept.dilation)

    ranked = _ranked(starts, ends, fixed, candidates, _transpose_rank)
    found = tuple(
        ConvTransposeGeometry(starts, *zip(*((a.kernel, a.stride, a.padding, *a[3:]) for a in axes), strict=True))
        for axes in ranked
    )
    return Solutions(starts, ends, found, "transposed convolution")


@tell_wrong_arguments
def solve_conv(
    input_size: Size,
    output_size: Size,
    *,
    kernel_size: Size | None = None,
    stride: Size | None = None,
    padding: Size | None = None,
    dilation: Size = 1,
    max_kernel_size: int = 8,
    max_stride: int = 8,
) -> Solutions[ConvGeometry]:
    """All convolutions from ``input_size`` to ``output_size``, the best first.

    Solves o = ⌊(i + 2p − d(k − 1) − 1)/s⌋ + 1 (Dumoulin & Visin 2016, relation 15) for k, s and p ≤ d(k − 1). First
    come those that see every cell (the kernel is no smaller than the stride), then those whose padding is half the
    kernel at most, then those that leave no rows unread at the end, then small kernels. Arguments and errors are those
    of :func:`solve_transpose`.

    >>> solve_conv(224, 112, kernel_size=(3, 7), max_stride=4)
    224 → 112: 1 convolution, the best first
    kernel  stride  padding  rows unread
    3 × 7   2       1 × 3    1
    """
    given = (kernel_size, stride, padding, None)
    starts, ends, fixed = _asked(input_size, output_size, given, dilation, max_kernel_size, max_stride)

    def candidates(start: int, end: int, kept: _Fixed) -> Iterable[_Axis]:
        for kernel, step in _pairs(kept, max_kernel_size, max_stride):
            span = effective_kernel_size(kernel, kept.dilation)
            # i + 2p − k̂ is s(o − 1), and up to s − 1 more.
            least = step * (end - 1) + span - start
            for pads in range(max(0, -(-least // 2)), (least + step - 1) // 2 + 1):
                if _fits(pads, span, kept):
                    unread = start + 2 * pads - span - step * (end - 1)
                    yield _Axis(kernel, step, pads, unread, kept.dilation)

    ranked = _ranked(starts, ends, fixed, candidates, _conv_rank)
    found = tuple(
        ConvGeometry(starts, *zip(*((a.kernel, a.stride, a.padding, a.dilation) for a in axes), strict=True))
        for axes in ranked
    )
    return Solutions(starts, ends, found, "convolution")


def _asked(
    input_size: Size,
    output_size: Size,
    given: tuple[Size | None, ...],
    dilation: Size,
    max_kernel_size: int,
    max_stride: int,
) -> tuple[tuple[int, ...], tuple[int, ...], list[_Fixed]]:
    """Both sizes, and what is held fixed, for each axis."""
    count = dimensions("solve", input_size, output_size, *given, dilation)
    starts = per_axis("solve", "input size", input_size, count, least=1)
    ends = per_axis("solve", "output size", output_size, count, least=1)
    for name, bound in (("max_kernel_size", max_kernel_size), ("max_stride", max_stride)):
        if not isinstance(bound, int):
            raise GeometryError(f"solve: {name} {bound!r} is not a whole number")
    if max_kernel_size < 1 or max_stride < 1:
        raise GeometryError(f"solve: the largest kernel {max_kernel_size} and stride {max_stride} must be at least 1")
    names = (("kernel", 1), ("stride", 1), ("padding", 0), ("output padding", 0))
    kept = [
        (None,) * count if value is None else per_axis("solve", name, value, count, least)
        for (name, least), value in zip(names, given, strict=True)
    ]
    holes = per_axis("solve", "dilation", dilation, count, least=1)
    return starts, ends, [_Fixed(*axis) for axis in zip(*kept, holes, strict=True)]


def _pairs(kept: _Fixed, max_kernel_size: int, max_stride: int) -> Iterable[tuple[int, int]]:
    kernels = range(1, max_kernel_size + 1) if kept.kernel is None else (kept.kernel,)
    steps = range(1, max_stride + 1) if kept.stride is None else (kept.stride,)
    return product(kernels, steps)


def _fits(pads: int, span: int, kept: _Fixed) -> bool:
    """Whether a padding is that which is asked for, or one that windows reach over."""
    return pads >= 0 and (pads <= span - 1 if kept.padding is None else pads == kept.padding)


def _ranked(
    starts: tuple[int, ...],
    ends: tuple[int, ...],
    fixed: list[_Fixed],
    candidates: Callable[[int, int, _Fixed], Iterable[_Axis]],
    rank: Callable[[_Axis], tuple[int, ...]],
) -> list[tuple[_Axis, ...]]:
    """One setting for each axis, in all ways, the best first; kernel and stride alike on all axes if possible."""
    found = [list(candidates(*axis)) for axis in zip(starts, ends, fixed, strict=True)]
    shared = set.intersection(*({axis[:2] for axis in axes} for axes in found))
    if shared:
        found = [[axis for axis in axes if axis[:2] in shared] for axes in found]
        choices = [axes for axes in product(*found) if len({axis[:2] for axis in axes}) == 1]
    else:
        choices = list(product(*found))
    return sorted(choices, key=lambda axes: [sum(ranks) for ranks in zip(*map(rank, axes), strict=True)])


def _transpose_rank(axis: _Axis) -> tuple[int, ...]:
    return (axis.kernel % axis.stride != 0, axis.span < axis.stride, axis.output_padding, axis.kernel, axis.padding)


def _conv_rank(axis: _Axis) -> tuple[int, ...]:
    unread = axis.output_padding
    return (axis.span < axis.stride, axis.padding > axis.span // 2, unread > 0, axis.kernel, unread, axis.padding)
