"""Rows of the report page: everything its templates and ``report.json`` tell, as frozen values.

A field is a name in the JSON too. To add a line to a unit's card: a field or property of :class:`UnitRow`, and the line
in ``templates/units.html.jinja``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from unconv.visualize.report.matching import Pair
from unconv.visualize.report.redundancy import Twin
from unconv.visualize.report.tiles import spot_of
from unconv.visualize.report.unit_pictures import OPTIONAL, Place, UnitBlock
from unconv.visualize.reverse.coverage import Coverage

# Steps of a histogram: as many as its width on a phone can tell apart.
BINS = 20


def as_data(value: Any) -> Any:
    """Rows as plain data, for JSON and for the page's script.

    >>> as_data((SkippedRow("torn.png", "empty file"), 3))
    [{'name': 'torn.png', 'reason': 'empty file'}, 3]
    """
    if is_dataclass(value):
        told = {one: getattr(value, one.name) for one in fields(value)}
        return {
            one.name: as_data(item) for one, item in told.items() if item is not None or "optional" not in one.metadata
        }
    if isinstance(value, Mapping):
        return {key: as_data(item) for key, item in value.items()}
    return [as_data(item) for item in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class SkippedRow:
    """A picture that is not in the report, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class SheetRow:
    """A sheet of small pictures: its address, and how many lie across and down."""

    image: str
    grid: tuple[int, int]


@dataclass(frozen=True)
class CoverageRow:
    """What a rule met between a layer and the pixels."""

    rule: str
    rectifiers: Mapping[str, int]
    reversed: int
    switches: int
    passed: Mapping[str, int]
    linear: Mapping[str, int]
    total: int
    sentence: str

    @classmethod
    def of(cls, coverage: Coverage) -> CoverageRow:
        """The row of a coverage."""
        told = {one.name: getattr(coverage, one.name) for one in fields(coverage)}
        return cls(**told, total=coverage.total, sentence=coverage.sentence)


@dataclass(frozen=True)
class HistogramRow:
    """How often a unit's peak lies in each of ``BINS`` equal steps between its least and its greatest.

    >>> row = HistogramRow.of(torch.tensor([0.0, 0.0, 1.0, 4.0]))
    >>> row.low, row.high, row.counts[0], row.counts[-1], sum(row.counts), row.active
    (0.0, 4.0, 2, 1, 4, 2)
    """

    low: float
    high: float
    counts: tuple[int, ...]
    active: int

    @classmethod
    def of(cls, peaks: Tensor) -> HistogramRow:
        """The histogram of a unit's peaks, one in each picture."""
        if not len(peaks):
            return cls(0.0, 0.0, (), 0)
        low, high = float(peaks.min()), float(peaks.max())
        counts = torch.histc(peaks.double(), BINS, low, high) if high > low else torch.tensor([float(len(peaks))])
        return cls(low, high, tuple(int(count) for count in counts), int((peaks > 0).sum()))


@dataclass(frozen=True)
class FidelityRow:
    """How far a unit's projections can be trusted: ``name``, ``value`` and ``meaning`` of every figure."""

    verdict: str
    figures: Sequence[Mapping[str, Any]]
    papers: Sequence[str]


@dataclass(frozen=True)
class CounterpartRow:
    """The unit of the other network that a unit is matched with; None where it is with none."""

    unit: int | None
    correlation: float | None
    verdict: str


@dataclass(frozen=True)
class UnitRow:
    """The card of a unit: where its pictures lie on the sheets, and what is told of it."""

    unit: int
    dead: bool
    redundant: tuple[Twin, ...]
    sheet: int
    column: int
    row: int
    histogram: HistogramRow
    places: tuple[Place, ...]
    fidelity: FidelityRow | None = field(default=None, metadata=OPTIONAL)
    counterpart: CounterpartRow | None = field(default=None, metadata=OPTIONAL)

    @classmethod
    def of(cls, block: UnitBlock, number: int, peaks: Tensor, dead: bool, redundant: tuple[Twin, ...]) -> UnitRow:
        """The row of a unit from its pictures, its number on the sheets, and its peaks in the sample."""
        spot = spot_of(number)
        histogram = HistogramRow.of(peaks)
        return cls(block.unit, dead, redundant, spot.sheet, spot.column, spot.row, histogram, block.places)


