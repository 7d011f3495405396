"""What a report tells of the units of some layers over a collection of pictures, as plain data, with its sprites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.data.arrays import to_uint8
from unconv.data.read.pictures import Pictures
from unconv.errors import UnconvError
from unconv.visualize.display import as_rgb
from unconv.visualize.layers import like_weights
from unconv.visualize.report.files import Store
from unconv.visualize.report.page import Row
from unconv.visualize.report.picture_view import predict
from unconv.visualize.report.pictures import Shown, picture_reader
from unconv.visualize.report.redundancy import Twin, twins
from unconv.visualize.report.survey import Survey
from unconv.visualize.report.tiles import LARGE, block_side, sheet_of, sheet_size, spot_of
from unconv.visualize.report.unit_pictures import Hall, Place, UnitBlock, hall_of, hang, measure
from unconv.visualize.reverse.limits import limits
from unconv.visualize.scan.top_activations import TopActivations

if TYPE_CHECKING:
    from unconv.visualize.report.plan import Plan

BINS = 20
Units = int | str | Sequence[int]
Visit = Callable[[str, int, Sequence[UnitBlock]], None]
Step = Callable[[int, int | None, str], None]


@dataclass(frozen=True, eq=False)
class Subject:
    """What a catalogue is made from.

    Attributes:
        plan: the network, its layers and the rule.
        survey: the strongest places of all units.
        pictures: the collection.
        units: by layer, which are shown.
        stem: what names of files begin with.
        store: keeps a picture and tells its address.
        step: told how many units are done, of how many, and the layer.
        measured: how many units of each layer have their fidelity measured, the first ones that are not dead.
        visit: shown every unit's pictures as they come: layer, number of the first, some units.
    """

    plan: Plan
    survey: Survey
    pictures: Pictures
    units: dict[str, list[int]]
    stem: str
    store: Store
    step: Step
    measured: int = 0
    visit: Visit | None = None


def choose_units(found: TopActivations, layer: str, units: Units) -> list[int]:
    """Units of a layer to show: the strongest ones of a number, all, or those named.

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


def catalogue(subject: Subject) -> Row:
    """Layer after layer, a sheet of units at a time: pictures are stored, numbers returned."""
    plan, found = subject.plan, subject.survey.found
    read = picture_reader(subject.pictures, plan.model.preprocess)
    album = Album(subject, read)
    total = sum(len(units) for units in subject.units.values())
    rows, done = [], 0
    for number, layer in enumerate(plan.layers):
        rows.append(_layer_row(subject, album, layer, f"{subject.stem}{number}", read, done, total))
        done += len(subject.units[layer])
    album.close()
    return {
        "pictures": found.count,
        "used": found.count - len(found.skipped),
        "skipped": [str(item) for item in found.skipped],
        "top": found.top,
        "sample": len(subject.survey.sample),
        "classes": album.classes,
        "input_size": list(plan.model.input_size[1:]),
        "side": block_side(found.top),
        "layers": rows,
        "images": album.rows,
        "thumbnails": album.sheets,
    }


def _layer_row(
    subject: Subject, album: Album, layer: str, stem: str, read: Callable[[int], Shown], done: int, total: int
) -> Row:
    plan, survey = subject.plan, subject.survey
    found, units, activity = survey.found, subject.units[layer], survey.activity[layer]
    dead = found.dead(layer)
    alike = twins(activity, found.images[layer], found.positions[layer], dead)
    hall = hall_of(plan.model.module, layer, plan.shapes[layer], plan.fields, plan.rule, read)
    sheets: dict[str, list[Row]] = {"patches": [], "projections": []}
    never = set(dead.tolist())
    rows: list[Row] = []
    coverage = None
    for blocks, covered in hang(hall, found, units):
        subject.step(done + len(rows), total, layer)
        coverage = coverage or covered
        _store_sheet(subject.store, stem, blocks, hall.tile.lossless, sheets)
        if subject.visit is not None:
            subject.visit(layer, len(rows), blocks)
        for one in blocks:
            places = [album.place_row(place) for place in one.places]
            rows.append(_unit_row(one, places, len(rows), activity[:, one.unit], one.unit in never, alike))
    subject.step(done + len(rows), total, layer)
    not_measured = _add_fidelity(subject, hall, [row for row in rows if not row["dead"]][: subject.measured])
    told = None if coverage is None else {**asdict(coverage), "total": coverage.total, "sentence": coverage.sentence}
    return {
        "layer": layer,
        "size": list(plan.shapes[layer][1:]),
        "count": plan.shapes[layer][0],
        "field": plan.fields.size(layer),
        "tile": hall.tile.size,
        "coarse": hall.tile.lossless,
        "windows": hall.windows.reason or "windows of " + "×".join(map(str, hall.windows.size)) + " pixels",
        "coverage": told,
        "not_measured": not_measured,
        "limits": "" if coverage is None else limits(coverage),
        "dead": dead.tolist(),
        "redundant": sorted(alike),
        "sheets": sheets,
        "units": rows,
    }


