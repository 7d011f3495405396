"""Sizes along one axis, and how size arguments are spelled.

Everything here is integer arithmetic on one axis of a convolution, a transposed convolution or a pooling; the
geometries put axes together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import SupportsIndex, TypeAlias

from unconv.choices import PaddingName
from unconv.errors import GeometryError

Size: TypeAlias = int | Sequence[int]
Padding: TypeAlias = int | PaddingName | Sequence[int] | Sequence[Sequence[int]]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

MAX_DIMENSIONS = 3


def effective_kernel_size(kernel_size: int, dilation: int) -> int:
    """Span of a dilated kernel, k̂ = d(k − 1) + 1 (Dumoulin & Visin 2016, §5.1).

    >>> effective_kernel_size(3, dilation=2)
    5
    """
    return dilation * (kernel_size - 1) + 1


def conv_output_size(input_size: int, kernel_size: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    """Size of a convolution's output along one axis; below 1 where the kernel does not fit.

    o = ⌊(i + p₁ + p₂ − d(k − 1) − 1)/s⌋ + 1: relation 15 of Dumoulin & Visin (2016), for any two paddings.

    >>> conv_output_size(5, kernel_size=3, stride=2, padding=(1, 1), dilation=1)
    3
    """
    span = input_size + sum(padding) - effective_kernel_size(kernel_size, dilation)
    return span // stride + 1


def transpose_output_size(
    input_size: int,
    kernel_size: int,
    stride: int,
    padding: tuple[int, int],
    output_padding: int,
    dilation: int,
) -> int:
    """Size of a transposed convolution's output along one axis.

    o′ = s(i′ − 1) + d(k − 1) + 1 − p₁ − p₂ + a: relation 14 of Dumoulin & Visin (2016), extended by dilation.

    >>> transpose_output_size(3, kernel_size=3, stride=2, padding=(1, 1), output_padding=1, dilation=1)
    6
    """
    return stride * (input_size - 1) + effective_kernel_size(kernel_size, dilation) - sum(padding) + output_padding


def pool_output_size(
    input_size: int, kernel_size: int, stride: int, padding: tuple[int, int], dilation: int, ceil_mode: bool
) -> int:
    """Size of a pooling's output along one axis, by torch's rule for ``ceil_mode``.

    Rounded up, the last window may hang over the end, but it must start inside the input or its left padding.

    >>> pool_output_size(110, kernel_size=3, stride=2, padding=(0, 0), dilation=1, ceil_mode=True)
    55
    """
    size = conv_output_size(input_size, kernel_size, stride, padding, dilation)
    if ceil_mode:
        span = input_size + sum(padding) - effective_kernel_size(kernel_size, dilation)
        size = -(-span // stride) + 1
        if (size - 1) * stride >= input_size + padding[0]:
            size -= 1
    return size


def remainder(input_size: int, kernel_size: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    """Rows at the end that no window reaches, a = (i + p₁ + p₂ − k̂) mod s (Dumoulin & Visin 2016, §4.6).

    >>> remainder(6, kernel_size=3, stride=2, padding=(1, 1), dilation=1)
    1
    """
    return (input_size + sum(padding) - effective_kernel_size(kernel_size, dilation)) % stride


def dimensions(operation: str, *sizes: object) -> int:
    """The number of spatial axes that arguments of mixed spelling agree on: an int fits any, a sequence its length.

    >>> dimensions("conv", 5, (3, 2))
    2
    """
    lengths = {len(size) for size in sizes if isinstance(size, Sequence) and not isinstance(size, str)}
    if len(lengths) > 1:
        raise GeometryError(
            f"{operation}: arguments speak of {' and '.join(map(str, sorted(lengths)))} spatial axes; "
            "give one int for all axes, or one per axis"
        )
    count = lengths.pop() if lengths else 1
    if not 1 <= count <= MAX_DIMENSIONS:
        raise GeometryError(f"{operation}: {count} spatial axes; there must be 1, 2 or 3")
    return count


def spread_out(value: Sequence[int] | int, count: int) -> tuple[int, ...]:
    """One int for each of ``count`` axes as torch takes them, unchecked: one alone, in a sequence or not, is for all.

    >>> spread_out(2, 3), spread_out([2], 3), spread_out([1, 2, 3], 3)
    ((2, 2, 2), (2, 2, 2), (1, 2, 3))
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return values if len(values) == count else values * count


def per_axis(operation: str, name: str, value: object, count: int, least: int) -> tuple[int, ...]:
    """An int, or one int per axis, as a tuple; every entry a whole number of at least ``least``.

    >>> per_axis("conv", "stride", 2, count=2, least=1)
    (2, 2)
    """
    if count < 1:
        raise GeometryError(f"{operation}: there is no axis of space; give (batch, channel, *size), a weight likewise")
    values = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,) * count
    if len(values) != count:
        raise GeometryError(f"{operation}: {name} {value} has {len(values)} entries for {count} spatial axes")
    numbers = tuple(_whole_number(operation, name, entry) for entry in values)
    if min(numbers) < least:
        raise GeometryError(f"{operation}: {name} {min(numbers)} must be at least {least}")
    return numbers


def _whole_number(operation: str, name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise GeometryError(f"{operation}: {name} {value!r} is not a whole number")
    return value if isinstance(value, int) else value.__index__()
