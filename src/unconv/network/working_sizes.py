"""Input sizes that a model takes, near one that it does not take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from unconv.network.trace import attempt

Sizes = tuple[tuple[int, ...], ...]

MULTIPLES = (2, 4, 8, 16, 32, 64, 128)
USUAL = (28, 32, 64, 96, 112, 128, 160, 192, 224, 227, 256, 299, 320, 384, 448, 512)
FARTHEST = 64


def working_sizes(
    model: nn.Module,
    sizes: Sizes,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    *,
    count: int = 2,
    seconds: float = 4.0,
) -> tuple[Sizes, ...]:
    """Sizes that the model takes, the nearest first as far as they were tried; a search that ends after a while.

    Multiples of powers of two above and below are tried first, then usual sizes, then every square nearby.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 10))
    >>> working_sizes(model, ((1, 32, 32),), count=1)
    (((1, 28, 28),),)
    """
    found: list[Sizes] = []
    end = time.monotonic() + seconds
    for tried in _candidates(sizes):
        if time.monotonic() > end or len(found) == count:
            break
        if attempt(model, tried, dtype=dtype)[2] is None:
            found.append(tried)
    return tuple(sorted(found, key=lambda one: _distance(one, sizes)))


def _candidates(sizes: Sizes) -> Iterator[Sizes]:
    seen = {sizes}
    for tried in _all_candidates(sizes):
        if tried not in seen and all(side > 0 for size in tried for side in size):
            seen.add(tried)
            yield tried


def _all_candidates(sizes: Sizes) -> Iterator[Sizes]:
    for multiple in MULTIPLES:
        yield tuple((size[0], *(-(-side // multiple) * multiple for side in size[1:])) for size in sizes)
        yield tuple((size[0], *(side // multiple * multiple for side in size[1:])) for size in sizes)
    first = max(sizes[0][1:], default=0)
    near = [first + sign * step for step in range(1, FARTHEST + 1) for sign in (1, -1)]
    for side in (*sorted(USUAL, key=lambda one: abs(one - first)), *near):
        yield tuple((size[0], *(side for _ in size[1:])) for size in sizes)


def _distance(one: Sizes, other: Sizes) -> int:
    return sum(abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
