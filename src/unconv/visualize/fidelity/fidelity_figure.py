"""The figure of a unit's fidelity: its projections' likeness to others. Needs matplotlib."""

from __future__ import annotations

from matplotlib.figure import Figure

from unconv.data.figure import BLUE, FAINT, GREEN, INK, blank, ruled
from unconv.visualize.fidelity.verdict import ALIKE, SAME, Fidelity


def plot_fidelity(fidelity: Fidelity) -> Figure:
    """How like its projections are to those of other images, other units and randomised layers: cosine and ranks.

    Near 1, the picture does not depend on what was exchanged. Dotted lines are where the verdict changes; what could
    not be measured has no bar.

    >>> from unconv.visualize.fidelity.gate_counts import GateCounts
    >>> from unconv.visualize.fidelity.similarity import Similarity
    >>> from unconv.visualize.reverse.coverage import Coverage
    >>> coverage = Coverage("guided", {"relu": 2}, reversed=2, switches=0, passed={})
    >>> fidelity = Fidelity("conv", 3, "guided", 9, 0, coverage, GateCounts(gates=90), Similarity(0.2, 0.4, 9))
    >>> [label.get_text() for label in plot_fidelity(fidelity).axes[0].get_yticklabels()]
    ['other image', 'other units', 'upper layers randomised', 'lower layers randomised']
    """
    likenesses = {
        "other image": fidelity.other_image,
        "other units": fidelity.other_units,
        "upper layers randomised": fidelity.above,
        "lower layers randomised": fidelity.below,
    }
    figure = blank(5.6, 2.6)
    axes = ruled(figure.add_subplot(), f"{fidelity.layer}, unit {fidelity.unit}, {fidelity.rule}", "likeness")
    for shift, kind, colour in ((-0.19, "cosine", BLUE), (0.19, "rank", GREEN)):
        values = [0.0 if one is None else getattr(one, kind) for one in likenesses.values()]
        named = "cosine" if kind == "cosine" else "rank correlation of magnitudes"
        axes.barh([place + shift for place in range(len(values))], values, height=0.34, color=colour, label=named)
    for place, one in enumerate(likenesses.values()):
        if one is None:
            axes.text(0.02, place, "not measured", fontsize=7, color=INK, va="center")
    for limit in (ALIKE, SAME):
        axes.axvline(limit, color=INK, linewidth=0.8, linestyle=":")
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(likenesses)), list(likenesses), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(min(0.0, axes.get_xlim()[0]), 1.0)
    figure.legend(loc="outside lower center", fontsize=7, frameon=False, ncols=2, labelcolor=INK)
    return figure
