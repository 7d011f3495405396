"""The same pictures through two networks: rows of whose units became what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from unconv.visualize.report.matching import Match
from unconv.visualize.report.rows import CollectionRow, CounterpartRow, LayerRow, MatchRow


def match_rows(matches: Mapping[str, Match]) -> tuple[MatchRow, ...]:
    """By layer the pairs with their correlation and verdict, and the units without one."""
    return tuple(
        MatchRow(
            layer,
            same=sum(pair.verdict == "same" for pair in match.pairs),
            changed=sum(pair.verdict == "changed" for pair in match.pairs),
            died=match.died,
            born=match.born,
            pairs=match.pairs,
        )
        for layer, match in matches.items()
    )


def add_counterparts(collection: CollectionRow, matches: Mapping[str, Match], first: bool) -> CollectionRow:
    """The rows of one side, each unit with what became of it; ``first`` for the side that was there before."""
    layers = tuple(_with_counterparts(layer, matches[layer.layer], first) for layer in collection.layers)
    return replace(collection, layers=layers)


def _with_counterparts(layer: LayerRow, match: Match, first: bool) -> LayerRow:
    partner: dict[int, CounterpartRow] = {}
    for pair in match.pairs:
        here, there = (pair.unit, pair.other) if first else (pair.other, pair.unit)
        partner[here] = CounterpartRow(there, pair.correlation, pair.verdict)
    alone = dict.fromkeys(match.died, "died") if first else dict.fromkeys(match.born, "born")
    units = tuple(
        replace(unit, counterpart=partner.get(unit.unit, CounterpartRow(None, None, alone.get(unit.unit, "dead"))))
        for unit in layer.units
    )
    return replace(layer, units=units)


def choose_counterparts(shown: list[int], match: Match, born: int) -> list[int]:
    """Units of the other network to show: those that the shown ones became, then some that were born."""
    became = {pair.unit: pair.other for pair in match.pairs}
    return [became[unit] for unit in shown if unit in became] + list(match.born[:born])