def _add_fidelity(subject: Subject, hall: Hall, rows: Sequence[Row]) -> str:
    """Measure the fidelity of some units; why it could not be, where it could not."""
    if not rows:
        return ""
    try:
        found = measure(hall, subject.survey.found, [row["unit"] for row in rows])
    except UnconvError as refusal:
        return str(refusal)
    for row in rows:
        row["fidelity"] = found[row["unit"]].as_row()
    return ""


def _store_sheet(
    store: Store, stem: str, blocks: Sequence[UnitBlock], lossless: bool, sheets: dict[str, list[Row]]
) -> None:
    grid, number = sheet_size(len(blocks)), len(sheets["patches"])
    squares = {"patches": [one.patches for one in blocks], "projections": [one.projections for one in blocks]}
    for kind, some in squares.items():
        sheets[kind].append({"image": store(f"{stem}-{kind}-{number}", sheet_of(some), lossless), "grid": grid})


def _unit_row(
    one: UnitBlock, places: list[Row], number: int, peaks: Tensor, dead: bool, alike: dict[int, tuple[Twin, ...]]
) -> Row:
    spot = spot_of(number)
    return {
        "unit": one.unit,
        "dead": dead,
        "redundant": [asdict(twin) for twin in alike.get(one.unit, ())],
        "sheet": spot.sheet,
        "column": spot.column,
        "row": spot.row,
        "histogram": histogram(peaks),
        "places": places,
    }


def histogram(peaks: Tensor) -> Row:
    """How often a unit's peak lies in each of ``BINS`` equal steps between its least and its greatest.

    >>> told = histogram(torch.tensor([0.0, 0.0, 1.0, 4.0]))
    >>> told["low"], told["high"], told["counts"][0], told["counts"][-1], sum(told["counts"]), told["active"]
    (0.0, 4.0, 2, 1, 4, 2)
    """
    if not len(peaks):
        return {"low": 0.0, "high": 0.0, "counts": [], "active": 0}
    low, high = float(peaks.min()), float(peaks.max())
    counts = torch.histc(peaks.double(), BINS, low, high) if high > low else torch.tensor([float(len(peaks))])
    return {
        "low": low,
        "high": high,
        "counts": [int(count) for count in counts],
        "active": int((peaks > 0).sum()),
    }


class Album:
    """Thumbnails and classes of the pictures that occur, each met once; sheets are stored when they are full."""

    def __init__(self, subject: Subject, read: Callable[[int], Shown]) -> None:
        self._subject, self._read = subject, read
        self._waiting: list[Tensor] = []
        self.rows: dict[str, Row] = {}
        self.sheets: list[Row] = []
        self.classes = "folders" if subject.pictures.labelled else "predicted" if subject.plan.model.classes else "none"

    def place_row(self, place: Place) -> Row:
        """What is told of a unit's place; its picture is put into the album."""
        if str(place.image) not in self.rows:
            self.rows[str(place.image)] = self._row(place.image)
        return {
            "image": place.image,
            "activation": place.activation,
            "position": list(place.position),
            "box": [list(axis) for axis in place.box],
            "silent": place.silent,
        }

    def close(self) -> None:
        """Store what waits."""
        if self._waiting:
            address = self._subject.store(
                f"{self._subject.stem}thumbnails-{len(self.sheets)}", sheet_of(self._waiting), False
            )
            self.sheets.append({"image": address, "grid": sheet_size(len(self._waiting))})
            self._waiting = []

    def _row(self, number: int) -> Row:
        spot = spot_of(len(self.rows))
        if spot.sheet > len(self.sheets):
            self.close()
        shown = self._read(number)
        self._waiting.append(thumbnail(shown.picture))
        label = self._subject.pictures.label(number) if self.classes == "folders" else self._predicted(shown)
        return {
            "name": shown.name,
            "label": label,
            "sheet": spot.sheet,
            "column": spot.column,
            "row": spot.row,
        }

    def _predicted(self, shown: Shown) -> str | None:
        model = self._subject.plan.model
        if not model.classes:
            return None
        found = predict(model.module, like_weights(model.module, shown.image[None]), model.classes, top=1)
        return found[0][0] if found else None


def thumbnail(picture: Tensor) -> Tensor:
    """A small copy of a picture, its longer side ``LARGE`` pixels.

    >>> thumbnail(torch.rand(1, 224, 112)).shape
    torch.Size([3, 96, 48])
    """
    height, width = picture.shape[1:]
    scale = LARGE / max(height, width)
    size = (max(8, round(height * scale / 8) * 8), max(8, round(width * scale / 8) * 8))
    return to_uint8(F.interpolate(as_rgb(picture)[None].float(), size, mode="bilinear", antialias=True)[0].clamp(0, 1))
