"""Figures of sparse codes: feature maps, each with its kernel, beside the reconstruction."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unconv.data.mosaic import columns_for, kernel_picture, map_picture
from unconv.errors import SparseError
from unconv.sparse.code.boundary import code_size
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.validate import as_float, as_tensor
from unconv.sparse.plots.results import need_matplotlib
from unconv.sparse.types import ImageLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A feature map is drawn in at most so many cells along its longer side.
MAP_CELLS = 128


def plot_codes(encoding: Encoding, index: int = 0, top: int = 16, *, image: ImageLike | None = None) -> Figure:
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
