"""The verdict on a unit's pictures: how far they can be trusted, in words, with the papers that say why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unconv._renamed import warn_renamed
from unconv.describe import counted, describe
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.fidelity.gate_counts import GateCounts
from unconv.visualize.fidelity.similarity import Similarity
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.rules import GUIDED, REVERSE_RULES, find_rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The square of a cosine is the part of one picture's energy that a multiple of the other has: from here on, half of it.
SAME = 0.7
# From here on, a tenth of it; less is what pictures of small fields have in common by chance.
ALIKE = 0.3

MAHENDRAN = "A. Mahendran, A. Vedaldi. Salient Deconvolutional Networks. ECCV 2016"
NIE = (
    "W. Nie, Y. Zhang, A. Patel. A Theoretical Explanation for Perplexing Behaviors of Backpropagation-based "
    "Visualizations. ICML 2018. arXiv:1805.07039"
)
ADEBAYO = "J. Adebayo et al. Sanity Checks for Saliency Maps. NeurIPS 2018. arXiv:1810.03292"
SIXT = (
    "L. Sixt, M. Granz, T. Landgraf. When Explanations Lie: Why Many Modified BP Attributions Fail. ICML 2020. "
    "arXiv:1912.09818"
)
_CITED = {
    GUIDED.paper: GUIDED.reference,
    "Mahendran & Vedaldi 2016": MAHENDRAN,
    "Nie et al. 2018": NIE,
    "Adebayo et al. 2018": ADEBAYO,
    "Sixt et al. 2020": SIXT,
}
# Where nothing of an image is kept: what to do instead.
_ADVICE = f"use {GUIDED.name} ({GUIDED.paper})"
_NUMBERS = dict(enumerate(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=2))


@dataclass(frozen=True, repr=False)
class Fidelity(Plotted, Tabled):
    """What the pictures of one unit owe to the image, to the unit, and to what the network has learned.

    Attributes:
        layer: name of the layer.
        unit: index of the unit in it.
        rule: name of the reverse rule.
        pictures: how many projections were measured.
        empty: how many of them are zero everywhere.
        coverage: what the rule met on the way back.
        gate_counts: switches and gates of all these projections together.
        other_image: likeness to the projection of the same unit and place in another image; None if there is none.
        other_units: likeness to those of other units of the layer, drawn at random, at the same place and image.
        above: likeness to what the same unit sends back when the layers of the upper half of its way are randomised.
        below: the same for the lower half.

    >>> coverage = Coverage("deconvnet", {"relu": 2}, reversed=2, switches=0, passed={})
    >>> counts = GateCounts(gates=90)
    >>> Fidelity("conv", 3, "deconvnet", pictures=9, empty=0, coverage=coverage, gate_counts=counts).verdict
    'These nine projections differ only in position: deconvnet keeps nothing of an image but the switches of
    max-poolings, and none lies on the way; use guided (Springenberg et al. 2014).'
    """

    layer: str
    unit: int
    rule: str
    pictures: int
    empty: int
    coverage: Coverage
    gate_counts: GateCounts
    other_image: Similarity | None = None
    other_units: Similarity | None = None
    above: Similarity | None = None
    below: Similarity | None = None

    @property
    def carriers(self) -> GateCounts:
        """The former name of ``gate_counts``, for one version."""
        warn_renamed("Fidelity.carriers is Fidelity.gate_counts now")
        return self.gate_counts

    @property
    def informed(self) -> bool:
        """Whether anything of the image can have come into the projections."""
        missed = self.coverage.total - self.coverage.reversed
        return bool(self.gate_counts.used or self.coverage.passed or missed)

    @property
    def verdict(self) -> str:
        """What to think of these pictures, in one or two sentences."""
        if self.empty == self.pictures:
            return "Nothing comes back to the pixels: these projections are zero everywhere."
        if not self.informed:
            return _uninformed(self)
        return f"{_of_the_image(self)} {_of_the_unit(self)}"

    @property
    def figures(self) -> list[dict[str, Any]]:
        """The numbers behind it: ``name``, ``value`` (None where not defined) and ``meaning`` of each."""
        return _figures(self)

    @property
    def papers(self) -> list[str]:
        """The papers that the verdict cites."""
        return [paper for words, paper in _CITED.items() if words in self.verdict]

    def plot(self) -> Figure:
        """Draw what its projections have in common with others.

        As :func:`~unconv.visualize.fidelity.fidelity_figure.plot_fidelity` does. Raises MissingExtraError where
        matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.visualize.fidelity.fidelity_figure:plot_fidelity", self)
        return figure

    def _heading(self) -> str:
        return f"Fidelity of unit {self.unit} of {self.layer}, {self.rule}, {counted(self.pictures, 'projection')}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "verdict", self.verdict
        yield "coverage", self.coverage.sentence
        for figure in self.figures:
            if figure["value"] is not None:
                yield figure["name"], describe(figure["value"])

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        yield from self.figures

    def as_row(self) -> dict[str, Any]:
        """Verdict, figures and papers as plain data."""
        return {"verdict": self.verdict, "figures": self.figures, "papers": self.papers}


