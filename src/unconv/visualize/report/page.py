"""A report as files: one page that opens from disk, its pictures, and all its numbers as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from html import escape
from pathlib import Path
from typing import Any

import unconv
from unconv.data.images import Skipped
from unconv.data.read.pictures import Pictures
from unconv.describe import counted, listed
from unconv.errors import ImageError, UnconvError, printable
from unconv.jobs import Progress
from unconv.results import Shown
from unconv.visualize.display import cut_slice, middle_slice, show_bands, show_projection
from unconv.visualize.report.files import LOSSLESS_SIDE, Store, write_file
from unconv.visualize.report.picture_view import LayerView, PictureView, UnitView, view_picture
from unconv.visualize.report.plan import Plan, bands_note, slice_note
from unconv.visualize.report.rows import (
    CollectionRow,
    ComparisonRow,
    CoverageRow,
    OutlineRow,
    PageRow,
    PeakRow,
    PeaksRow,
    PictureRow,
    PredictionRow,
    SkippedRow,
    as_data,
)
from unconv.visualize.reverse.limits import limits
from unconv.visualize.reverse.rules import REVERSE_RULES

# Skipped pictures that an error names.
LISTED = 3


@dataclass(frozen=True, eq=False, repr=False)
class Report(Shown):
    """A report that was written.

    Args:
        path: the page, or the first file of another format.
        rule: the reverse rule used.
        layers: the layers looked into.
        pictures: names of the pictures in the report.
        skipped: the pictures that are not in it, and why.
        numbers: everything the page shows, as in ``report.json``.
        files: what was written in the formats asked for.
    """

    path: Path
    rule: str
    layers: tuple[str, ...]
    pictures: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    numbers: Mapping[str, Any]
    files: tuple[Path, ...] = ()

    def _heading(self) -> str:
        return f"Report {self.path}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "rule", self.rule
        yield "layers", f"{len(self.layers)}: {listed(self.layers)}"
        yield "pictures", f"{len(self.pictures)}: {listed(self.pictures)}"
        collection = self.numbers.get("collection")
        if collection:
            pictures = counted(collection["pictures"], "picture")
            yield "collection", f"{pictures}, the strongest {collection['top']} a unit"
        if self.skipped:
            yield "skipped", f"{len(self.skipped)}: {listed(map(str, self.skipped), most=3)}"
        if self.files:
            yield "files", listed(map(str, self.files))

    def _picture(self) -> str:
        if self.path.suffix != ".html":
            return ""
        return f'<p><a href="{escape(self.path.absolute().as_uri())}">{escape(str(self.path))}</a></p>'

    def moved(self, start: Path, end: Path) -> Report:
        """The report, its files in another folder than the one where they were written."""
        path, *files = (end / file.relative_to(start) for file in (self.path, *self.files))
        return replace(self, path=path, files=tuple(files))


def picture_rows(
    plan: Plan, pictures: Pictures, store: Store, progress: Progress
) -> tuple[tuple[PictureRow, ...], list[tuple[int, Skipped]]]:
    """Look at pictures one by one and store what is shown of them; the rows, and which were skipped."""
    rows: list[PictureRow] = []
    skipped: list[tuple[int, Skipped]] = []
    with progress:
        progress.start(len(pictures), "pictures")
        for number in range(len(pictures)):
            name = pictures.name(number)
            progress.advance(0, printable(name))
            try:
                view = view_picture(plan, pictures, number)
            except UnconvError as refusal:
                view = Skipped(name, str(refusal))
            if isinstance(view, Skipped):
                skipped.append((number, view))
            else:
                rows.append(_picture_row(view, f"{len(rows):03d}", plan, store))
            progress.advance()
    return tuple(rows), skipped


def page_row(
    plan: Plan,
    title: str | None,
    pictures: tuple[PictureRow, ...],
    skipped: Sequence[Skipped],
    collection: CollectionRow | None = None,
    compare: ComparisonRow | None = None,
) -> PageRow:
    """Everything that a page tells.

    Raises ImageError where there is nothing to tell about.
    """
    if not pictures and collection is None:
        reasons: dict[str, list[str]] = {}
        for item in skipped[:LISTED]:
            reasons.setdefault(item.reason, []).append(printable(item.path or item.name))
        named = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items()) or "none given"
        more = f"; and {len(skipped) - LISTED} more" if len(skipped) > LISTED else ""
        raise ImageError(f"see: no picture could be used: {named}{more}")
    return PageRow(
        title=title or f"Looking into {plan.model.name}",
        unconv=unconv.__version__,
        model=plan.model.name,
        weights=plan.model.weights,
        notes=(*plan.model.notes, *plan.fields.notes, *bands_note(plan), *slice_note(plan)),
        preprocess=str(plan.model.preprocess),
        input_size=tuple(plan.model.input_size),
        rule=plan.rule,
        rule_reason=plan.reason,
        layers=plan.layers,
        collection=collection,
        compare=compare,
        pictures=pictures,
        skipped=tuple(SkippedRow(str(item.path or item.name), item.reason) for item in skipped),
    )


def write_report(
    page: PageRow, folder: Path, formats: Sequence[str], skipped: Sequence[Skipped], written: Sequence[Path] = ()
) -> Report:
    """Write a page and its numbers.

    Args:
        page: what it tells.
        folder: where to.
        formats: ``html`` for the page; the numbers are always written.
        skipped: pictures that are not in the report.
        written: files of other formats.

    Raises UnconvError when the folder cannot be written.
    """
    numbers = as_data(page)
    path = write_file(folder / "report.json", to_json(numbers, indent=1) + "\n")
    if "html" in formats:
        path = write_file(folder / "index.html", render_page(page))
    names = tuple(picture.name for picture in page.pictures)
    files = (*([path] if "html" in formats else []), *written)
    return Report(files[0] if files else path, page.rule, page.layers, names, tuple(skipped), numbers, files)


def render_page(page: PageRow) -> str:
    """The page of a report; names of files and classes appear as text, whatever they contain."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("unconv.visualize.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = [part for part in (page.collection, page.compare and page.compare.collection) if part]
    rows = {one.name: getattr(page, one.name) for one in fields(page)}
    template = environment.get_template("report.html.jinja")
    return template.render(rows, rules=REVERSE_RULES.values(), parts=as_data(parts))


