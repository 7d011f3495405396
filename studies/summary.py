"""From the log of a study to its table and its figure: medians over the runs, with the least and the largest."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any, TypeAlias

Entry: TypeAlias = Mapping[str, Any]
"""A line of a log: ``name``, ``seed``, ``arguments``, ``told``."""


STEPS = Path(__file__).parent.parent / "benchmarks" / "results" / "study_steps.json"
TITLE_WIDTH = 24
ROUNDING = 1e-6
"""What float32 leaves of a zero."""


@dataclass(frozen=True)
class Number:
    """A figure that a study compares.

    Attributes:
        title: the heading of its column.
        read: takes it from a line of the log.
        digits: that count.
        drawn: whether it has a panel of its own in the figure.
    """

    title: str
    read: Callable[[Entry], float]
    digits: int = 3
    drawn: bool = True


def held_out(key: str) -> Callable[[Entry], float]:
    """Reads a number of the last epoch, measured on what was held out."""
    return lambda entry: float(entry["told"]["history"][-1]["held_out"][key])


def told(*keys: str) -> Callable[[Entry], float]:
    """Reads a number by its place in what a run told.

    >>> told("trained", "distance")({"told": {"trained": {"distance": 3}}})
    3.0
    """

    def read(entry: Entry) -> float:
        value: Any = entry["told"]
        for key in keys:
            value = value[key]
        return float(value)

    return read


def mean_told(*keys: str) -> Callable[[Entry], float]:
    """Reads the mean of the numbers at a place in what a run told.

    >>> mean_told("scores")({"told": {"scores": {"up1": 1, "up2": 2}}})
    1.5
    """

    def read(entry: Entry) -> float:
        value: Any = entry["told"]
        for key in keys:
            value = value[key]
        return statistics.fmean(value.values())

    return read


@cache
def _steps() -> dict[tuple[str, str], float]:
    rows = json.loads(STEPS.read_text(encoding="utf-8"))["rows"]
    return {(row["study"], row["name"]): row["step"]["median"] for row in rows}


def step(study: str) -> Callable[[Entry], float]:
    """Reads how long a step of the network takes, in milliseconds, from what ``unconv bench study_steps`` has saved.

    Seconds of runs tell what else the machine did; steps were timed in turns.
    """
    return lambda entry: _steps()[study, entry["name"]]


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The median with the least and the largest; a number alone where all are equal.

    >>> spread([0.71, 0.7325, 0.72]), spread([12345.0, 12345.0])
    ('0.72 (0.71–0.733)', '12,345')
    >>> spread([2e-8, 1e-8])
    '0'
    """
    low, middle, high = (_text(value, digits) for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"


def _text(value: float, digits: int) -> str:
    if abs(value) < ROUNDING:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def markdown(entries: Sequence[Entry], heading: str, names: Sequence[str], numbers: Sequence[Number]) -> str:
    """The table: a row for each network that has a run.

    >>> entry = {"name": "a", "told": {"x": 1.5}}
    >>> print(markdown([entry], "network", ["a", "b"], [Number("X", told("x"))]))
    | network | runs | X |
    |---|---|---|
    | a | 1 | 1.5 |
    """
    lines = [
        f"| {heading} | runs | {' | '.join(number.title for number in numbers)} |",
        f"|{'---|' * (len(numbers) + 2)}",
    ]
    for name in names:
        own = [entry for entry in entries if entry["name"] == name]
        if own:
            cells = [spread([number.read(entry) for entry in own], number.digits) for number in numbers]
            lines.append(f"| {name} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(entries: Sequence[Entry], names: Sequence[str], numbers: Sequence[Number], path: Path) -> None:
    """The figure: a row for each network, a panel for each number, a point for each run, a line at the median."""
    from matplotlib.ticker import MaxNLocator

    from unconv.data.figure import BLUE, INK, blank, ruled

    rows = [name for name in names if any(entry["name"] == name for entry in entries)]
    drawn = [number for number in numbers if number.drawn]
    figure = blank(1.6 + 2.0 * len(drawn), 0.9 + 0.3 * len(rows))
    panels = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    for axes, number in zip(panels, drawn, strict=True):
        ruled(axes, fill(number.title, TITLE_WIDTH), "")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        for row, name in enumerate(rows):
            values = [number.read(entry) for entry in entries if entry["name"] == name]
            axes.plot(values, [row] * len(values), "o", color=BLUE, markersize=5, alpha=0.6, markeredgewidth=0)
            axes.plot([statistics.median(values)] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=1.5)
        # From zero: a difference looks as large as it is.
        axes.set_xlim(0, 1.1 * max(number.read(entry) for entry in entries) or 1)
    panels[0].set_yticks(range(len(rows)), rows, fontsize=8, color=INK)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
