"""The figure of an occlusion experiment (Zeiler & Fergus 2013, section 4.2). Needs matplotlib."""

from __future__ import annotations

from collections import Counter

import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.data.figure import INK, bare, blank
from unconv.errors import UnconvError
from unconv.visualize.experiments.figures.common import SERIES, picture_of
from unconv.visualize.experiments.occlusion.sensitivity import OcclusionMaps

OTHER = "#dfe3e7"
# As many characters of a layer's name have room above its map.
LONGEST = 16


@tell_wrong_arguments
def plot_occlusion(maps: OcclusionMaps, picture: Tensor | None = None) -> Figure:
    """The image with the square, and three maps over its places: probability, feature map, most probable class.

    Where the outputs are numbers, the number stands in place of the probability, and the largest in that of the class.

    A cell of a map stands where the middle of the square is.

    Args:
        maps: what occlusion returned.
        picture: the image to show, (channel, height, width) in [0, 1]; the image itself, stretched, unless given.

    >>> from torch import nn
    >>> from unconv.visualize.experiments.occlusion.sensitivity import occlusion
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 3))
    >>> len(plot_occlusion(occlusion(model, torch.rand(3, 16, 16), square=6, stride=5)).axes) >= 4
    True
    """
    if picture is not None and picture.ndim != 3:
        raise UnconvError(f"plot_occlusion: picture of shape {tuple(picture.shape)}; give (channel, height, width)")
    figure = blank(11.0, 3.5)
    grid = figure.add_gridspec(2, 4, height_ratios=(1, 0.045))
    first, second, third, fourth = (figure.add_subplot(grid[0, column]) for column in range(4))
    height, width = maps.image.shape[1:]
    bare(first, f"{maps.target_name} {maps.clean_followed:.2f} without square")
    shown = picture_of(maps.image) if picture is None else picture.permute(1, 2, 0).clamp(0, 1)
    first.imshow(shown.numpy(), extent=(0, width, height, 0), cmap="gray")
    row, column = divmod(int(maps.followed.argmin()), maps.followed.shape[1])
    (top, bottom), (left, right) = maps.rows[row], maps.columns[column]
    first.add_patch(Rectangle((left, top), right - left, bottom - top, facecolor="#808080", edgecolor="white"))
    bars = (figure.add_subplot(grid[1, 1]), figure.add_subplot(grid[1, 2]))
    named = f"probability of {maps.target_name}" if maps.probable else maps.target_name
    _map(second, bars[0], maps, maps.followed, named, maps.clean_followed)
    layer = maps.layer if len(maps.layer) <= LONGEST else f"…{maps.layer[1 - LONGEST :]}"
    named = f"{layer}, map {maps.unit}, summed"
    _map(third, bars[1], maps, maps.activation, named, maps.clean_activation)
    _labels(fourth, bare(figure.add_subplot(grid[1, 3])), maps)
    return figure


def _extent(maps: OcclusionMaps) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the maps in pixels: half a step around the middles of the square."""
    edges = []
    for axis, size in ((maps.columns, maps.square[1]), (maps.rows, maps.square[0])):
        step = axis[1][0] - axis[0][0] if len(axis) > 1 else size
        edges += [axis[0][0] + size / 2 - step / 2, axis[-1][0] + size / 2 + step / 2]
    return edges[0], edges[1], edges[3], edges[2]


def _frame_of(axes: Axes, maps: OcclusionMaps) -> None:
    height, width = maps.image.shape[1:]
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("equal")


def _map(axes: Axes, below: Axes, maps: OcclusionMaps, values: Tensor, title: str, clean: float) -> None:
    """A map, and its scale below, with the value without square marked."""
    numbers = values.float().numpy()
    shown = bare(axes, title).imshow(numbers, extent=_extent(maps), cmap="magma", interpolation="nearest")
    _frame_of(axes, maps)
    bar = axes.figure.colorbar(shown, cax=below, orientation="horizontal")
    below.tick_params(labelsize=7, colors=INK)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    bar.outline.set_visible(False)
    low, high = float(values.min()), float(values.max())
    if low < high and low <= clean <= high:
        below.axvline(clean, color="#3fb8af", linewidth=2)
        below.text(clean, 1.3, "clean", fontsize=6, color=INK, ha="center", transform=below.get_xaxis_transform())


def _labels(axes: Axes, below: Axes, maps: OcclusionMaps) -> None:
    """The most probable class; the most frequent ones have a colour of their own, named below."""
    counts = Counter(maps.label.flatten().tolist())
    frequent = [label for label, _ in counts.most_common(len(SERIES))]
    codes = torch.full(maps.label.shape, len(frequent))
    for number, label in enumerate(frequent):
        codes[maps.label == label] = number
    colours = ListedColormap([*SERIES[: len(frequent)], OTHER])
    bare(axes, "most probable class" if maps.probable else "largest output").imshow(
        codes.numpy(), extent=_extent(maps), cmap=colours, vmin=0, vmax=len(frequent), interpolation="nearest"
    )
    _frame_of(axes, maps)
    patches = [Patch(color=SERIES[n], label=maps.names[label]) for n, label in enumerate(frequent)]
    if len(counts) > len(frequent):
        patches.append(Patch(color=OTHER, label="others"))
    below.legend(handles=patches, fontsize=7, frameon=False, labelcolor=INK, loc="upper left", ncols=2)
