"""Matplotlib figures that belong to nobody's global state, and show themselves in a notebook."""

from __future__ import annotations

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

BLUE = "#1b5a8e"
ORANGE = "#d5834b"
GREEN = "#2f8f6d"
INK = "#30363b"
FAINT = "#c9d0d6"
# Rounding leaves [0, 1] by less than this.
SLACK = 0.05


class Plot(Figure):
    """A figure outside pyplot: nothing to close, and a notebook shows it without ``%matplotlib inline``."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=110)
        return picture.getvalue()


def blank(width: float, height: float) -> Plot:
    """An empty figure of so many inches on white, laid out by itself.

    >>> blank(6, 4).get_size_inches().tolist()
    [6.0, 4.0]
    """
    return Plot(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")


def bare(axes: Axes, title: str = "", *, size: float = 9) -> Axes:
    """Axes without ticks and frame, for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title, fontsize=size, color=INK, loc="left", pad=4)
    return axes


def ruled(axes: Axes, title: str, x_label: str) -> Axes:
    """Axes with two thin rules and a light grid, for curves."""
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


def frame(axes: Axes, colour: str, width: float = 0.6) -> None:
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)


def show(axes: Axes, image: Tensor, title: str) -> None:
    """A picture in [0, 1]; one that leaves it is scaled with 0 as mid-grey, as detail is. Signals are curves."""
    if image.ndim == 2:
        ruled(axes, title, "").plot(image.T.float().numpy(), linewidth=0.8, color=BLUE)
        return
    picture = image.float()
    if float(picture.min()) < -SLACK or float(picture.max()) > 1 + SLACK:
        picture = 0.5 + 0.5 * picture / picture.abs().flatten().kthvalue(max(1, int(0.995 * picture.numel()))).values
    picture = picture.clamp(0, 1)
    channels = picture[:3] if len(picture) >= 3 else picture[:1].expand(3, -1, -1)
    bare(axes, title).imshow(channels.permute(1, 2, 0).numpy(), interpolation="antialiased")
