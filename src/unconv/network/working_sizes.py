"""Working sizes: input sizes that a model takes, near one that it does not take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import attempt

Sizes = tuple[tuple[int, ...], ...]

MULTIPLES = (2, 4, 8, 16, 32, 64, 128)
USUAL = (28, 32, 64, 96, 112, 128, 160, 192, 224, 227, 256, 299, 320, 384, 448, 512)
FARTHEST = 64


def working_sizes(
    model: nn.Module,
    sizes: Sizes,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    *,
    stride: int = 1,
    count: int = 2,
    seconds: float = 4.0,
) -> tuple[Sizes, ...]:
    """Sizes that the model takes, the nearest first as far as they were tried; a search that ends after a while.

    Multiples of the model's own ``stride`` above and below are tried first, then those of powers of two, usual sizes,
    and every square nearby.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 10))
    >>> working_sizes(model, ((1, 32, 32),), count=1)
    (((1, 28, 28),),)
    """
    found: list[Sizes] = []
    end = time.monotonic() + seconds
    for tried in _candidates(sizes, stride):
        if time.monotonic() > end or len(found) == count:
            break
        if attempt(model, tried, dtype=dtype, until=end)[2] is None:
            found.append(tried)
    return tuple(sorted(found, key=lambda one: _distance(one, sizes)))


def deepest_stride(graph: Graph) -> int:
    """The largest product of the strides on a way from the input, as far as a model was seen.

    >>> from unconv.network.trace.trace import trace
    >>> deepest_stride(trace(nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(4), nn.Upsample(scale_factor=4)), (1, 32, 32)))
    8
    """
    strides: dict[str, int] = {}
    for layer in graph:
        stride = max((strides.get(name, 1) for name in layer.inputs), default=1)
        if layer.geometry is not None and not layer.geometry.transposed:
            stride *= max(layer.geometry.stride)
        elif layer.geometry is not None or layer.operator in ("interpolate", "pixel_shuffle"):
            pairs = zip(layer.input_shape[1:], layer.output_shape[1:], strict=True)
            stride = max(1, stride // max(1, *(round(after / before) for before, after in pairs)))
        strides[layer.name] = stride
    return max(strides.values(), default=1)


def least_multiple(
    model: nn.Module, sizes: Sizes, dtype: torch.dtype | Sequence[torch.dtype] | None, start: int
) -> int:
    """The least power of two all of whose multiples seem to work, looked for around one; 0 where none does.

    Only odd multiples say something: 96 is one of 2, and works where 94 does not.

    >>> least_multiple(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), ((1, 33, 33),), None, start=8)
    2
    """

    def works(multiple: int) -> bool:
        rows = [(size[0], *((side // multiple // 2 * 2 + 1) * multiple for side in size[1:])) for size in sizes]
        return attempt(model, tuple(rows), dtype=dtype)[2] is None

    below = [multiple for multiple in MULTIPLES if multiple <= start]
    found = 0
    for multiple in reversed(below):
        if not works(multiple):
            break
        found = multiple
    above = (multiple for multiple in MULTIPLES[len(below) :] if works(multiple))
    return found or next(above, 0)


def _candidates(sizes: Sizes, stride: int) -> Iterator[Sizes]:
    seen = {sizes}
    for tried in _all_candidates(sizes, stride):
        if tried not in seen and all(side > 0 for size in tried for side in size):
            seen.add(tried)
            yield tried


def _all_candidates(sizes: Sizes, stride: int) -> Iterator[Sizes]:
    for multiple in (stride, *MULTIPLES):
        yield tuple((size[0], *(-(-side // multiple) * multiple for side in size[1:])) for size in sizes)
        yield tuple((size[0], *(side // multiple * multiple for side in size[1:])) for size in sizes)
    first = max(sizes[0][1:], default=0)
    near = [first + sign * step for step in range(1, FARTHEST + 1) for sign in (1, -1)]
    for side in (*sorted(USUAL, key=lambda one: abs(one - first)), *near):
        yield tuple((size[0], *(side for _ in size[1:])) for size in sizes)


def _distance(one: Sizes, other: Sizes) -> int:
    return sum(abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
