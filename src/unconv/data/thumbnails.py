"""Figures of pictures: thumbnails in rows, each under its name. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from unconv.data.figure import Plot, bare, blank
from unconv.data.mosaic import MOST, columns_for

# Pixels of the longer side of a thumbnail, and characters of a name.
SIDE, NAME = 256, 18


def plot_pictures(pictures: Sequence[Tensor], names: Sequence[str] = (), most: int = MOST) -> Plot:
    """The first pictures, small, each under its name; values outside [0, 1] are clipped.

    >>> import torch
    >>> figure = plot_pictures([torch.rand(3, 48, 64), torch.rand(1, 28, 28)], ["photo", "shoe"])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['photo', 'shoe']

    Args:
        pictures: (channels, height, width), one channel or the first three of several.
        names: what stands above them; nothing where there are fewer.
        most: how many at most.
    """
    shown = [_small(picture) for picture in pictures[:most]]
    columns = min(len(shown), max(4, columns_for(len(shown)))) or 1
    rows = -(-len(shown) // columns) or 1
    figure = blank(1.7 * columns + 0.2, 1.9 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (axes, picture) in enumerate(zip(grid.flat, shown, strict=False)):
        name = names[number] if number < len(names) else ""
        name = name if len(name) <= NAME else f"…{name[1 - NAME :]}"
        bare(axes, name.replace("$", r"\$"), size=7).imshow(picture.numpy(), interpolation="nearest")
    return figure


def _small(picture: Tensor) -> Tensor:
    """(height, width, 3) in [0, 1], no larger than a thumbnail."""
    image = picture.detach().float().cpu()
    image = image[:3] if len(image) >= 3 else image[:1].expand(3, *image.shape[1:])
    share = SIDE / max(image.shape[1:])
    if share < 1:
        size = [max(1, round(side * share)) for side in image.shape[1:]]
        image = F.interpolate(image[None], size=size, mode="area")[0]
    return image.nan_to_num(nan=1.0).clamp(0, 1).permute(1, 2, 0)
