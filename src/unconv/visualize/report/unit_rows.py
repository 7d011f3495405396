"""Rows of the units of some layers over a collection of pictures; their pictures are stored on the way, as sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

from unconv.data.arrays import to_uint8
from unconv.data.read.pictures import Pictures
from unconv.errors import UnconvError
from unconv.jobs import Progress
from unconv.visualize.display import as_rgb, cut_slice, middle_slice
from unconv.visualize.layers import like_weights
from unconv.visualize.outputs.predictions import predict
from unconv.visualize.outputs.reading import AUTO
from unconv.visualize.report.files import Store, prefixed
from unconv.visualize.report.filter_rows import first_layer_row
from unconv.visualize.report.picture_view import Shown, picture_reader
from unconv.visualize.report.plan import Plan, Units
from unconv.visualize.report.redundancy import twins
from unconv.visualize.report.rows import (
    CollectionRow,
    CoverageRow,
    FidelityRow,
    LayerRow,
    SheetRow,
    ThumbnailRow,
    UnitRow,
)
from unconv.visualize.report.survey import Survey
from unconv.visualize.report.tiles import LARGE, block_side, sheet_of, sheet_size, spot_of
from unconv.visualize.report.unit_pictures import LayerWindows, UnitBlock, measure_units, render_units
from unconv.visualize.reverse.limits import limits
from unconv.visualize.scan.top_activations import TopActivations

# Shown every unit's pictures as they come: layer, number of the first, some units.
Visit = Callable[[str, int, Sequence[UnitBlock]], None]


@dataclass(frozen=True, eq=False)
class Output:
    """Where the pictures of units go as they come, and what follows them.

    Attributes:
        store: keeps a picture and tells its address.
        progress: counts units.
        visit: shown every unit's pictures; None where nobody looks.
    """

    store: Store
    progress: Progress
    visit: Visit | None = None


def choose_units(found: TopActivations, layer: str, units: Units) -> list[int]:
    """Units of a layer to show: the strongest ones of a number, all, or those named.

    >>> import torch
    >>> found = TopActivations.of({"conv": torch.tensor([[[1.0]], [[5.0]], [[3.0]]]).reshape(1, 3, 1)})
    >>> choose_units(found, "conv", 2), choose_units(found, "conv", "all"), choose_units(found, "conv", [2])
    ([1, 2], [0, 1, 2], [2])
    """
    values = found.values[layer]
    if isinstance(units, str):
        if units != "all":
            raise UnconvError(f"units: {units!r} is no choice; give a number, a list, or all")
        return list(range(len(values)))
    if isinstance(units, int):
        return [int(unit) for unit in values[:, 0].argsort(descending=True, stable=True)[:units]]
    for unit in units:
        if not 0 <= unit < len(values):
            raise UnconvError(f"units: {unit} is not in layer {layer!r}, which has units 0 to {len(values) - 1}")
    return list(dict.fromkeys(units))


def collect_units(
    plan: Plan, seen: Survey, pictures: Pictures, units: Mapping[str, Sequence[int]], output: Output
) -> CollectionRow:
    """Layer after layer, a sheet of units at a time: pictures are stored, rows returned.

    Args:
        plan: the network, its layers and the rule.
        seen: the strongest places of all units.
        pictures: the collection.
        units: by layer, which are shown.
        output: where pictures go.
    """
    found = seen.found
    album = Album(plan, pictures, output.store)
    layers = []
    with output.progress:
        output.progress.start(sum(map(len, units.values())), "units")
        for number, layer in enumerate(plan.layers):
            windows = LayerWindows.of(plan, layer, album.read)
            own = replace(output, store=prefixed(output.store, f"{number}-"))
            layers.append(_layer_row(windows, seen, units[layer], album, own))
        album.close()
    dead = {layer.layer: layer.dead for layer in layers}
    return CollectionRow(
        pictures=found.count,
        used=found.count - len(found.skipped),
        skipped=tuple(map(str, found.skipped)),
        top=found.top,
        sample=len(seen.sample),
        classes=album.classes,
        input_size=tuple(plan.model.input_size[1:]),
        side=block_side(found.top),
        layers=tuple(layers),
        images=album.rows,
        thumbnails=tuple(album.sheets),
        first_layer=first_layer_row(plan.model, dead, output.store, plan.bands),
    )


def _layer_row(layer: LayerWindows, seen: Survey, units: Sequence[int], album: Album, output: Output) -> LayerRow:
    plan, name, found = layer.plan, layer.layer, seen.found
    activity, dead = seen.activity[name], found.dead(name)
    alike = twins(activity, found.images[name], found.positions[name], dead)
    never = set(dead.tolist())
    sheets: dict[str, tuple[SheetRow, ...]] = {"patches": (), "projections": ()}
    rows: list[UnitRow] = []
    coverage = None
    output.progress.advance(0, name)
    for blocks, covered in render_units(layer, found, units):
        coverage = coverage or covered
        sheets = _store_sheets(output.store, blocks, layer.tile.lossless, sheets)
        if output.visit is not None:
            output.visit(name, len(rows), blocks)
        for one in blocks:
            album.add(place.image for place in one.places)
            rows.append(UnitRow.of(one, len(rows), activity[:, one.unit], one.unit in never, alike.get(one.unit, ())))
        output.progress.advance(len(blocks))
    measured, refusal = _add_fidelity(layer, found, rows)
    return LayerRow(
        layer=name,
        size=plan.shapes[name][1:],
        count=plan.shapes[name][0],
        field=plan.fields.size(name),
        tile=layer.tile.size,
        coarse=layer.tile.lossless,
        windows=layer.windows.reason or "windows of " + "×".join(map(str, layer.windows.size)) + " pixels",
        coverage=None if coverage is None else CoverageRow.of(coverage),
        not_measured=refusal,
        limits="" if coverage is None else limits(coverage),
        dead=tuple(dead.tolist()),
        redundant=tuple(sorted(alike)),
        sheets=sheets,
        units=tuple(measured),
        axes=plan.axes.get(name, ""),
    )


def _add_fidelity(layer: LayerWindows, found: TopActivations, rows: list[UnitRow]) -> tuple[list[UnitRow], str]:
    """The rows, the first ones of living units with their fidelity; why it is not there, where it is not."""
    units = [row.unit for row in rows if not row.dead][: layer.plan.measured]
    if not units:
        return rows, ""
    try:
        measured = measure_units(layer, found, units)
    except UnconvError as refusal:
        return rows, str(refusal)
    told = {unit: FidelityRow(one.verdict, one.figures, one.papers) for unit, one in measured.items()}
    return [replace(row, fidelity=told.get(row.unit)) for row in rows], ""


def _store_sheets(
    store: Store, blocks: Sequence[UnitBlock], lossless: bool, sheets: Mapping[str, tuple[SheetRow, ...]]
) -> dict[str, tuple[SheetRow, ...]]:
    """The sheets of a layer with one more of each kind."""
    squares = {"patches": [one.patches for one in blocks], "projections": [one.projections for one in blocks]}
    grid = sheet_size(len(blocks))
    return {
        kind: (*sheets[kind], SheetRow(store(f"{kind}-{len(sheets[kind])}", sheet_of(some), lossless), grid))
        for kind, some in squares.items()
    }


class Album:
    """Thumbnails and classes of the pictures that occur, each met once; sheets are stored when they are full."""

    def __init__(self, plan: Plan, pictures: Pictures, store: Store) -> None:
        self._plan, self._pictures, self._store = plan, pictures, store
        self._waiting: list[Tensor] = []
        self.read = picture_reader(pictures, plan.model.preprocess, plan.bands, plan.max_pixels)
        self.rows: dict[str, ThumbnailRow] = {}
        self.sheets: list[SheetRow] = []
        known = plan.model.classes or plan.output != AUTO
        self.classes = "folders" if pictures.labelled else "predicted" if known else "none"

    def add(self, numbers: Iterable[int]) -> None:
        """Put pictures into the album, by their numbers, those that are not in it."""
        for number in numbers:
            if str(number) not in self.rows:
                self.rows[str(number)] = self._row(number)

    def close(self) -> None:
        """Store what waits."""
        if self._waiting:
            address = self._store(f"thumbnails-{len(self.sheets)}", sheet_of(self._waiting), False)
            self.sheets.append(SheetRow(address, sheet_size(len(self._waiting))))
            self._waiting = []

    def _row(self, number: int) -> ThumbnailRow:
        spot = spot_of(len(self.rows))
        if spot.sheet > len(self.sheets):
            self.close()
        shown = self.read(number)
        self._waiting.append(thumbnail(cut_slice(shown.picture, middle_slice(shown.picture, self._plan.slice))))
        label = self._pictures.label(number) if self.classes == "folders" else self._predict(shown)
        return ThumbnailRow(shown.name, label, spot.sheet, spot.column, spot.row)

    def _predict(self, shown: Shown) -> str | None:
        plan, model = self._plan, self._plan.model
        if self.classes == "none":
            return None
        image = like_weights(model.module, shown.image[None])
        found = predict(model.module, image, model.classes, top=1, asked=plan.output, graph=plan.graph)
        return found.classes[0][0] if found.classes and found.probable else None


def thumbnail(picture: Tensor) -> Tensor:
    """A small copy of a picture, its longer side ``LARGE`` pixels.

    >>> import torch
    >>> thumbnail(torch.rand(1, 224, 112)).shape
    torch.Size([3, 96, 48])
    """
    height, width = picture.shape[1:]
    scale = LARGE / max(height, width)
    size = (max(8, round(height * scale / 8) * 8), max(8, round(width * scale / 8) * 8))
    return to_uint8(F.interpolate(as_rgb(picture)[None].float(), size, mode="bilinear", antialias=True)[0].clamp(0, 1))
