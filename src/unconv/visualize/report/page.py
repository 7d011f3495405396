"""A report as files: one page that opens from disk, its pictures, and all its numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

import unconv
from unconv.data.images import Skipped
from unconv.errors import ImageError
from unconv.visualize.display import as_rgb, show_projection
from unconv.visualize.report.files import LOSSLESS_SIDE, Store, write_file
from unconv.visualize.report.picture_view import LayerView, PictureView, UnitView
from unconv.visualize.reverse.limits import limits
from unconv.visualize.reverse.rules import REVERSE_RULES

if TYPE_CHECKING:
    from unconv.visualize.report.plan import Plan

Row = dict[str, Any]

LISTED = 3


@dataclass(frozen=True, eq=False)
class Report:
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


def picture_rows(
    plan: Plan, views: Iterable[PictureView | Skipped], store: Store
) -> tuple[list[Row], list[tuple[int, Skipped]]]:
    """Store the views of some pictures, one at a time; what a page tells of them, and which were skipped."""
    rows: list[Row] = []
    skipped: list[tuple[int, Skipped]] = []
    for number, view in enumerate(views):
        if isinstance(view, Skipped):
            skipped.append((number, view))
        else:
            rows.append(_picture_row(view, f"{len(rows):03d}", plan, store))
    return rows, skipped


def write_report(
    plan: Plan,
    folder: Path,
    rows: list[Row],
    skipped: Sequence[Skipped],
    title: str | None = None,
    collection: Row | None = None,
    compare: Row | None = None,
    formats: Sequence[str] = ("html",),
    written: Sequence[Path] = (),
) -> Report:
    """Write the page and its numbers.

    Args:
        plan: what was done.
        folder: where to.
        rows: of single pictures.
        skipped: pictures that are not in the report.
        title: heading.
        collection: of the units over all pictures; none where that was not looked at.
        compare: the same of another network.
        formats: ``html`` for the page; the numbers are always written.
        written: files of other formats.

    Raises ImageError where there is nothing to write about, UnconvError when the folder cannot be written.
    """
    if not rows and collection is None:
        told = "; ".join(str(item) for item in skipped[:LISTED]) or "none given"
        more = f"; and {len(skipped) - LISTED} more" if len(skipped) > LISTED else ""
        raise ImageError(f"see: no picture could be used: {told}{more}")
    numbers = {
        "title": title or f"Looking into {plan.model.name}",
        "unconv": unconv.__version__,
        "model": plan.model.name,
        "weights": plan.model.weights,
        "notes": [*plan.model.notes, *plan.fields.notes],
        "preprocess": str(plan.model.preprocess),
        "input_size": plan.model.input_size,
        "rule": plan.rule,
        "rule_reason": plan.reason,
        "layers": plan.layers,
        "collection": collection,
        "compare": compare,
        "pictures": rows,
        "skipped": [{"name": str(item.path or item.name), "reason": item.reason} for item in skipped],
    }
    path = write_file(
        folder / "report.json",
        json.dumps(without_pixels(numbers), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    )
    if "html" in formats:
        path = write_file(folder / "index.html", render_page(numbers))
    names = tuple(str(picture["name"]) for picture in rows)
    files = (*([path] if "html" in formats else []), *written)
    return Report(files[0] if files else path, plan.rule, plan.layers, names, tuple(skipped), numbers, files)


def render_page(numbers: Mapping[str, Any]) -> str:
    """The page of a report; names of files and classes appear as text, whatever they contain."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("unconv.visualize.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(numbers, rules=REVERSE_RULES.values())


def _picture_row(view: PictureView, stem: str, plan: Plan, store: Store) -> dict[str, Any]:
    image = store(f"{stem}-picture", view.picture)
    return {
        "name": view.name,
        "notes": list(view.notes),
        "image": image,
        "size": list(view.picture.shape[1:]),
        "predictions": [{"label": label, "probability": probability} for label, probability in view.predictions],
        "layers": [
            _layer_row(layer, f"{stem}-{number}", view.picture, image, plan, store)
            for number, layer in enumerate(view.layers)
        ],
    }


def _layer_row(layer: LayerView, stem: str, picture: Tensor, image: str, plan: Plan, store: Store) -> dict[str, Any]:
    coverage = layer.coverage
    return {
        "layer": layer.layer,
        "size": list(layer.size),
        "count": layer.count,
        "field": plan.fields.size(layer.layer),
        "coverage": {**asdict(coverage), "total": coverage.total, "sentence": coverage.sentence},
        "limits": limits(coverage),
        "units": [_unit_row(unit, f"{stem}-{rank}", picture, image, store) for rank, unit in enumerate(layer.units)],
    }


def _unit_row(view: UnitView, stem: str, picture: Tensor, image: str, store: Store) -> dict[str, Any]:
    (top, bottom), (left, right) = view.box
    height, width = picture.shape[1:]
    whole = (bottom - top, right - left) == (height, width)
    return {
        "unit": view.unit,
        "position": list(view.position),
        "activation": view.activation,
        "box": [list(axis) for axis in view.box],
        "place": {
            "left": 100 * left / width,
            "top": 100 * top / height,
            "width": 100 * (right - left) / width,
            "height": 100 * (bottom - top) / height,
        },
        "silent": bool((view.projection == 0).all()),
        "coarse": max(bottom - top, right - left) < LOSSLESS_SIDE,
        "patch": image if whole else store(f"{stem}-patch", view.patch),
        "projection": store(f"{stem}-projection", show_projection(as_rgb(view.projection))),
    }


def without_pixels(value: Any) -> Any:
    """The numbers of a report with embedded pictures left out: JSON is for numbers."""
    if isinstance(value, dict):
        return {key: without_pixels(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_pixels(item) for item in value]
    return None if isinstance(value, str) and value.startswith("data:image/") else value
