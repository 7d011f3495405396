"""The whole job: pictures and a network in, a report of what its units see out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from unconv.data.images import Skipped
from unconv.data.read.pictures import Pictures, pictures_of
from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.visualize.layers import like_weights
from unconv.visualize.report.collection_report import Wanted, look_at_all
from unconv.visualize.report.contact_sheets import ContactSheets, check_formats
from unconv.visualize.report.files import store_for
from unconv.visualize.report.page import Report, picture_rows, write_report
from unconv.visualize.report.picture_view import PictureView, look, predict
from unconv.visualize.report.pictures import show_picture
from unconv.visualize.report.plan import Plan, as_loaded, make_plan
from unconv.visualize.report.survey import check_layers, check_scan
from unconv.visualize.report.unit_rows import Units
from unconv.visualize.scan.top_activations import TopActivations

Progress = Callable[[int, "int | None", str], None]

# Collections up to this many pictures are shown picture by picture too.
FEW = 12
# Units of a layer: over a collection, and in each of single pictures.
SHOWN, STRONGEST = 16, 4


def see(
    model: str | nn.Module | LoadedModel,
    images: Any,
    layers: Sequence[str] | str | None = None,
    out: str | os.PathLike[str] = "report",
    *,
    rule: str = "auto",
    units: Units | None = None,
    preprocess: Preprocess | None = None,
    single_file: bool = False,
    title: str | None = None,
    progress: Progress | None = None,
    scan: TopActivations | str | os.PathLike[str] | None = None,
    top: int = 9,
    compare: str | nn.Module | LoadedModel | None = None,
    formats: Sequence[str] = ("html",),
    fidelity: int | str = 2,
) -> Report:
    """Look into a network with some pictures: what every unit of some layers is strongest for, over all of them.

    Two pictures or more are looked at as a collection: for each unit the places at which it is strongest, its patches
    there and what it sends back. Up to ``FEW`` are shown one by one too, each with its strongest units.

    Args:
        model: a MODEL string as for load_model, a loaded model, or any module that takes images as its one argument.
        images: files, folders, tensors or arrays, as for read_images; a ``.tar`` of pictures; a dataset of torch. What
            cannot be read is skipped and listed.
        layers: names of layers that return feature maps; ``"all"``: every convolution; None: five, spread over the
            depth (of those of the scan, where one is given).
        out: folder for ``index.html``, ``report.json`` and the pictures; it is made where it does not exist.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`, or ``auto``: what
            :func:`~unconv.visualize.reverse.rules.choose_rule` takes for such a network.
        units: how many units of each layer, strongest first; a list of them; ``"all"``. None: 16, and 4 in each of
            single pictures.
        preprocess: picture transform for a bare module; ImageNet's (224 × 224) unless given. Strings and loaded
            models bring their own.
        single_file: put the pictures into ``index.html`` itself.
        title: heading of the report.
        progress: called with the number done, the number in all (None where not known) and what is next.
        scan: what :func:`~unconv.visualize.scan.scan.scan` has found in the same pictures with the same network, or its
            file.
        top: places shown of each unit.
        compare: another network, whose units are matched with those of this one by what they answer to.
        formats: of ``html``, ``png`` (contact sheets of every layer) and ``pdf`` (the same); ``report.json`` is always
            written.
        fidelity: of how many units of each layer it is measured how far their projections can be trusted, see
            :func:`~unconv.visualize.fidelity.measure.fidelity`; ``"all"``. Each costs as much as seven units without.

    Raises:
        ModelError: unknown models or layers, weights that are not finite, layers without feature maps.
        ImageError: no picture could be read or used.
        UnconvError: a scan of something else, choices that are not there.

    >>> import tempfile
    >>> import torch
    >>> from unconv.models.load.preprocess import Preprocess
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU())
    >>> small = Preprocess(size=(32, 32), resize=(32, 32))
    >>> report = see(model, torch.rand(2, 3, 48, 64), out=tempfile.mkdtemp(), preprocess=small)
    >>> report.path.name, report.rule, report.layers, len(report.pictures)
    ('index.html', 'deconvnet', ('1', '4'), 2)
    >>> [(layer["layer"], len(layer["units"])) for layer in report.numbers["collection"]["layers"]]
    [('1', 8), ('4', 8)]
    """
    if top < 1:
        raise UnconvError(f"top: {top} places of each unit were asked for; ask for 1 or more")
    check_units(units)
    measured = measured_units(fidelity)
    formats = check_formats(formats)
    given = TopActivations.load(scan) if isinstance(scan, str | os.PathLike) else scan
    plan = make_plan(as_loaded(model, preprocess), layers, rule, None if given is None else given.layers)
    other = None if compare is None else other_plan(plan, compare)
    pictures, follow = pictures_of(images), progress or _nothing
    if given is not None:
        check_layers(given, plan.layers)
        check_scan(given, plan.model, pictures, top)
    folder = Path(out)
    store = store_for(folder, single_file)
    few = len(pictures) <= FEW
    per_picture = units if isinstance(units, int) else STRONGEST
    rows, skipped = picture_rows(plan, _views(plan, pictures, per_picture, follow), store) if few else ([], [])
    collection = comparison = None
    left_out: tuple[Skipped, ...] = ()
    sheets = ContactSheets(folder, formats, plan.model.name)
    if not few or given is not None or other is not None or len(rows) > 1:
        chosen = SHOWN if units is None else units
        wanted = Wanted(plan, other, pictures.without(skipped), chosen, top, given, measured)
        collection, comparison, left_out = look_at_all(wanted, store, follow, sheets, single_file)
    told = [item for _, item in skipped] if few else left_out
    written = sheets.close()
    return write_report(plan, folder, rows, told, title, collection, comparison, formats, written)


def check_units(units: Units | None) -> None:
    """Refuse what is no choice of units."""
    if isinstance(units, str) and units != "all":
        raise UnconvError(f"units: {units!r} is no choice; give a number, a list, or all")
    if isinstance(units, int) and units < 1:
        raise UnconvError(f"units: {units} units of each layer were asked for; ask for 1 or more")
    if units is not None and not isinstance(units, int | str) and not len(units):
        raise UnconvError("units: an empty list was given; name at least one, or all")


def measured_units(fidelity: int | str) -> int:
    """Of how many units of a layer fidelity is measured.

    >>> measured_units(3), measured_units("all") > 10**6
    (3, True)
    """
    if fidelity == "all":
        return sys.maxsize
    if not isinstance(fidelity, int) or fidelity < 0:
        raise UnconvError(f"fidelity: {fidelity!r} units of each layer; give 0 or more, or all")
    return fidelity


def other_plan(plan: Plan, compare: str | nn.Module | LoadedModel) -> Plan:
    """The same layers by the same rule in another network; a bare module is given the first one's pictures."""
    own = plan.model.preprocess if isinstance(compare, nn.Module) else None
    return make_plan(as_loaded(compare, own), plan.layers, plan.rule)


def _nothing(_done: int, _total: int | None, _name: str) -> None:
    """Tells nothing."""


def _views(plan: Plan, pictures: Pictures, units: int, follow: Progress) -> Iterator[PictureView | Skipped]:
    for number in range(len(pictures)):
        follow(number, len(pictures), pictures.name(number))
        try:
            yield view_picture(plan, pictures, number, units)
        except UnconvError as refusal:
            yield Skipped(pictures.name(number), str(refusal))


def view_picture(plan: Plan, pictures: Pictures, number: int, units: int) -> PictureView | Skipped:
    """What the network of a plan makes of one picture."""
    model = plan.model.module
    shown = show_picture(pictures, number, plan.model.preprocess)
    if isinstance(shown, Skipped):
        return shown
    prepared = like_weights(model, shown.image[None])
    return PictureView(
        name=shown.name,
        picture=shown.picture,
        layers=look(model, prepared, shown.picture, plan.layers, plan.rule, units, plan.fields.box),
        predictions=predict(model, prepared, plan.model.classes) if plan.model.classes else (),
        notes=shown.notes,
    )
