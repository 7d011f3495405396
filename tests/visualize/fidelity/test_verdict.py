"""The verdict says what the figures say, cites the paper that says why, and is plain data."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from unconv.visualize.fidelity.gate_counts import GateCounts
from unconv.visualize.fidelity.similarity import Similarity
from unconv.visualize.fidelity.verdict import ADEBAYO, MAHENDRAN, Fidelity
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.rules import GUIDED


def alike(cosine: float) -> Similarity:
    return Similarity(cosine, 0.5, 9)


def measured(
    rule: str = "guided",
    image: float = 0.1,
    units: float = 0.0,
    above: float = 0.0,
    counts: GateCounts | None = None,
) -> Fidelity:
    return Fidelity(
        layer="conv",
        unit=3,
        rule=rule,
        pictures=9,
        empty=0,
        coverage=Coverage(rule, {"relu": 2}, 2, 1, {}),
        gate_counts=GateCounts(90, 45, 900, 450, 18) if counts is None else counts,
        other_image=alike(image),
        other_units=alike(units),
        above=alike(above),
        below=None,
    )


@pytest.mark.parametrize(
    ("found", "words", "papers"),
    [
        (
            measured("deconvnet", counts=GateCounts(gates=9)),
            "nine projections differ only in position",
            [GUIDED.reference],
        ),
        (replace(measured(), empty=9), "zero everywhere", []),
        (measured(units=0.8, above=0.9), "Other units of the layer give nearly the same picture", [MAHENDRAN]),
        (measured(units=0.1, above=0.8), "stays when the upper layers are randomised", [ADEBAYO]),
        (measured(units=0.4), "Part of it comes with other units (cosine 0.40)", [MAHENDRAN, ADEBAYO]),
        (measured(units=-0.1), "the unit's own, as far as such checks can tell", [ADEBAYO]),
        (measured("deconvnet", image=0.9), "(cosine 0.90); use guided", [GUIDED.reference]),
        (replace(measured(), other_units=None, above=None), "could not be measured", []),
    ],
)
def test_says_what_the_figures_say(found: Fidelity, words: str, papers: list[str]) -> None:
    assert words in found.verdict
    assert found.verdict.endswith(".")
    assert "\n" not in found.verdict
    assert set(papers) <= set(found.papers)
    assert bool(papers) == bool(found.papers)


def test_other_ways_of_the_image_are_not_denied() -> None:
    gated = replace(
        measured("deconvnet", counts=GateCounts()),
        coverage=Coverage("deconvnet", {"relu": 1}, 1, 0, {"sigmoid": 2}),
    )
    assert "operations without a rule (sigmoid)" in gated.verdict
    scripted = replace(gated, coverage=Coverage("deconvnet", {"relu": 2}, 1, 0, {}))
    assert "only in position" not in scripted.verdict


def test_row_is_plain_data() -> None:
    row = measured().as_row()
    assert set(row) == {"verdict", "figures", "papers"}
    assert json.loads(json.dumps(row)) == row
    assert all(set(figure) == {"name", "value", "meaning"} for figure in row["figures"])
    values = {figure["name"]: figure["value"] for figure in row["figures"]}
    assert values["switches used"] == 5
    assert values["gates that changed the signal"] == 2
    assert values["lower layers randomised: cosine"] is None
    assert len(values) == len(row["figures"])


def test_the_former_name_of_the_counts_warns() -> None:
    with pytest.warns(DeprecationWarning, match="gate_counts"):
        assert measured().carriers == measured().gate_counts
