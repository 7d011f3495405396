"""Figures of trainings: what was measured after each epoch, and the confusion matrix. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from unconv.data.figure import BLUE, FAINT, INK, blank, ruled
from unconv.train.loop.result import Epoch

# Numbers that have a panel, and classes whose names have room beside a matrix.
PANELS, NAMED = 4, 20


def plot_history(
    history: Sequence[Epoch], confusion: Tensor | None = None, classes: Sequence[str] = (), best: int | None = None
) -> Figure:
    """A panel for each number of the history, as it was in training and on what was held out; the confusion matrix.

    Numbers of single classes, ``iou/CLASS``, are left out.

    >>> history = [Epoch(n, {"loss": 1 / n}, {"loss": 1.2 / n, "accuracy": 1 - 1 / n}) for n in (1, 2, 3)]
    >>> [axes.get_title(loc="left") for axes in plot_history(history).axes]
    ['loss', 'accuracy']

    Args:
        history: an entry for each epoch.
        confusion: examples by their class (row) and the one they are taken for (column).
        classes: their names.
        best: the number of the epoch whose weights were taken; marked where it is not the last.
    """
    measured = dict.fromkeys(name for epoch in history for name in (*epoch.train, *epoch.held_out) if "/" not in name)
    names = list(measured)[:PANELS]
    count = len(names) + (confusion is not None)
    figure = blank(3.3 * count, 2.9)
    for place, name in enumerate(names):
        axes = ruled(figure.add_subplot(1, count, place + 1), name, "epoch")
        _curve(axes, history, name)
        if best is not None and history and best != history[-1].number:
            axes.axvline(best, color=INK, linewidth=0.8, linestyle=":")
    if confusion is not None:
        _matrix(figure.add_subplot(1, count, count), confusion, classes)
    return figure


def _curve(axes: Axes, history: Sequence[Epoch], name: str) -> None:
    for side, colour, named in (("train", FAINT, "training"), ("held_out", BLUE, "held out")):
        told = [(epoch.number, getattr(epoch, side)[name]) for epoch in history if name in getattr(epoch, side)]
        if told:
            axes.plot(*zip(*told, strict=True), color=colour, marker="o", markersize=2.5, linewidth=1.3, label=named)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=7, frameon=False, labelcolor=INK)


def _matrix(axes: Axes, confusion: Tensor, classes: Sequence[str]) -> None:
    """Each row as parts of its class, so that rare classes are seen as well."""
    table = confusion.double()
    shares = table / table.sum(1, keepdim=True).clamp(min=1)
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title("taken for (column), by class (row)", fontsize=9, color=INK, loc="left")
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    if 0 < len(classes) <= NAMED:
        names = [name.replace("$", r"\$") for name in classes]
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        axes.set_yticks(range(len(names)), names, fontsize=6)
