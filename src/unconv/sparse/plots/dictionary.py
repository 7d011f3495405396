"""Figures of dictionaries: a mosaic of the kernels, most used first."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unconv.data.mosaic import columns_for, enlarge, kernel_picture, mosaic
from unconv.errors import SparseError
from unconv.sparse.code.validate import as_tensor, check_dictionary
from unconv.sparse.plots.results import need_matplotlib
from unconv.sparse.types import ArrayLike, DictionaryLike, Fitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Pixels that a tap is drawn with, along each axis.
CELL = 10


def plot_dictionary(
    dictionary: DictionaryLike | Fitted, use: ArrayLike | None = None, *, title: str | None = None
) -> Figure:
    """A mosaic of the kernels, most used first.

    Each kernel is scaled by itself: 0 is mid-grey, its largest magnitude black or white. Three channels are shown as
    a colour, other numbers side by side; kernels of signals are curves. With ``use`` a bar below each kernel shows how
    often it is used, relative to the most used one.

    >>> plot_dictionary(torch.randn(64, 1, 8, 8), use=torch.arange(64)).axes[0].get_title(loc="left")
    '64 kernels 8×8, most used first'

    Args:
        dictionary: (K, C, h, w) or (K, C, T), or anything with a ``dictionary_`` of that shape, as a fitted learner.
        use: K numbers, such as ``encoding.kernel_use``; a fitted learner's own unless given.
        title: instead of the one above.

    Raises :class:`~unconv.errors.SparseError` for other shapes.
    """
    if use is None:
        use = getattr(dictionary, "kernel_use_", None)
    learned: DictionaryLike = getattr(dictionary, "dictionary_", dictionary)  # type: ignore[arg-type]
    kernels = check_dictionary(learned, "plot_dictionary").cpu()
    if kernels.ndim > 4:
        raise SparseError("plot_dictionary: kernels with three axes have no picture; choose a slice of them")
    shares = None if use is None else _shares(use, len(kernels))
    order = range(len(kernels)) if shares is None else shares.argsort(descending=True, stable=True).tolist()
    if title is None:
        size = "×".join(str(taps) for taps in kernels.shape[2:])
        title = f"{len(kernels)} kernels {size}" + ("" if shares is None else ", most used first")
    if kernels.ndim == 3:
        return _curves(kernels, order, title)
    pictures = [_with_bar(kernel_picture(kernels[k]), None if shares is None else float(shares[k])) for k in order]
    columns = columns_for(len(pictures))
    return _board(mosaic(pictures, columns, gap=CELL // 2), title)


def _shares(use: ArrayLike, count: int) -> Tensor:
    shares = as_tensor(use, "use", "plot_dictionary").double().cpu()
    if shares.shape != (count,) or not bool((shares >= 0).all() and shares.isfinite().all()):
        raise SparseError(
            f"plot_dictionary: use of shape {tuple(shares.shape)} for {count} kernels; give one number of at least 0 "
            "for each"
        )
    return shares / shares.max().clamp(min=torch.finfo(shares.dtype).tiny)


def _with_bar(picture: Tensor, share: float | None) -> Tensor:
    """A kernel enlarged, and below it a bar that is as long as its share."""
    large = enlarge(picture, CELL)
    if share is None:
        return large
    bar = large.new_ones(CELL, large.shape[1], 3)
    bar[CELL // 3 : 2 * CELL // 3] = large.new_tensor([0.9, 0.92, 0.94])
    bar[CELL // 3 : 2 * CELL // 3, : ceil(share * large.shape[1])] = large.new_tensor([0.11, 0.35, 0.56])
    return torch.cat([large, bar])


def _board(board: Tensor, title: str) -> Figure:
    need_matplotlib()
    from unconv.data.figure import bare, blank

    height, width = board.shape[:2]
    inches = 6.0 / max(height, width)
    figure = blank(max(width * inches, 2.0), height * inches + 0.35)
    bare(figure.add_subplot(), title).imshow(board.numpy(), interpolation="nearest")
    return figure


def _curves(kernels: Tensor, order: Sequence[int], title: str) -> Figure:
    need_matplotlib()
    from unconv.data.figure import BLUE, FAINT, GREEN, bare, blank
    from unconv.sparse.plots.figure import ORANGE

    columns = columns_for(len(kernels), 2.0, 1.0)
    rows = ceil(len(kernels) / columns)
    figure = blank(max(1.2 * columns, 2.0), 0.6 * rows + 0.4)
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    for place, k in enumerate(order):
        axes = bare(figure.add_subplot(rows, columns, place + 1))
        axes.axhline(0, color=FAINT, linewidth=0.6)
        for channel, colour in zip(kernels[k], (BLUE, ORANGE, GREEN) * len(kernels[k]), strict=False):
            axes.plot(channel.numpy(), color=colour, linewidth=1.0)
    return figure
