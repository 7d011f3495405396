"""Pictures of dictionaries, codes, convergence and results: matplotlib figures that a notebook shows by itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unconv.data.mosaic import columns_for, enlarge, kernel_picture, map_picture, mosaic
from unconv.errors import SparseError
from unconv.sparse.code.boundary import code_size
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.validate import as_float, as_tensor, check_dictionary
from unconv.sparse.plots.plots_results import need_matplotlib, plot_before_after, plot_convergence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_before_after", "plot_codes", "plot_convergence", "plot_dictionary"]

CELL = 10
MAP_CELLS = 128


def plot_dictionary(dictionary: object, use: object = None, *, title: str | None = None) -> Figure:
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
    kernels = check_dictionary(getattr(dictionary, "dictionary_", dictionary), "plot_dictionary").cpu()
    if kernels.ndim > 4:
        raise SparseError("plot_dictionary: kernels with three axes have no picture; choose a slice of them")
    shares = None if use is None else _shares(use, len(kernels))
    order = range(len(kernels)) if shares is None else shares.argsort(descending=True, stable=True).tolist()
    told = title
    if told is None:
        size = "×".join(str(taps) for taps in kernels.shape[2:])
        told = f"{len(kernels)} kernels {size}" + ("" if shares is None else ", most used first")
    if kernels.ndim == 3:
        return _curves(kernels, order, told)
    pictures = [_with_bar(kernel_picture(kernels[k]), None if shares is None else float(shares[k])) for k in order]
    columns = columns_for(len(pictures))
    return _board(mosaic(pictures, columns, gap=CELL // 2), told)


def _shares(use: object, count: int) -> Tensor:
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


def plot_codes(encoding: Encoding, index: int = 0, top: int = 16, *, image: object = None) -> Figure:
    """The reconstruction of one image, and the feature maps of the kernels that it uses most, each with its kernel.

    Positive codes are blue, negative ones orange, darker the larger; all maps share one scale.

    >>> from unconv.sparse.code.encode import encode
    >>> encoding = encode(torch.rand(1, 1, 24, 24), torch.randn(6, 1, 5, 5), "0.1max")
    >>> len(plot_codes(encoding, top=4).axes)
    5

    Args:
        encoding: what encode returned.
        index: which of its images.
        top: how many kernels at most.
        image: the image itself, (C, *size), to show beside the reconstruction.

    Raises :class:`~unconv.errors.SparseError` for an image that is not there, and for codes of three axes.
    """
    if not -len(encoding) <= index < len(encoding):
        raise SparseError(f"plot_codes: image {index} of {len(encoding)}; give one from 0 to {len(encoding) - 1}")
    if encoding.dictionary.ndim > 4:
        raise SparseError("plot_codes: codes with three axes have no picture")
    need_matplotlib()
    from unconv.data.figure import blank
    from unconv.sparse.plots.figure import show

    index %= len(encoding)
    indices, values = (part.cpu() for part in encoding.nonzeros[index])
    energy = torch.zeros(len(encoding.dictionary)).index_add_(0, indices[0], values.abs().float())
    chosen = [k for k in energy.argsort(descending=True, stable=True)[:top].tolist() if energy[k] > 0]
    pictures = {"reconstruction": encoding.reconstruct()[index].cpu()}
    if image is not None:
        pictures = {"image": as_float(as_tensor(image, "image", "plot_codes"), "image", "plot_codes").cpu(), **pictures}
    columns = columns_for(max(len(chosen), 1))
    rows = max(ceil(len(chosen) / columns), len(pictures))
    figure = blank(11.0, 5.6)
    grid = figure.add_gridspec(1, 2, width_ratios=(1.0, 1.25))
    left = figure.add_subfigure(grid[0, 0])
    right = figure.add_subfigure(grid[0, 1])
    for place, (name, picture) in enumerate(pictures.items()):
        show(left.add_subplot(len(pictures), 1, place + 1), picture, name)
    largest = _quantile(values.abs().float(), 0.99)
    for place, k in enumerate(chosen):
        here = indices[0] == k
        axes = right.add_subplot(rows, columns, place + 1)
        _show_map(axes, indices[1:, here], values[here], encoding, index, k, largest)
    return figure


def _show_map(
    axes: Axes, positions: Tensor, values: Tensor, encoding: Encoding, index: int, kernel: int, largest: float
) -> None:
    """One feature map, its kernel in the corner."""
    from unconv.data.figure import BLUE, FAINT, bare, frame
    from unconv.sparse.plots.figure import ORANGE

    bare(axes)
    size = code_size(encoding.image_sizes[index], encoding.dictionary.shape[2:], encoding.boundary)
    taps = encoding.dictionary[kernel].cpu()
    if len(size) == 1:
        colours = [BLUE if value > 0 else ORANGE for value in values.tolist()]
        axes.vlines(positions[0].numpy(), 0, values.float().numpy(), colors=colours, linewidth=0.8)
        axes.axhline(0, color=FAINT, linewidth=0.6)
        axes.set_xlim(0, size[0])
        corner = bare(axes.inset_axes((0.8, 0.6, 0.2, 0.4)))
        corner.plot(taps.T.numpy(), linewidth=0.7, color=BLUE)
        return
    dense = torch.zeros(size)
    dense[positions[0], positions[1]] = values.float()
    axes.imshow(map_picture(dense, largest, cells=MAP_CELLS).numpy(), interpolation="nearest")
    frame(axes, FAINT, 0.6)
    corner = bare(axes.inset_axes((0.0, 0.7, 0.3, 0.3)))
    corner.imshow(kernel_picture(taps).numpy(), interpolation="nearest")
    frame(corner, "white", 1.5)


def _quantile(values: Tensor, part: float) -> float:
    return float(values.kthvalue(max(1, int(part * len(values)))).values) if len(values) else 1.0
