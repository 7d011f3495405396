"""Parts of the figures of experiments: colours, a legend, pictures as pixels. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from unconv.data.figure import BLUE, GREEN, INK
from unconv.visualize.display import as_rgb

ORANGE, PURPLE = "#c8692a", "#7a4f9a"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, "#8a8d3a", "#b5476b", "#4b8fc0", "#6d6459")


def legend(axes: Axes) -> None:
    """Names of the curves, small and without a frame."""
    axes.legend(fontsize=7, frameon=False, labelcolor=INK)


def picture_of(image: Tensor) -> Tensor:
    """An image as (height, width, 3) in [0, 1]: its own range is stretched to that.

    >>> picture_of(torch.tensor([[[-2.0, 0.0, 2.0]]]))[0, :, 0]
    tensor([0.0000, 0.5000, 1.0000])
    """
    values = image.detach().float().cpu()
    low, high = values.min(), values.max()
    return as_rgb((values - low) / (high - low).clamp(min=torch.finfo(values.dtype).tiny)).permute(1, 2, 0)


def depth_colours(count: int) -> Sequence[tuple[float, float, float]]:
    """Colours from light to dark blue, for layers from early to late.

    >>> len(depth_colours(3))
    3
    """
    light, dark = (0.62, 0.77, 0.90), (0.04, 0.17, 0.36)
    steps = [number / max(count - 1, 1) for number in range(count)]
    return [
        (
            light[0] + step * (dark[0] - light[0]),
            light[1] + step * (dark[1] - light[1]),
            light[2] + step * (dark[2] - light[2]),
        )
        for step in steps
    ]
