"""Boxes of feature maps, one a sample: which are worth cutting out, and which can be computed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from unconv.operators.geometry.receptive import Box

# From this share of the positions on, cutting out and putting back costs more than it saves.
WORTH = 0.7
# Boxes of up to so many positions are computed together, all in the size of the largest.
ALONE = 32 * 32


def find_nonzero_boxes(signal: Tensor) -> list[Box]:
    """For each sample of ``(batch, channel, *position)`` the box that holds all that is not zero.

    >>> signal = torch.zeros(2, 1, 5, 6)
    >>> signal[0, 0, 1:3, 4] = 1
    >>> find_nonzero_boxes(signal)
    [((1, 3), (4, 5)), ((0, 0), (0, 0))]
    """
    used = (signal != 0).any(dim=1)
    boxes: list[list[tuple[int, int]]] = [[] for _ in range(len(signal))]
    for axis in range(1, used.ndim):
        along = used.any(dim=[other for other in range(1, used.ndim) if other != axis]) if used.ndim > 2 else used
        positions = torch.arange(along.shape[1], device=along.device)
        first = torch.where(along, positions, along.shape[1]).amin(dim=1)
        last = torch.where(along, positions + 1, 0).amax(dim=1)
        for box, start, stop in zip(boxes, first.tolist(), last.tolist(), strict=True):
            box.append((start, stop) if start < stop else (0, 0))
    return [tuple(box) for box in boxes]


@dataclass(frozen=True)
class Run:
    """Samples that follow each other and whose boxes begin at the same place."""

    rows: slice
    start: tuple[int, ...]


@dataclass(frozen=True)
class Portion:
    """Samples computed together: their boxes, grown to one size, and where each of them begins."""

    size: tuple[int, ...]
    runs: tuple[Run, ...]

    @property
    def count(self) -> int:
        """How many samples."""
        return sum(run.rows.stop - run.rows.start for run in self.runs)

    def parts(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Of what belongs to all samples, what belongs to each run."""
        return torch.split(crops, [run.rows.stop - run.rows.start for run in self.runs])


def plan_portions(boxes: Sequence[Box], whole: Sequence[int]) -> list[Portion] | None:
    """How to compute one box a sample; None where that is hardly less than the whole.

    >>> [(portion.size, portion.count) for portion in plan_portions([((0, 2), (4, 7)), ((3, 5), (4, 6))], (20, 20))]
    [((2, 3), 2)]
    """
    sizes = [tuple(stop - start for start, stop in box) for box in boxes]
    largest = tuple(map(max, zip(*sizes, strict=True)))
    grouped: dict[tuple[int, ...], list[int]] = {}
    for number, size in enumerate(sizes):
        grouped.setdefault(size if prod(largest) > ALONE else largest, []).append(number)
    work = sum(len(numbers) * prod(size) for size, numbers in grouped.items())
    if work > WORTH * len(boxes) * prod(whole):
        return None
    return [_join_boxes(size, numbers, boxes, whole) for size, numbers in grouped.items() if 0 not in size]


def _join_boxes(size: tuple[int, ...], numbers: Sequence[int], boxes: Sequence[Box], whole: Sequence[int]) -> Portion:
    starts = {number: _start_inside(boxes[number], size, whole) for number in numbers}
    runs: list[Run] = []
    for number, start in starts.items():
        if runs and runs[-1].start == start and runs[-1].rows.stop == number:
            runs[-1] = Run(slice(runs[-1].rows.start, number + 1), start)
        else:
            runs.append(Run(slice(number, number + 1), start))
    return Portion(size, tuple(runs))


def _start_inside(box: Box, size: Sequence[int], whole: Sequence[int]) -> tuple[int, ...]:
    """Where a box grown to some size begins, so that it stays inside the whole."""
    return tuple(min(start, total - part) for (start, _), part, total in zip(box, size, whole, strict=True))


def slice_boxes(rows: slice, start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    """The box of some samples of ``(batch, channel, *position)`` that begins there.

    >>> torch.rand(4, 3, 9, 9)[slice_boxes(slice(1, 3), (2, 5), (4, 4))].shape
    torch.Size([2, 3, 4, 4])
    """
    return (rows, slice(None), *(slice(first, first + length) for first, length in zip(start, size, strict=True)))
