"""Matplotlib figures that belong to nobody's global state and show themselves in a notebook. Needs matplotlib."""

from __future__ import annotations

from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

from unconv.errors import MissingExtraError, UnconvError
from unconv.files import write_whole

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError:
    raise MissingExtraError("figures", "matplotlib", "demo") from None

BLUE, GREEN, INK, FAINT = "#1b5a8e", "#2f8f6d", "#30363b", "#c9d0d6"


class Plot(Figure):
    """A figure outside pyplot: nothing to close, and a notebook shows it without ``%matplotlib inline``."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=110)
        return picture.getvalue()


def save_figure(figure: Figure, path: str | PathLike[str], **options: Any) -> Path:
    """Write a figure, whole or not at all, in the format that the ending names.

    >>> import tempfile
    >>> save_figure(blank(2, 1), Path(tempfile.mkdtemp()) / "empty.PNG").name
    'empty.PNG'

    Raises UnconvError for an ending that names no format, and where the place cannot be written to.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise UnconvError(f"figure {path}: files end in .{', .'.join(sorted(known))}")
    content = BytesIO()
    figure.savefig(content, format=kind, **options)
    return write_whole(path, content.getvalue())


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


def frame(axes: Axes, colour: str, width: float = 0.8) -> None:
    """A thin frame around a picture."""
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)
