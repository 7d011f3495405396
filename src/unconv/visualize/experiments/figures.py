"""What all figures of the experiments share: colours, plain axes, pictures as pixels. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import torch
from torch import Tensor

from unconv.errors import MissingExtraError
from unconv.visualize.display import as_rgb

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError:
    raise MissingExtraError("figures", "matplotlib", "demo") from None

BLUE, ORANGE, GREEN, PURPLE = "#1b5a8e", "#c8692a", "#2f8f6d", "#7a4f9a"
INK, FAINT = "#30363b", "#c9d0d6"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, "#8a8d3a", "#b5476b", "#4b8fc0", "#6d6459")


class Plot(Figure):
    """A figure outside pyplot: nothing to close, and a notebook shows it without ``%matplotlib inline``."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=110)
        return picture.getvalue()


def blank(width: float | int, height: float | int) -> Plot:
    """An empty figure of so many inches on white, laid out by itself.

    >>> blank(6, 4).get_size_inches().tolist()
    [6.0, 4.0]
    """
    return Plot(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")


def bare(axes: Axes, title: str = "", size: float | int = 9) -> Axes:
    """Axes without ticks and frame, for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title, fontsize=size, color=INK, loc="left", pad=4)
    return axes


def ruled(axes: Axes, title: str, x_label: str) -> Axes:
    """Axes with two thin rules and a light grid, for curves and bars."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, color=FAINT, which="both")
    axes.grid(True, color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.set_xlabel(x_label, fontsize=8, color=INK)
    return axes


def legend(axes: Axes) -> None:
    """Names of the curves, small and without a frame."""
    axes.legend(fontsize=7, frameon=False, labelcolor=INK)


def frame(axes: Axes, colour: str, width: float = 0.8) -> None:
    """A thin frame around a picture."""
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)


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
