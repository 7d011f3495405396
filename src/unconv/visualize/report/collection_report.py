"""A network over a whole collection of pictures, and another one beside it: surveyed, matched, catalogued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from unconv.data.images import Skipped
from unconv.data.read.pictures import Pictures
from unconv.errors import UnconvError
from unconv.jobs.progress import Told
from unconv.visualize.report.comparison_rows import counterparts, mark_units, match_rows
from unconv.visualize.report.contact_sheets import ContactSheets
from unconv.visualize.report.files import Store
from unconv.visualize.report.filter_rows import filter_rows
from unconv.visualize.report.matching import match_units
from unconv.visualize.report.page import Row
from unconv.visualize.report.plan import Plan
from unconv.visualize.report.survey import Survey, survey
from unconv.visualize.report.unit_rows import Subject, Units, catalogue, choose_units
from unconv.visualize.scan.top_activations import TopActivations

Follow = Callable[[int, "int | None", str], None]

# What a page with its pictures inside may hold, and about what a place takes: a patch and a projection.
MOST_BYTES, PLACE_BYTES = 64 * 2**20, 7000
BORN = 8


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is asked of a collection.

    Attributes:
        plan: the network, its layers and the rule.
        other: another network, same layers; None where nothing is compared.
        pictures: the collection.
        units: which of each layer.
        top: places of each unit.
        given: a scan that has been made.
        measured: how many units of each layer have their fidelity measured.
    """

    plan: Plan
    other: Plan | None
    pictures: Pictures
    units: Units
    top: int
    given: TopActivations | None
    measured: int


def look_at_all(
    wanted: Wanted, store: Store, follow: Follow, sheets: ContactSheets, single_file: bool
) -> tuple[Row, Row | None, tuple[Skipped, ...]]:
    """What a page shows of the collection, of the comparison where there is one, and what could not be used.

    Raises :class:`~unconv.errors.UnconvError` where one page could not hold it all.
    """
    plan, pictures = wanted.plan, wanted.pictures
    seen = survey(plan.model, pictures, plan.layers, wanted.top, wanted.given, Told(follow, "scanning"))
    units = {layer: choose_units(seen.found, layer, wanted.units) for layer in plan.layers}
    shown = sum(map(len, units.values()))
    megabytes = shown * wanted.top * PLACE_BYTES // 2**20
    if single_file and shown * wanted.top * PLACE_BYTES > MOST_BYTES:
        raise UnconvError(
            f"single file: {shown} units would make a page of about {megabytes} MB; show fewer, or make a folder"
        )
    subject = Subject(
        plan, seen, pictures, units, "", store, follow, wanted.measured, sheets.visit if sheets.wanted else None
    )
    rows = catalogue(subject)
    dead = {layer: seen.found.dead(layer).tolist() for layer in plan.layers}
    rows["first_layer"] = filter_rows(plan.model, dead, store)
    if wanted.other is None:
        return rows, None, seen.found.skipped
    return rows, _compared(wanted.other, subject, seen, rows, store), seen.found.skipped


def _compared(other: Plan, subject: Subject, seen: Survey, rows: Row, store: Store) -> Row:
    """The other network's units: what the shown ones became, and some that were born."""
    follow, pictures = subject.step, subject.pictures
    there = survey(
        other.model, pictures, other.layers, seen.found.top, None, Told(follow, f"scanning {other.model.name}")
    )
    both = sorted(set(seen.sample) & set(there.sample))
    here_rows, there_rows = ([one.sample.index(number) for number in both] for one in (seen, there))
    matches = {
        layer: match_units(seen.activity[layer][here_rows], there.activity[layer][there_rows]) for layer in other.layers
    }
    units = {layer: counterparts(subject.units[layer], matches[layer], BORN) for layer in other.layers}
    theirs = catalogue(replace(subject, plan=other, survey=there, units=units, stem="other-", visit=None))
    mark_units(rows, matches, first=True)
    mark_units(theirs, matches, first=False)
    theirs["first_layer"] = filter_rows(
        other.model, {layer: there.found.dead(layer).tolist() for layer in other.layers}, store, "other-"
    )
    return {
        "model": other.model.name,
        "weights": other.model.weights,
        "pictures": len(both),
        "layers": match_rows(matches),
        "collection": theirs,
    }
