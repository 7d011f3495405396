"""Figures of correspondence, invariance and transfer: bars and curves. Needs matplotlib."""

from __future__ import annotations

from matplotlib.figure import Figure

from unconv.arguments import tell_wrong_arguments
from unconv.data.figure import BLUE, FAINT, INK, blank, ruled
from unconv.visualize.experiments.correspondence import RANDOM, Correspondence
from unconv.visualize.experiments.figures.common import ORANGE, SERIES, depth_colours, legend
from unconv.visualize.experiments.invariance import Invariance
from unconv.visualize.experiments.transfer import Transfer
from unconv.visualize.experiments.transforms import UNITS


@tell_wrong_arguments
def plot_correspondence(found: Correspondence) -> Figure:
    """For each layer the mean distance of the pairs and its standard deviation, parts beside random boxes.

    >>> import torch
    >>> from torch import nn
    >>> from unconv.visualize.experiments.correspondence import correspondence
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> found = correspondence(model, torch.rand(3, 3, 20, 20), {"eye": [(2, 3, 6, 6)] * 3}, ["0", "1"])
    >>> len(plot_correspondence(found).axes)
    2
    """
    figure = blank(max(3.2, 2.6 * len(found.layers)), 2.8)
    for place, layer in enumerate(found.layers):
        figures = found.parts[layer]
        axes = ruled(figure.add_subplot(1, len(found.layers), place + 1), layer, "")
        colours = [ORANGE if one.part == RANDOM else BLUE for one in figures]
        axes.bar(
            [one.part for one in figures],
            [one.mean for one in figures],
            yerr=[one.deviation for one in figures],
            color=colours,
            ecolor=INK,
            error_kw={"linewidth": 0.8},
            width=0.6,
        )
        axes.axhline(figures[-1].mean, color=ORANGE, linewidth=0.8, linestyle=":")
        axes.tick_params(axis="x", labelrotation=25)
        axes.set_ylim(bottom=0)
        if place == 0:
            axes.set_ylabel("signs that differ, share", fontsize=8, color=INK)
    return figure


@tell_wrong_arguments
def plot_invariance(found: Invariance) -> Figure:
    """Normalised distance of each layer, mean of the images; and the probability of each image's class, or its output.

    >>> import torch
    >>> from torch import nn
    >>> from unconv.visualize.experiments.invariance import invariance
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> found = invariance(model, torch.rand(3, 20, 20), "scale", [1, 1.2, 1.4], ["1", "2"])
    >>> [axes.get_xlabel() for axes in plot_invariance(found).axes]
    ['factor', 'factor']
    """
    classified = found.probability.shape[1] > 0
    followed = found.probability if classified else found.score
    beside = followed.shape[1] > 0
    figure = blank(8.4 if beside else 4.4, 3.0)
    axes = ruled(figure.add_subplot(1, 2 if beside else 1, 1), "‖f(x) − f(Tx)‖ / ‖f(x)‖", UNITS[found.transform])
    for layer, colour in zip(found.layers, depth_colours(len(found.layers)), strict=True):
        axes.plot(
            found.values, found.normalised[layer].nanmean(0).cpu().numpy(), color=colour, label=layer, linewidth=1.4
        )
    axes.set_ylim(bottom=0)
    legend(axes)
    if beside:
        title = "probability of the class" if classified else "output"
        axes = ruled(figure.add_subplot(1, 2, 2), title, UNITS[found.transform])
        for number, (name, values) in enumerate(zip(found.names, followed, strict=True)):
            axes.plot(found.values, values.cpu().numpy(), color=SERIES[number % len(SERIES)], label=name, linewidth=1.4)
        if classified:
            axes.set_ylim(0, 1)
        legend(axes)
    return figure


@tell_wrong_arguments
def plot_transfer(found: Transfer) -> Figure:
    """Accuracy on held-out images by depth, with the spread over the folds, and chance.

    >>> import torch
    >>> from torch import nn
    >>> from unconv.visualize.experiments.transfer import transfer
    >>> labels = torch.arange(20) % 2
    >>> found = transfer(nn.Sequential(nn.Conv2d(3, 8, 3)), torch.rand(20, 3, 12, 12), labels, ["0"])
    >>> [label.get_text() for label in plot_transfer(found).axes[0].get_xticklabels()]
    ['pixels', '0']
    """
    figure = blank(max(4.0, 0.75 * len(found.layers) + 1.5), 3.2)
    axes = ruled(figure.add_subplot(), f"accuracy, {found.classes} classes, {found.images} images", "")
    mean, spread = found.accuracy.mean(1), found.accuracy.std(1, correction=0)
    places = list(range(len(found.layers)))
    axes.fill_between(places, (mean - spread).numpy(), (mean + spread).numpy(), color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(places, mean.numpy(), color=BLUE, marker="o", markersize=4, linewidth=1.4, label="held out")
    axes.plot(places, found.fitted.mean(1).numpy(), color=FAINT, linewidth=1.2, label="fitted")
    axes.axhline(found.chance, color=ORANGE, linestyle=":", linewidth=1, label="most frequent class")
    axes.set_xticks(places, found.layers, rotation=30, ha="right")
    axes.set_ylim(0, 1.03)
    legend(axes)
    return figure
