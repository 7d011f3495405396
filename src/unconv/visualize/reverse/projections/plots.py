"""Figures of projections: blocks of pictures side by side, what a unit saw and what it sent back. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from unconv.data.figure import BLUE, FAINT, GREEN, INK, Plot, bare, blank, frame
from unconv.describe import counted, cut
from unconv.errors import UnconvError
from unconv.operators.geometry.receptive import Box
from unconv.visualize.display import as_rgb, show_projection
from unconv.visualize.reverse.projections.projection import Projection

# Pictures in a block, and units beside the images.
MOST, UNITS = 9, 4
MARKS = (BLUE, "#c2571a", GREEN, "#8a4fa3")
# Characters of a name below a picture.
NAME = 22
# Inches of a block, and of the line above it.
SIDE, LINE = 3.0, 0.42
# A projection that fills less of the image than this, along an axis, is shown enlarged.
SMALL = 0.6
# Around what comes back, of its size.
MARGIN = 0.1


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture of a block.

    Attributes:
        picture: ``(channel, height, width)`` in [0, 1].
        box: the pixels of the image that it shows.
        frame: those that the axes span; more than the box where a field reaches over the border.
        text: below it.
        marks: boxes of pixels to be framed inside it, each with a colour.
    """

    picture: Tensor
    box: Box
    frame: Box
    text: str = ""
    marks: tuple[tuple[Box, str], ...] = ()


