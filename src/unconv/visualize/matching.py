"""Units of two networks matched by what they answer to: which are the same, which changed, were born, died."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from unconv.errors import UnconvError
from unconv.visualize.redundancy import correlation

# Correlations from which a unit is called the same, and from which it is the same no more.
SAME, CHANGED = 0.9, 0.5
LEAST = 3


@dataclass(frozen=True)
class Pair:
    """A unit of one network and its counterpart in the other.

    Attributes:
        unit: in the first network.
        other: in the second.
        correlation: of their peaks in the same pictures.
    """

    unit: int
    other: int
    correlation: float

    @property
    def verdict(self) -> str:
        """``same`` or ``changed``."""
        return "same" if self.correlation >= SAME else "changed"


@dataclass(frozen=True)
class Match:
    """The units of a layer of two networks.

    Attributes:
        pairs: units with a counterpart, in the order of the first network.
        died: units of the first network that nothing in the second is like.
        born: units of the second network that nothing in the first is like.
    """

    pairs: tuple[Pair, ...]
    died: tuple[int, ...]
    born: tuple[int, ...]


def match_units(one: Float[Tensor, "picture a"], other: Float[Tensor, "picture b"]) -> Match:
    """Pair the units of two layers so that the sum of the correlations of their peaks is largest.

    A pair whose correlation is below ``CHANGED`` is none: one unit has died, the other was born. Units that are never
    above zero take no part: alive on one side only, they count as died or born.

    Raises :class:`~unconv.errors.UnconvError` for fewer than ``LEAST`` pictures, which tell nothing.

    >>> import torch
    >>> peaks = torch.rand(12, 4)
    >>> match = match_units(peaks, peaks[:, [2, 0, 3, 1]])
    >>> [(pair.unit, pair.other, pair.verdict) for pair in match.pairs], match.died, match.born
    ([(0, 1, 'same'), (1, 3, 'same'), (2, 0, 'same'), (3, 2, 'same')], (), ())
    """
    if len(one) < LEAST:
        raise UnconvError(f"compare: {len(one)} pictures; units are matched by {LEAST} or more")
    alive, living = ((peaks.amax(dim=0) > 0).nonzero().flatten() for peaks in (one, other))
    alike = correlation(one[:, alive], other[:, living])
    rows, columns = assign(-alike.numpy())
    pairs = [
        Pair(int(alive[row]), int(living[column]), float(alike[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if alike[row, column] >= CHANGED
    ]
    kept, counterparts = {pair.unit for pair in pairs}, {pair.other for pair in pairs}
    return Match(
        pairs=tuple(sorted(pairs, key=lambda pair: pair.unit)),
        died=tuple(unit for unit in alive.tolist() if unit not in kept),
        born=tuple(unit for unit in living.tolist() if unit not in counterparts),
    )


def assign(cost: np.ndarray) -> tuple[list[int], list[int]]:
    """Rows and columns paired at the least total cost: the Hungarian method with potentials, O(n² m).

    Kuhn 1955, in the form of shortest augmenting paths (Jonker & Volgenant 1987): each row in turn finds the cheapest
    path to a free column, prices u and v keeping all reduced costs c − u − v at zero or above.

    >>> assign(np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0]]))
    ([0, 1], [1, 0])
    """
    if cost.shape[0] > cost.shape[1]:
        columns, rows = assign(cost.T)
        order = np.argsort(rows)
        return [rows[place] for place in order], [columns[place] for place in order]
    count, width = cost.shape
    # Column 0 stands for "no column"; row 0 for "no row".
    u, v = np.zeros(count + 1), np.zeros(width + 1)
    row_of = np.zeros(width + 1, dtype=int)
    for row in range(1, count + 1):
        before = _cheapest_path(cost, u, v, row_of, row)
        column = int(before[0])
        while column:
            row_of[column] = row_of[before[column]] if before[column] else row
            column = int(before[column])
    found = sorted((int(row) - 1, column - 1) for column, row in enumerate(row_of) if column and row)
    return [row for row, _ in found], [column for _, column in found]


def _cheapest_path(cost: np.ndarray, u: np.ndarray, v: np.ndarray, row_of: np.ndarray, row: int) -> np.ndarray:
    """Prices updated along the way; for each column the one before it, and at 0 the free column reached."""
    width = cost.shape[1]
    shortest = np.full(width + 1, np.inf)
    before = np.zeros(width + 1, dtype=int)
    used = np.zeros(width + 1, dtype=bool)
    row_of[0] = row
    column = 0
    while True:
        used[column] = True
        here = row_of[column]
        reduced = cost[here - 1] - u[here] - v[1:]
        nearer = ~used[1:] & (reduced < shortest[1:])
        shortest[1:][nearer] = reduced[nearer]
        before[1:][nearer] = column
        free = np.where(used, np.inf, shortest)
        free[0] = np.inf
        target = int(free.argmin())
        step = free[target]
        u[row_of[used]] += step
        v[used] -= step
        shortest[~used] -= step
        column = target
        if not row_of[column]:
            break
    before[0] = column
    return before