@dataclass(frozen=True)
class LayerRow:
    """A layer over a collection: ``sheets`` of ``patches`` and ``projections``; ``axes`` where not as usual."""

    layer: str
    size: tuple[int, ...]
    count: int
    field: tuple[int, ...] | None
    tile: tuple[int, int]
    coarse: bool
    windows: str
    coverage: CoverageRow | None
    not_measured: str
    limits: str
    dead: tuple[int, ...]
    redundant: tuple[int, ...]
    sheets: Mapping[str, tuple[SheetRow, ...]]
    units: tuple[UnitRow, ...]
    axes: str = ""


@dataclass(frozen=True)
class ThumbnailRow:
    """A picture of the collection: its name, its class, and where its thumbnail lies."""

    name: str
    label: str | None
    sheet: int
    column: int
    row: int


@dataclass(frozen=True)
class FilterRow:
    """A filter of the first layer, and what is wrong with it."""

    filter: int
    norm: float
    mean: float
    aliasing: float
    weak: bool
    dominant: bool
    silent: bool | None
    dead: bool
    sheet: int
    column: int
    row: int


@dataclass(frozen=True)
class FirstLayerRow:
    """The filters of a network's first convolution."""

    layer: str
    size: tuple[int, ...]
    stride: tuple[int, ...]
    tile: tuple[int, int]
    coarse: bool
    aliasing: float
    dead: tuple[int, ...]
    dominant: tuple[int, ...]
    watched: bool
    sheets: tuple[SheetRow, ...]
    filters: tuple[FilterRow, ...]


@dataclass(frozen=True)
class CollectionRow:
    """The units of some layers over a collection of pictures; ``images`` by the picture's number, as text."""

    pictures: int
    used: int
    skipped: tuple[str, ...]
    top: int
    sample: int
    classes: str
    input_size: tuple[int, ...]
    side: int
    layers: tuple[LayerRow, ...]
    images: Mapping[str, ThumbnailRow]
    thumbnails: tuple[SheetRow, ...]
    first_layer: FirstLayerRow | None


@dataclass(frozen=True)
class MatchRow:
    """A layer in two networks: pairs of units, and those without one."""

    layer: str
    same: int
    changed: int
    died: tuple[int, ...]
    born: tuple[int, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class ComparisonRow:
    """Another network over the same pictures."""

    model: str
    weights: str
    pictures: int
    layers: tuple[MatchRow, ...]
    collection: CollectionRow


@dataclass(frozen=True)
class PredictionRow:
    """A class, and how probable it is; an output and its value where outputs are numbers."""

    label: str
    probability: float | None
    score: float | None = None


@dataclass(frozen=True)
class OutlineRow:
    """Where a field lies in its picture, in percent of the picture's sides."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class PeakRow:
    """A unit at its peak in one picture, with the addresses of its patch and its projection; of a clip, of a slice."""

    unit: int
    position: tuple[int, ...]
    activation: float
    box: tuple[tuple[int, int], ...]
    place: OutlineRow
    silent: bool
    coarse: bool
    patch: str
    projection: str
    slice: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class PeaksRow:
    """The strongest units of a layer in one picture; ``axes`` where those of its value are not as usual."""

    layer: str
    size: tuple[int, ...]
    count: int
    field: tuple[int, ...] | None
    coverage: CoverageRow
    limits: str
    units: tuple[PeakRow, ...]
    axes: str = ""


@dataclass(frozen=True)
class PictureRow:
    """One picture, or the slice of a clip that is shown for it, with its strongest units."""

    name: str
    notes: tuple[str, ...]
    image: str
    size: tuple[int, ...]
    predictions: tuple[PredictionRow, ...]
    outputs: str
    layers: tuple[PeaksRow, ...]
    slice: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class PageRow:
    """The whole page."""

    title: str
    unconv: str
    model: str
    weights: str
    notes: tuple[str, ...]
    preprocess: str
    input_size: tuple[int, ...]
    rule: str
    rule_reason: str
    layers: tuple[str, ...]
    collection: CollectionRow | None
    compare: ComparisonRow | None
    pictures: tuple[PictureRow, ...]
    skipped: tuple[SkippedRow, ...]