def plot_blocks(blocks: Sequence[tuple[str, str, Sequence[Tile]]], title: str) -> Plot:
    """Blocks beside each other under a title: of each heading, its colour, and tiles, in a square of as many.

    >>> tile = Tile(torch.rand(3, 8, 8), ((0, 8), (0, 8)), ((0, 8), (0, 8)))
    >>> len(plot_blocks([("patches", "black", [tile] * 9), ("projections", "black", [tile] * 9)], "unit 17").axes)
    18
    """
    side = ceil(sqrt(max(len(tiles) for *_, tiles in blocks)))
    rows = ceil(max(len(tiles) for *_, tiles in blocks) / side)
    figure = blank(SIDE * len(blocks), SIDE * rows / side + 2 * LINE)
    figure.suptitle(title, fontsize=9, color=INK, x=0.01, ha="left")
    parts = figure.subfigures(1, len(blocks), wspace=0.04, squeeze=False)[0]
    for part, (heading, colour, tiles) in zip(parts, blocks, strict=True):
        part.suptitle(heading, fontsize=8, color=colour, x=0.02, ha="left")
        grid = part.subplots(rows, side, squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
        for number, axes in enumerate(grid.flat):
            if number < len(tiles):
                draw_tile(axes, tiles[number])
            else:
                axes.remove()
    return figure


def draw_tile(axes: Axes, tile: Tile) -> None:
    """A picture at its place in the image, with what lies outside of the image left white."""
    bare(axes)
    (top, bottom), (left, right) = tile.box
    pixels = as_rgb(tile.picture.detach().float().cpu()).permute(1, 2, 0).numpy()
    axes.imshow(pixels, extent=(left, right, bottom, top), interpolation="nearest")
    axes.set_xlim(*tile.frame[1])
    axes.set_ylim(*reversed(tile.frame[0]))
    axes.set_aspect("equal")
    frame(axes, FAINT, 0.4)
    if tile.text:
        axes.set_xlabel(cut(tile.text, NAME), fontsize=6, color=INK, labelpad=2)
    for ((first, last), (near, far)), colour in tile.marks:
        axes.add_patch(Rectangle((near, first), far - near, last - first, fill=False, edgecolor=colour, linewidth=0.9))


def as_picture(values: Tensor, projection: Projection | None = None) -> Tensor:
    """What a model was given as a picture in [0, 1]: through its transform back, as it is, or scaled to its range.

    >>> as_picture(torch.tensor([[[-1.0, 3.0]]]))
    tensor([[[0., 1.]]])
    """
    preprocess = None if projection is None else projection.preprocess
    picture = values.detach().float().cpu()
    if preprocess is not None and len(picture) == len(preprocess.mean):
        return preprocess.denormalise(picture).clamp(0, 1)
    low, high = float(picture.min()), float(picture.max())
    if low >= 0 and high <= 1:
        return picture
    return (picture - low) / max(high - low, 1e-12)


def plot_projection(projection: Projection) -> Plot:
    """The figure of :meth:`~unconv.visualize.reverse.projections.projection.Projection.plot`."""
    axes = projection.inputs.ndim - 2
    if axes == 1:
        return plot_signals(projection)
    if axes not in (2, 3):
        raise UnconvError(f"plot: inputs with {axes} axes have no picture; look at .image")
    count = min(MOST, len(projection.inputs))
    shown = [projection[unit] for unit in projection.units[:UNITS]]
    planes = [_planes(shown, number) for number in range(count)]
    whole = tuple(planes[0][0].shape[1:])
    # For each unit, of each image.
    frames = [_frames([backs[row] for _, backs in planes], whole) for row in range(len(shown))]
    tiles = [
        Tile(
            as_picture(picture, projection),
            _all(whole),
            _all(whole),
            projection.names[number] if projection.names else f"image {number}",
            tuple((row[number], MARKS[unit]) for unit, row in enumerate(frames) if row[number] != _all(whole)),
        )
        for number, (picture, _) in enumerate(planes)
    ]
    blocks = [("images, as the model is given them", INK, tiles)]
    for unit, one in enumerate(shown):
        tiles = [
            Tile(show_projection(as_rgb(_cut(backs[unit], box))), box, box, f"{float(one.activation[number]):.3g}")
            for number, ((_, backs), box) in enumerate(zip(planes, frames[unit], strict=True))
        ]
        part = "" if frames[unit][0] == _all(whole) else f", {_by(frames[unit][0])} pixels of each"
        blocks.append((f"unit {one.unit}, {one.rule}{part}", MARKS[unit], tiles))
    return plot_blocks(blocks, _title(projection, count, len(shown)))


def _frames(backs: Sequence[Tensor], whole: Sequence[int]) -> list[Box]:
    """Around what comes back to each image, all of one size; the images where that is a large part of them."""
    boxes = [_seen(back) for back in backs]
    size = tuple(max(stop - start for start, stop in column) for column in zip(*boxes, strict=True))
    if any(part >= SMALL * total for part, total in zip(size, whole, strict=True)):
        return [_all(whole) for _ in backs]
    return [_around(box, size, whole) for box in boxes]


def plot_signals(projection: Projection) -> Plot:
    """Signals as curves, and below each what comes back to it."""
    count = min(MOST, len(projection.inputs))
    shown = [projection[unit] for unit in projection.units[:UNITS]]
    figure = blank(2 * SIDE, 0.5 * SIDE * count * (1 + len(shown)) / 2 + LINE)
    figure.suptitle(_title(projection, count, len(shown)), fontsize=9, color=INK, x=0.01, ha="left")
    grid = figure.subplots(count * (1 + len(shown)), 1, squeeze=False, sharex=True)[:, 0]
    for number in range(count):
        first = number * (1 + len(shown))
        curves = [("input", projection.inputs[number]), *((f"unit {one.unit}", one.image[number]) for one in shown)]
        for axes, (name, curve) in zip(grid[first:], curves, strict=False):
            axes.plot(curve.detach().float().cpu().T.numpy(), linewidth=0.8)
            axes.set_ylabel(name, fontsize=7, color=INK)
            axes.tick_params(labelsize=6, color=FAINT)
    return figure


def _title(projection: Projection, images: int, units: int) -> str:
    left = [
        f"{shown} of {counted(total, noun)}"
        for shown, total, noun in (
            (images, len(projection.inputs), "image"),
            (units, len(projection.units), "unit"),
        )
        if shown < total
    ]
    return projection.layer + (f" ({', '.join(left)})" if left else "")


def _planes(shown: Sequence[Projection], number: int) -> tuple[Tensor, list[Tensor]]:
    """An image and its projections as pictures; of a volume the slice in which most comes back."""
    picture = shown[0].inputs[number].detach().cpu()
    backs = [one.image[number].detach().float().cpu() for one in shown]
    if picture.ndim == 4:
        weight = torch.stack(backs).abs().sum(dim=(0, 1, 3, 4))
        best = int(weight.argmax())
        return picture[:, best], [back[:, best] for back in backs]
    return picture, backs


def _seen(back: Tensor) -> Box:
    """The box of all that comes back to an image; all of it where nothing does."""
    used = back.abs().amax(0) > 0
    if not bool(used.any()):
        return _all(tuple(used.shape))
    rows, columns = used.any(1).nonzero()[:, 0], used.any(0).nonzero()[:, 0]
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)


def _around(box: Box, size: Sequence[int], whole: Sequence[int]) -> Box:
    """A box of one size for all, with a margin, around the middle of another and inside the image."""
    grown = []
    for (start, stop), side, total in zip(box, size, whole, strict=True):
        length = min(total, ceil(side * (1 + 2 * MARGIN)) + 2)
        first = min(max(0, (start + stop - length) // 2), total - length)
        grown.append((first, first + length))
    return tuple(grown)


def _all(size: Sequence[int]) -> Box:
    return tuple((0, length) for length in size)


def _cut(picture: Tensor, box: Box) -> Tensor:
    (top, bottom), (left, right) = box
    return picture[:, top:bottom, left:right]


def _by(box: Box) -> str:
    return "×".join(str(stop - start) for start, stop in box)
