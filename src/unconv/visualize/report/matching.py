"""Units of two networks matched by what they answer to: which are the same, which changed, were born, died."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from unconv.errors import MissingExtraError, UnconvError
from unconv.visualize.report.redundancy import correlation

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
        verdict: ``same`` or ``changed``.
    """

    unit: int
    other: int
    correlation: float
    verdict: str


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

    Raises :class:`~unconv.errors.UnconvError` for fewer than ``LEAST`` pictures, which tell nothing;
    :class:`~unconv.errors.MissingExtraError` without scipy.

    >>> import torch
    >>> peaks = torch.rand(12, 4)
    >>> match = match_units(peaks, peaks[:, [2, 0, 3, 1]])
    >>> [(pair.unit, pair.other, pair.verdict) for pair in match.pairs], match.died, match.born
    ([(0, 1, 'same'), (1, 3, 'same'), (2, 0, 'same'), (3, 2, 'same')], (), ())
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise MissingExtraError("compare", "scipy", "demo") from None
    if len(one) < LEAST:
        raise UnconvError(f"compare: {len(one)} pictures; units are matched by {LEAST} or more")
    alive, living = ((peaks.amax(dim=0) > 0).nonzero().flatten() for peaks in (one, other))
    alike = correlation(one[:, alive], other[:, living])
    rows, columns = linear_sum_assignment(alike.numpy(), maximize=True)
    pairs = [
        Pair(int(alive[row]), int(living[column]), float(alike[row, column]), _verdict(float(alike[row, column])))
        for row, column in zip(rows, columns, strict=True)
        if alike[row, column] >= CHANGED
    ]
    kept, counterparts = {pair.unit for pair in pairs}, {pair.other for pair in pairs}
    return Match(
        pairs=tuple(sorted(pairs, key=lambda pair: pair.unit)),
        died=tuple(unit for unit in alive.tolist() if unit not in kept),
        born=tuple(unit for unit in living.tolist() if unit not in counterparts),
    )


def _verdict(correlation: float) -> str:
    return "same" if correlation >= SAME else "changed"
