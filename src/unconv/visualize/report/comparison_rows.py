"""The same pictures through two networks: whose units became what, as a report tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unconv.visualize.report.matching import Match
from unconv.visualize.report.page import Row


def match_rows(matches: Mapping[str, Match]) -> list[Row]:
    """By layer the pairs with their correlation and verdict, and the units without one."""
    return [
        {
            "layer": layer,
            "same": sum(pair.verdict == "same" for pair in match.pairs),
            "changed": sum(pair.verdict == "changed" for pair in match.pairs),
            "died": list(match.died),
            "born": list(match.born),
            "pairs": [
                {
                    "unit": pair.unit,
                    "other": pair.other,
                    "correlation": pair.correlation,
                    "verdict": pair.verdict,
                }
                for pair in match.pairs
            ],
        }
        for layer, match in matches.items()
    ]


def mark_units(collection: Row, matches: Mapping[str, Match], first: bool) -> None:
    """Tell every shown unit of one side what became of it; ``first`` for the side that was there before."""
    for layer in collection["layers"]:
        match = matches[layer["layer"]]
        partner: dict[int, dict[str, Any]] = {}
        for pair in match.pairs:
            here, there = (pair.unit, pair.other) if first else (pair.other, pair.unit)
            partner[here] = {"unit": there, "correlation": pair.correlation, "verdict": pair.verdict}
        alone = dict.fromkeys(match.died, "died") if first else dict.fromkeys(match.born, "born")
        for unit in layer["units"]:
            verdict = {"unit": None, "correlation": None, "verdict": alone.get(unit["unit"], "dead")}
            unit["counterpart"] = partner.get(unit["unit"], verdict)


def counterparts(shown: list[int], match: Match, born: int) -> list[int]:
    """Units of the other network to show: those that the shown ones became, then some that were born."""
    became = {pair.unit: pair.other for pair in match.pairs}
    return [became[unit] for unit in shown if unit in became] + list(match.born[:born])
