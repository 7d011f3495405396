"""Units that are asked for: ``units`` are which ones, ``top_units`` is how many, strongest first."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

from unconv._renamed import warn_renamed
from unconv.errors import UnconvError

# Indices, or all of them.
Units: TypeAlias = Sequence[int] | str
EVERY = "all"


def read_units(operation: str, units: Any, top_units: Any) -> int | str | tuple[int, ...] | None:
    """What was asked for: a number of units, strongest first; indices; all; None where nothing was said.

    Args:
        operation: who asks; messages begin with it.
        units: indices, in a list, a range, a tensor; or ``"all"``. A number alone, which was a count in version 0.1,
            still is one, with a DeprecationWarning.
        top_units: how many.

    Raises :class:`~unconv.errors.UnconvError` for both at once, and for what is neither.

    >>> read_units("see", [17, 42], None), read_units("see", range(3), None), read_units("see", None, 4)
    ((17, 42), (0, 1, 2), 4)
    """
    if top_units is not None:
        if units is not None:
            raise UnconvError(f"{operation}: units name some, top_units takes the strongest; give one of the two")
        return _count(operation, "top_units", top_units)
    if isinstance(units, str):
        if units != EVERY:
            raise UnconvError(f"{operation}: units: {units!r} is no choice; give indices, as [3, 17], or 'all'")
        return units
    if units is None:
        return None
    if isinstance(units, int) and not isinstance(units, bool):
        count = _count(operation, "units", units)
        warn_renamed(
            f"{operation}: units={units} as a number of units is top_units={units} now; "
            f"units=[{units}] is the unit {units}"
        )
        return count
    try:
        indices = tuple(operator.index(unit) for unit in units)
    except TypeError:
        raise UnconvError(
            f"{operation}: units {units!r} are no indices; give a list, as [3, 17], or how many as top_units=4"
        ) from None
    if not indices:
        raise UnconvError(
            f"{operation}: units: an empty list was given; name one or more, or say how many as top_units=4"
        )
    return indices


def _count(operation: str, name: str, number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise UnconvError(f"{operation}: {name} {number!r} is no number of units; which ones is units=[3, 17]")
    if number < 1:
        raise UnconvError(f"{operation}: {name}: {number} units of each layer were asked for; ask for 1 or more")
    return number
