"""The filters of a network's first convolution, drawn, with what is wrong with each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from unconv.errors import ModelError
from unconv.models.load.resolve import LoadedModel
from unconv.visualize.display import as_rgb
from unconv.visualize.experiments.first_layer import FirstLayer, first_layer
from unconv.visualize.report.files import Store
from unconv.visualize.report.rows import FilterRow, FirstLayerRow, SheetRow
from unconv.visualize.report.tiles import ACROSS, DOWN, Tile, sheet_of, sheet_size, spot_of


def first_layer_row(
    model: LoadedModel, silent: Mapping[str, Sequence[int]], store: Store, bands: Sequence[int] = ()
) -> FirstLayerRow | None:
    """What a page shows of a first layer; None for networks without a two-dimensional convolution.

    Args:
        model: the network.
        silent: by layer, units that no picture has brought above zero; layers that were not looked at are not in it.
        store: keeps a picture and tells its address.
        bands: the channels that are shown.
    """
    try:
        found = first_layer(model)
    except ModelError:
        return None
    tile = Tile.of((int(found.filters.shape[2]), int(found.filters.shape[3])))
    never = silent.get(found.layer)
    rows = tuple(_filter_row(found, number, never) for number in range(len(found.filters)))
    return FirstLayerRow(
        layer=found.layer,
        size=tuple(found.filters.shape[1:]),
        stride=tuple(found.stride),
        tile=tile.size,
        coarse=tile.lossless,
        aliasing=found.total_aliasing,
        dead=tuple(row.filter for row in rows if row.dead),
        dominant=tuple(row.filter for row in rows if row.dominant),
        watched=never is not None,
        sheets=_store_filters(found, tile, store, bands),
        filters=rows,
    )


def _store_filters(found: FirstLayer, tile: Tile, store: Store, bands: Sequence[int]) -> tuple[SheetRow, ...]:
    drawn = [draw_filter(one[list(bands)] if bands else one, tile) for one in found.filters]
    sheets = [drawn[first : first + ACROSS * DOWN] for first in range(0, len(drawn), ACROSS * DOWN)]
    return tuple(
        SheetRow(store(f"filters-{number}", sheet_of(some), tile.lossless), sheet_size(len(some)))
        for number, some in enumerate(sheets)
    )


def _filter_row(found: FirstLayer, number: int, never: Sequence[int] | None) -> FilterRow:
    spot = spot_of(number)
    silent = None if never is None else number in never
    return FilterRow(
        filter=number,
        norm=float(found.norm[number]),
        mean=float(found.mean[number]),
        aliasing=float(found.aliasing[number]),
        weak=bool(found.weak[number]),
        dominant=bool(found.dominant[number]),
        silent=silent,
        dead=bool(found.weak[number]) or bool(silent),
        sheet=spot.sheet,
        column=spot.column,
        row=spot.row,
    )


def draw_filter(weights: Tensor, tile: Tile) -> Tensor:
    """A filter as a tile: zero mid-grey, its largest weight white or black.

    >>> draw_filter(torch.tensor([[[-2.0, 1.0]]]), Tile.of((1, 2)))[0, 0, ::8].tolist()
    [0, 191]
    """
    largest = weights.abs().max()
    shown = torch.full_like(weights, 0.5) if largest == 0 else 0.5 + weights / (2 * largest)
    size = (int(weights.shape[1]), int(weights.shape[2]))
    return tile.of_region(as_rgb(shown), ((0, size[0]), (0, size[1])), size)