def _picture_row(view: PictureView, stem: str, plan: Plan, store: Store) -> PictureRow:
    index = middle_slice(view.picture, plan.slice)
    image = store(f"{stem}-picture", cut_slice(view.picture, index))
    return PictureRow(
        name=view.name,
        notes=view.notes,
        image=image,
        size=tuple(view.picture.shape[1:]),
        predictions=tuple(
            PredictionRow(label, value) if view.predictions.probable else PredictionRow(label, None, value)
            for label, value in view.predictions.classes
        ),
        outputs=view.predictions.note,
        layers=tuple(
            _peaks_row(layer, f"{stem}-{number}", view.picture.shape[1:], (image, index), plan, store)
            for number, layer in enumerate(view.layers)
        ),
        slice=index,
    )


def _peaks_row(
    layer: LayerView, stem: str, size: Sequence[int], shown: tuple[str, int | None], plan: Plan, store: Store
) -> PeaksRow:
    return PeaksRow(
        layer=layer.layer,
        size=layer.size,
        count=layer.count,
        field=plan.fields.size(layer.layer),
        coverage=CoverageRow.of(layer.coverage),
        limits=limits(layer.coverage),
        units=tuple(
            _peak_row(unit, f"{stem}-{rank}", size, shown, store, plan.bands) for rank, unit in enumerate(layer.units)
        ),
        axes=plan.axes.get(layer.layer, ""),
    )


def _peak_row(
    view: UnitView, stem: str, size: Sequence[int], shown: tuple[str, int | None], store: Store, bands: Sequence[int]
) -> PeakRow:
    (top, bottom), (left, right) = view.box[-2:]
    height, width = size[-2:]
    image, index = shown
    whole = (bottom - top, right - left) == (height, width) and view.slice == index
    return PeakRow(
        unit=view.unit,
        position=view.position,
        activation=view.activation,
        box=view.box,
        place=OutlineRow(
            left=100 * left / width,
            top=100 * top / height,
            width=100 * (right - left) / width,
            height=100 * (bottom - top) / height,
        ),
        silent=view.silent,
        coarse=max(bottom - top, right - left) < LOSSLESS_SIDE,
        patch=image if whole else store(f"{stem}-patch", view.patch),
        projection=store(f"{stem}-projection", show_projection(show_bands(view.projection, bands))),
        slice=view.slice,
    )


def to_json(numbers: Mapping[str, Any], indent: int | None = None) -> str:
    """The numbers of a report as JSON, without pictures; names of files that are no UTF-8 can be read back.

    >>> import os
    >>> to_json({"name": os.fsdecode(b"caf\\xe9.png")})
    '{"name": "caf\\\\udce9.png"}'
    """
    text = json.dumps(without_pixels(numbers), indent=indent, ensure_ascii=False, allow_nan=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def without_pixels(value: Any) -> Any:
    """The numbers of a report with embedded pictures left out: JSON is for numbers."""
    if isinstance(value, dict):
        return {key: without_pixels(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_pixels(item) for item in value]
    return None if isinstance(value, str) and value.startswith("data:image/") else value
