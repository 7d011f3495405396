"""Figures of graphs: the cost of every layer, and how its receptive field grows. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unconv.data.figure import BLUE, FAINT, GREEN, INK, blank, ruled
from unconv.network.trace.graph import Graph

# Layers that findings are about, by the severity of the gravest.
MARKS = {"error": "#b3261e", "warning": "#c8692a", "hint": "#4b8fc0"}
# As many names of layers have room below the figure, and as many characters of each.
NAMED, LONGEST = 48, 24


def plot_graph(graph: Graph, marked: Mapping[str, str] | None = None) -> Figure:
    """MACs and parameters of each layer, in the order in which they run, and below them its receptive field.

    Fields are the widest axis, in cells of the input; hollow dots see the whole input, or at most what they show.

    Args:
        graph: what trace returned.
        marked: layers by name, with the severity of a finding that their bars are coloured by.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> figure = plot_graph(trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 16, 16)))
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['MACs, 42,336 in all', 'parameters, 224 in all', 'receptive field']
    """
    count = len(graph.layers)
    figure = blank(min(12.0, max(4.5, 0.26 * count + 1.2)), 5.2)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(1.2, 1, 1))
    colours = [MARKS.get((marked or {}).get(layer.name, ""), BLUE) for layer in graph.layers]
    places = list(range(count))
    named = f"MACs, {graph.macs:,} in all"
    ruled(top, named, "").bar(places, [layer.macs for layer in graph.layers], color=colours, width=0.7)
    named = f"parameters, {graph.parameters:,} in all"
    ruled(middle, named, "").bar(places, [layer.parameters for layer in graph.layers], color=colours, width=0.7)
    _fields(ruled(bottom, "receptive field", ""), graph)
    bottom.set_xlim(-0.7, count - 0.3)
    for axes in (top, middle):
        axes.yaxis.get_major_formatter().set_useMathText(True)
    step = max(1, ceil(count / NAMED))
    names = [layer.name if len(layer.name) <= LONGEST else f"…{layer.name[1 - LONGEST :]}" for layer in graph.layers]
    # A dollar sign would begin a formula.
    names = [name.replace("$", r"\$") for name in names]
    bottom.set_xticks(places[::step], names[::step], rotation=90, fontsize=6.5)
    if marked:
        figure.legend(
            handles=[_patch(severity) for severity in MARKS if severity in marked.values()],
            loc="outside upper right",
            fontsize=7,
            frameon=False,
            ncols=len(MARKS),
        )
    return figure


def _fields(axes: Axes, graph: Graph) -> None:
    sizes = [max(layer.receptive_field.size, default=0) for layer in graph.layers]
    if not any(sizes):
        axes.set_yticks([])
        told = "the input has no axes: every unit sees all of it"
        axes.text(0.5, 0.5, told, transform=axes.transAxes, ha="center", va="center", fontsize=8, color=INK)
        return
    exact = [layer.exact and not layer.receptive_field.covers_everything for layer in graph.layers]
    axes.plot(range(len(sizes)), sizes, color=FAINT, linewidth=1.0, zorder=1)
    axes.scatter(
        range(len(sizes)), sizes, s=12, facecolors=[GREEN if one else "white" for one in exact], edgecolors=GREEN
    )
    axes.set_ylabel("cells of the input", fontsize=8, color=INK)
    axes.set_ylim(bottom=0)


def _patch(severity: str) -> object:
    from matplotlib.patches import Patch

    return Patch(color=MARKS[severity], label=severity)