def _without_gates() -> str:
    """The rules that ask for no gate, as the subject of a sentence."""
    names = [rule.name for rule in REVERSE_RULES.values() if rule.asks is None]
    return f"{names[0]} uses" if len(names) == 1 else f"{', '.join(names)} use"


def _uninformed(fidelity: Fidelity) -> str:
    number = _NUMBERS.get(fidelity.pictures, str(fidelity.pictures))
    these = f"These {number} projections differ only in" if fidelity.pictures > 1 else "This projection shows only the"
    if find_rule(fidelity.rule).asks is None and fidelity.coverage.total:
        pools = "none lies on the way" if not fidelity.gate_counts.switches else "no signal reaches one"
        return (
            f"{these} position: {fidelity.rule} keeps nothing of an image but the switches of max-poolings, and "
            f"{pools}; {_ADVICE}."
        )
    return f"{these} position: the network is linear up to this unit, and every rule gives the same picture."


def _of_the_image(fidelity: Fidelity) -> str:
    counts, number = fidelity.gate_counts, fidelity.pictures
    parts = []
    if counts.switches_used:
        parts.append(f"{_mean(counts.switches_used, number)} switches")
    if counts.gates_used:
        parts.append(f"{_mean(counts.gates_used, number)} gates")
    kinds = ", ".join(fidelity.coverage.passed)
    if kinds:
        parts.append(f"operations without a rule ({kinds})")
    if not counts.used and not kinds:
        parts.append("rectifiers out of the rule's reach")
    said = f"The image comes in through {' and '.join(parts)}"
    elsewhere = fidelity.other_image
    if elsewhere is not None and elsewhere.cosine >= SAME:
        advice = f"; {_ADVICE}" if find_rule(fidelity.rule).asks is None else ""
        cosine = f"cosine {elsewhere.cosine:.2f}"
        return f"{said}, but hardly: another image gives nearly the same picture here ({cosine}){advice}."
    return f"{said}."


def _of_the_unit(fidelity: Fidelity) -> str:
    units, above = _cosine(fidelity.other_units), _cosine(fidelity.above)
    if units is None and above is None:
        return "Whether it is the unit's own could not be measured."
    if units is not None and units >= SAME:
        return (
            f"Other units of the layer give nearly the same picture (cosine {units:.2f}): it shows the image and the "
            "place more than the unit (Mahendran & Vedaldi 2016; Nie et al. 2018)."
        )
    if above is not None and above >= SAME:
        return (
            f"It stays when the upper layers are randomised (cosine {above:.2f}), and does not show what they have "
            "learned (Adebayo et al. 2018; Sixt et al. 2020)."
        )
    measured = " and ".join(
        f"{words} (cosine {value:.2f})"
        for words, value in (("other units", units), ("randomised upper layers", above))
        if value is not None
    )
    if max(value for value in (units, above) if value is not None) >= ALIKE:
        return (
            f"Part of it comes with {measured} as well: do not read every edge as the unit's (Mahendran & Vedaldi "
            "2016; Adebayo et al. 2018)."
        )
    return (
        f"Little of it comes with {measured}: it is the unit's own, as far as such checks can tell (Adebayo et al. "
        "2018)."
    )


def _figures(fidelity: Fidelity) -> list[dict[str, Any]]:
    counts, number = fidelity.gate_counts, fidelity.pictures
    counted = [
        (
            "switches in the cone",
            counts.switches,
            "max-pooling windows between the unit and the pixels, a picture",
        ),
        (
            "switches used",
            counts.switches_used,
            "those that have decided where a signal went: they carry the image",
        ),
        ("gates in the cone", counts.gates, "cells of rectifiers between the unit and the pixels, a picture"),
        (
            "gates used",
            counts.gates_used,
            f"those whose derivative met a signal: they carry the image; {_without_gates()} none",
        ),
        ("gates that changed the signal", counts.gates_changed, "those of them whose derivative is not 1"),
    ]
    likenesses = [
        ("same unit, other image", fidelity.other_image, "1: the picture does not depend on the image"),
        ("other units", fidelity.other_units, "1: the picture does not depend on the unit"),
        (
            "upper layers randomised",
            fidelity.above,
            "1: it does not depend on what the layers near the unit have learned",
        ),
        (
            "lower layers randomised",
            fidelity.below,
            "1: it does not depend on what the layers near the pixels have learned",
        ),
    ]
    rows = [{"name": name, "value": round(value / number, 1), "meaning": meaning} for name, value, meaning in counted]
    for name, likeness, meaning in likenesses:
        for kind in ("cosine", "rank"):
            words = "cosine" if kind == "cosine" else "rank correlation of magnitudes"
            value = None if likeness is None else round(getattr(likeness, kind), 4)
            rows.append({"name": f"{name}: {words}", "value": value, "meaning": meaning})
    return rows


def _cosine(likeness: Similarity | None) -> float | None:
    return None if likeness is None else likeness.cosine


def _mean(total: int, count: int) -> str:
    mean = total / count
    return f"{mean:,.0f}" if mean >= 10 or mean == int(mean) else f"{mean:.1f}"
