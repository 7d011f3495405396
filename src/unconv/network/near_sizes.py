"""Sizes near: input sizes that a model takes, near one that it does not take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import lcm

import torch
from torch import nn

from unconv.network.run.input_axes import InputAxes, usual_axes
from unconv.network.trace.graph import Graph
from unconv.network.trace.record import Record
from unconv.network.trace.trace import attempt

Sizes = tuple[tuple[int, ...], ...]
# The module that joins, by its path, the operation, and how many of the same it has made before.
Join = tuple[str, str, int]

MULTIPLES = (2, 4, 8, 16, 32, 64, 128)
USUAL = (28, 32, 64, 96, 112, 128, 160, 192, 224, 227, 256, 299, 320, 384, 448, 512)
FARTHEST = 64


def sizes_near(
    model: nn.Module,
    sizes: Sizes,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    *,
    stride: int = 1,
    count: int = 2,
    seconds: float = 4.0,
    join: Join | None = None,
    axes: Sequence[InputAxes] = (),
) -> tuple[Sizes, ...]:
    """Sizes that the model takes, the nearest first as far as they were tried; a search that ends after a while.

    Multiples of the model's own ``stride`` above and below are tried first, then those of powers of two, usual sizes,
    and every square nearby. ``join`` is one that has to be of equal sizes, without any that is repeated;
    ``axes`` are what the axes of each input are, (channels, places) unless given.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 10))
    >>> sizes_near(model, ((1, 32, 32),), count=1)
    (((1, 28, 28),),)
    """
    found: list[Sizes] = []
    end = time.monotonic() + seconds
    order = tuple(axes) or tuple(map(usual_axes, sizes))
    for tried in _candidates(sizes, stride, order):
        if time.monotonic() > end or len(found) == count:
            break
        recorder, _, error = attempt(model, tried, dtype=dtype, until=end, axes=axes or None)
        if error is None and (join is None or _meets(recorder.records, join)):
            found.append(tried)
    return tuple(sorted(found, key=lambda one: _distance(one, sizes)))


def _meets(records: Sequence[Record], join: Join) -> bool:
    """Whether the tensors of a join are of one size, so that none is repeated to that of another."""
    path, operator, count = join
    alike = [one for one in records if (one.run.path, one.outcome.operator) == (path, operator)]
    return all(len({shape[2:] for shape in one.input_shapes}) == 1 for one in alike[count : count + 1])


def deepest_stride(graph: Graph) -> int:
    """The largest product of the strides on a way from the input, as far as a model was seen.

    >>> from unconv.network.trace.trace import trace
    >>> deepest_stride(trace(nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(4), nn.Upsample(scale_factor=4)), (1, 32, 32)))
    8
    """
    return max(strides_by_axis(graph), default=1)


def strides_by_axis(graph: Graph) -> tuple[int, ...]:
    """:func:`deepest_stride` along each place of the input; a multiple of it where axes inside are others.

    >>> from unconv.network.trace.trace import trace
    >>> strides_by_axis(trace(nn.Sequential(nn.MaxPool2d((2, 1)), nn.MaxPool2d(4)), (1, 32, 32)))
    (8, 4)
    """
    count = len(graph.image_size)
    strides: dict[str, tuple[int, ...]] = {}
    for layer in graph:
        below = [strides[name] for name in layer.inputs if name in strides]
        stride = tuple(map(max, zip(*below, strict=True))) if below else (1,) * count
        if layer.geometry is not None and not layer.geometry.transposed:
            steps = list(layer.geometry.stride)
            if len(steps) != count:
                steps = [lcm(*steps)] * count
            stride = tuple(one * step for one, step in zip(stride, steps, strict=True))
        elif layer.geometry is not None or layer.operator in ("interpolate", "pixel_shuffle"):
            sizes = (layer.input_shape[1:], layer.output_shape[1:])
            if len(sizes[0]) == len(sizes[1]) == count:
                steps = [round(after / before) for before, after in zip(*sizes, strict=True)]
                stride = tuple(max(1, one // max(1, step)) for one, step in zip(stride, steps, strict=True))
        strides[layer.name] = stride
    deepest = tuple(map(max, zip(*strides.values(), strict=True))) if strides else (1,) * count
    # In another order nothing tells which axis of a layer is which of the input.
    return deepest if not graph.axes or graph.axes[0].usual else (lcm(*deepest),) * count


def _candidates(sizes: Sizes, stride: int, order: Sequence[InputAxes]) -> Iterator[Sizes]:
    seen = {sizes}
    for tried in _all_candidates(sizes, stride, order):
        if tried not in seen and all(side > 0 for size in tried for side in size):
            seen.add(tried)
            yield tried


def _all_candidates(sizes: Sizes, stride: int, order: Sequence[InputAxes]) -> Iterator[Sizes]:
    sides = [axes.sizes(size) for axes, size in zip(order, sizes, strict=True)]
    for multiple in (stride, *MULTIPLES):
        yield _with_sides(sizes, order, [[-(-side // multiple) * multiple for side in row] for row in sides])
        yield _with_sides(sizes, order, [[side // multiple * multiple for side in row] for row in sides])
    first = max(sides[0], default=0)
    near = [first + sign * step for step in range(1, FARTHEST + 1) for sign in (1, -1)]
    for side in (*sorted(USUAL, key=lambda one: abs(one - first)), *near):
        yield _with_sides(sizes, order, [[side] * len(row) for row in sides])


def _with_sides(sizes: Sizes, order: Sequence[InputAxes], sides: Sequence[Sequence[int]]) -> Sizes:
    """The sizes with others along their places."""
    changed = []
    for size, axes, row in zip(sizes, order, sides, strict=True):
        at = dict(zip(axes.places, row, strict=True))
        changed.append(tuple(at.get(n, side) for n, side in enumerate(size)))
    return tuple(changed)


def _distance(one: Sizes, other: Sizes) -> int:
    return sum(abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
