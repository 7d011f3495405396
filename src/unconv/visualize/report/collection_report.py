"""A network over a whole collection of pictures, and another one beside it: scanned, matched, shown unit by unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from unconv.data.images import Skipped
from unconv.data.read.pictures import Pictures
from unconv.errors import UnconvError
from unconv.visualize.report.files import prefixed
from unconv.visualize.report.matching import Match, match_units
from unconv.visualize.report.plan import Plan
from unconv.visualize.report.rows import CollectionRow, ComparisonRow, CounterpartRow, LayerRow, MatchRow
from unconv.visualize.report.survey import Survey, survey
from unconv.visualize.report.unit_rows import Output, choose_units, collect_units

# What a page with its pictures inside may hold, and about what a place takes: a patch and a projection.
MOST_BYTES, PLACE_BYTES = 64 * 2**20, 7000
# Units without a counterpart that are shown of the other network's layers.
BORN = 8


def report_collection(
    plan: Plan, pictures: Pictures, output: Output, single_file: bool
) -> tuple[CollectionRow, ComparisonRow | None, tuple[Skipped, ...]]:
    """What a page shows of the collection, of the comparison where there is one, and what could not be used.

    Raises :class:`~unconv.errors.UnconvError` where one page could not hold it all.
    """
    seen = survey(plan.model, pictures, plan.layers, plan.top, plan.given, output.progress, plan.max_pixels)
    units = {layer: choose_units(seen.found, layer, plan.units) for layer in plan.layers}
    if single_file:
        check_size(sum(map(len, units.values())), plan.top)
    rows = collect_units(plan, seen, pictures, units, output)
    if plan.other is None:
        return rows, None, seen.found.skipped
    rows, comparison = _compare(plan.other, seen, pictures, rows, replace(output, visit=None))
    return rows, comparison, seen.found.skipped


def check_size(units: int, top: int) -> None:
    """Refuse more units than a page with its pictures inside should hold.

    >>> check_size(16, top=9)
    """
    if units * top * PLACE_BYTES > MOST_BYTES:
        megabytes = units * top * PLACE_BYTES // 2**20
        raise UnconvError(
            f"single file: {units} units would make a page of about {megabytes} MB; show fewer, or make a folder"
        )


def _compare(
    other: Plan, seen: Survey, pictures: Pictures, rows: CollectionRow, output: Output
) -> tuple[CollectionRow, ComparisonRow]:
    """The rows with their counterparts, and the other network's units: what the shown ones became, and some born."""
    there = survey(other.model, pictures, other.layers, other.top, None, output.progress, other.max_pixels)
    both = sorted(set(seen.sample) & set(there.sample))
    here_rows, there_rows = ([one.sample.index(number) for number in both] for one in (seen, there))
    matches = {
        layer: match_units(seen.activity[layer][here_rows], there.activity[layer][there_rows]) for layer in other.layers
    }
    units = {
        layer.layer: choose_counterparts([unit.unit for unit in layer.units], matches[layer.layer], BORN)
        for layer in rows.layers
    }
    theirs = collect_units(other, there, pictures, units, replace(output, store=prefixed(output.store, "other-")))
    comparison = ComparisonRow(
        model=other.model.name,
        weights=other.model.weights,
        pictures=len(both),
        layers=match_rows(matches),
        collection=add_counterparts(theirs, matches, first=False),
    )
    return add_counterparts(rows, matches, first=True), comparison


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
