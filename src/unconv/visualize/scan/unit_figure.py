"""The figure of one unit: the patches at its strongest places beside their projections. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from unconv.data.figure import INK, Plot
from unconv.errors import UnconvError
from unconv.operators.geometry.receptive import Box
from unconv.visualize.display import as_rgb, show_projection
from unconv.visualize.reverse.project_units import WindowProjections
from unconv.visualize.reverse.projections.plots import MOST, Tile, as_picture, plot_blocks

if TYPE_CHECKING:
    from unconv.visualize.scan.unit_places import UnitPlaces


def plot_unit(places: UnitPlaces, pictures: Sequence[Tensor], boxes: Sequence[Box], found: WindowProjections) -> Plot:
    """Nine patches beside nine projections, each in the frame of the unit's whole field.

    Args:
        places: of the unit.
        pictures: the image of each place, ``(channel, height, width)``.
        boxes: the pixels that the unit sees at each.
        found: what comes back from each.

    Raises :class:`~unconv.errors.UnconvError` for signals and volumes.
    """
    if len(found.windows.image_size) != 2:
        raise UnconvError(f"plot: images with {len(found.windows.image_size)} axes have no picture; use .project")
    patches, projections = [], []
    for number, (picture, box) in enumerate(zip(pictures[:MOST], boxes, strict=False)):
        frame = _frame(found, number, box)
        patch = as_picture(picture)[_cut(box, (0, 0))]
        inside = found.image[number][_cut(box, found.start[number].tolist())]
        patches.append(Tile(patch, box, frame, f"{float(places.values[number]):.3g}"))
        back = show_projection(as_rgb(inside.float().cpu()))
        projections.append(Tile(back, box, frame, Path(places.names[number]).name))
    name = f"{places.layer}, unit {places.unit}"
    model = places.about.get("model")
    strongest = f"the {len(patches)} strongest of {places.count:,} images"
    return plot_blocks(
        [
            ("patches, with the unit's value", INK, patches),
            (f"projections, {found.coverage.rule}", INK, projections),
        ],
        f"{model}, {name}: {strongest}" if model else f"{name}: {strongest}",
    )


def _frame(found: WindowProjections, number: int, box: Box) -> Box:
    """The whole field, also where it reaches over the border; the image where it is as large as that."""
    windows, place = found.windows, found.picks[number].position
    if len(place) != len(windows.image_size):
        return box
    return tuple(
        (0, total) if stop - start >= total else (start, stop)
        for (start, stop), total in zip(windows.field.of(place), windows.image_size, strict=True)
    )


def _cut(box: Box, start: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(low - first, high - first) for (low, high), first in zip(box, start, strict=True)))
