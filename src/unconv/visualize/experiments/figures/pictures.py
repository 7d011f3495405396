"""Figures of evolution and first layer: mosaics. Needs matplotlib."""

from __future__ import annotations

from math import ceil, sqrt

from matplotlib.figure import Figure
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.data.figure import BLUE, FAINT, INK, bare, blank, frame, ruled
from unconv.visualize.display import as_rgb, show_projection
from unconv.visualize.experiments.evolution import Evolution
from unconv.visualize.experiments.figures.common import ORANGE, PURPLE
from unconv.visualize.experiments.first_layer import FirstLayer


@tell_wrong_arguments
def plot_evolution(found: Evolution) -> Figure:
    """A row for each unit, a column for each checkpoint: the projection, cut to where it is not zero.

    Below each is the image it is from and the activation; where the image is another one than before, it is orange.

    >>> import torch
    >>> from torch import nn
    >>> from unconv.visualize.experiments.evolution import evolution
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> states = [{name: part * tensor for name, tensor in model.state_dict().items()} for part in (0.5, 1.0)]
    >>> len(plot_evolution(evolution(model, states, torch.rand(4, 3, 12, 12), "1", top_units=3)).axes)
    6
    """
    rows, columns = len(found.units), len(found.checkpoints)
    figure = blank(max(2.0, 1.25 * columns + 0.4), 1.5 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False)
    for row, unit in enumerate(found.units):
        for column, name in enumerate(found.checkpoints):
            axes = bare(grid[row][column], name if row == 0 else "")
            projection = found.projections[column, row].detach().float().cpu()
            axes.imshow(as_rgb(show_projection(_cut(projection))).permute(1, 2, 0).numpy(), interpolation="nearest")
            image = int(found.images[column, row])
            changed = column > 0 and image != int(found.images[column - 1, row])
            axes.set_xlabel(
                f"image {image}, {float(found.activations[column, row]):.3g}",
                fontsize=6.5,
                color=ORANGE if changed else INK,
                labelpad=2,
            )
            frame(axes, FAINT)
        grid[row][0].set_ylabel(f"unit {unit}", fontsize=8, color=INK)
    return figure


def _cut(projection: Tensor) -> Tensor:
    """The part that is not zero; all of it where everything is."""
    rows, columns = ((projection != 0).any(0).any(axis).nonzero().flatten() for axis in (1, 0))
    if not len(rows):
        return projection
    return projection[:, int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]


@tell_wrong_arguments
def plot_first_layer(found: FirstLayer) -> Figure:
    """The filters as a mosaic, and for each its norm and how much is aliased.

    Dead filters are framed in orange, dominant ones in violet. Filters of three channels are colours, around mid-grey;
    all are scaled by the largest weight of the layer's median filter, so that weak filters look weak.

    >>> from torch import nn
    >>> from unconv.visualize.experiments.first_layer import first_layer
    >>> len(plot_first_layer(first_layer(nn.Conv2d(3, 16, 7, stride=2))).axes)
    17
    """
    count = len(found.filters)
    columns = max(1, ceil(sqrt(count)))
    figure = blank(9.0, 4.6)
    halves = figure.add_gridspec(1, 2, width_ratios=(1.15, 1))
    left, right = figure.add_subfigure(halves[0, 0]), figure.add_subfigure(halves[0, 1])
    peaks = found.filters.flatten(1).abs().amax(1)
    scale = max(float(peaks[found.norm > 0].median()) if bool((found.norm > 0).any()) else 0.0, 1e-12) * 1.5
    grid = left.subplots(ceil(count / columns), columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        bare(axes)
        if number >= count:
            axes.set_visible(False)
            continue
        shown = (0.5 + 0.5 * found.filters[number] / scale).clamp(0, 1)
        axes.imshow(as_rgb(shown).permute(1, 2, 0).numpy(), interpolation="nearest")
        if bool(found.dead[number]) or bool(found.dominant[number]):
            frame(axes, ORANGE if bool(found.dead[number]) else PURPLE, 1.8)
    size = "×".join(map(str, found.filters.shape[2:]))
    steps = "×".join(map(str, dict.fromkeys(found.stride)))
    left.suptitle(f"{found.layer}: {count} filters {size}, stride {steps}", fontsize=9, color=INK, x=0.02, ha="left")
    told = f"{int(found.dead.sum())} dead, {int(found.dominant.sum())} dominant"
    title = f"{told}; {found.total_aliasing:.0%} of all energy aliased"
    axes = ruled(right.add_subplot(), title, "norm of a filter")
    colours = [
        ORANGE if dead else PURPLE if dominant else BLUE
        for dead, dominant in zip(found.dead.tolist(), found.dominant.tolist(), strict=True)
    ]
    axes.scatter(found.norm.numpy(), found.aliasing.numpy(), c=colours, s=16, linewidths=0)
    axes.set_ylabel("energy beyond the stride's Nyquist frequency", fontsize=8, color=INK)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(left=0)
    return figure
