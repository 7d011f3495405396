"""A report of what the units of a network see: plan, pictures one by one, the collection, the page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from unconv._renamed import warn_renamed
from unconv.arguments import tell_wrong_arguments
from unconv.choices import OutputReading, ReportFormat, ReverseRuleOrAuto
from unconv.data.images import Skipped
from unconv.data.read.pictures import Pictures
from unconv.folders import check_folder, replacing_folder
from unconv.inputs import files_named, paths_in, refuse_inputs
from unconv.jobs import Progress, quiet
from unconv.models.load.open_model import AnyModel, OpenedModel, open_model
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.models.load.transforms import Transform, read_transform
from unconv.network.run.held_inputs import Inputs, Keywords, describe_held
from unconv.network.run.name_layers import AnyLayers
from unconv.visualize.report.collection_report import report_collection
from unconv.visualize.report.contact_sheets import ContactSheets, check_formats
from unconv.visualize.report.files import NAMES, store_for
from unconv.visualize.report.page import Report, page_row, picture_rows, write_report
from unconv.visualize.report.plan import as_loaded, make_plan
from unconv.visualize.report.survey import NOTHING, check_layers, check_scan
from unconv.visualize.report.unit_rows import Output as Written
from unconv.visualize.reverse.projections.image_batches import (
    axes_of,
    clip_shape,
    pictures_for,
    reading_for,
    tensor_shape,
)
from unconv.visualize.scan.top_activations import TopActivations
from unconv.visualize.unit_choice import Units, read_units

# Collections up to this many pictures are shown picture by picture too.
FEW = 12


@tell_wrong_arguments
def see(
    model: AnyModel,
    images: Any,
    layers: AnyLayers | None = None,
    out: str | os.PathLike[str] = "report",
    *,
    rule: ReverseRuleOrAuto = "auto",
    units: Units | int | None = None,
    top_units: int | None = None,
    transform: Transform | None = None,
    single_file: bool = False,
    title: str | None = None,
    progress: Progress | None = None,
    scan: TopActivations | str | os.PathLike[str] | None = None,
    top: int = 9,
    compare: AnyModel | None = None,
    formats: Sequence[ReportFormat] = ("html",),
    fidelity: int | str = 2,
    force: bool = False,
    output: OutputReading = "auto",
    bands: Sequence[int] | None = None,
    slice: int | None = None,
    inputs: Inputs = None,
    kwargs: Keywords = None,
    max_pixels: int | None = None,
    preprocess: Preprocess | None = None,
) -> Report:
    """Look into a network with some pictures: what every unit of some layers is strongest for, over all of them.

    Two pictures or more are looked at as a collection: for each unit the places at which it is strongest, its patches
    there and what it sends back. Up to ``FEW`` are shown one by one too, each with its strongest units.

    Args:
        model: a MODEL string as for load_model, a loaded model, or any module that takes images as its one argument.
        images: whatever read_images takes: files, folders, a ``.tar`` of pictures, arrays, a dataset of torch, a
            loader that does not shuffle.
            Tensors of floats go in as they are, unless a transform is given. What cannot be read is skipped and listed.
        layers: those that return feature maps: a name as in ``model.named_modules()``, one of the model's modules, a
            pattern (``"layer3.*"``), or a list of these, see :func:`~unconv.network.run.name_layers.name_layers`;
            ``"all"``: every convolution; None: five, spread over the depth (of those of the scan, where one is given).
        out: folder for ``index.html``, ``report.json`` and the pictures; it is made where it does not exist. A report
            that is there is replaced when the new one is complete; others' files stay.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`, or ``auto``: what
            :func:`~unconv.visualize.reverse.rules.choose_rule` takes for such a network.
        units: which units of each layer, by index; ``"all"``.
        top_units: how many instead, strongest first. Neither: 16, and 4 in each of single pictures.
        transform: picture transform, in place of the model's own; a bare module's is ImageNet's (224 × 224) unless
            given. A :class:`~unconv.models.load.preprocess.Preprocess`, torchvision's ``weights.transforms()``, a
            ``Compose``, any callable, see :func:`~unconv.models.load.transforms.as_preprocess`.
        single_file: put the pictures into ``index.html`` itself.
        title: heading of the report.
        progress: as :func:`unconv.jobs.bar` makes it; counts pictures, batches of the scan, and units.
        scan: what :func:`~unconv.visualize.scan.scan.scan` has found in the same pictures with the same network, or its
            file; where neither ``transform`` nor a loaded model says another, its picture transform is taken.
        top: places shown of each unit.
        compare: another network, whose units are matched with those of this one by what they answer to.
        formats: of ``html``, ``png`` (contact sheets of every layer) and ``pdf`` (the same); ``report.json`` is always
            written.
        fidelity: of how many units of each layer it is measured how far their projections can be trusted, see
            :func:`~unconv.visualize.fidelity.measure.fidelity`; ``"all"``. Each costs as much as seven units without.
        force: replace others' files in ``out`` that have the names of a report's.
        output: how the network's outputs are read for the predictions of single pictures: ``softmax``, ``sigmoid``,
            ``score``, ``class``; ``auto`` tells by its end and the names of its classes, and leaves predictions out
            where nothing is known, see :func:`~unconv.visualize.outputs.reading.read_outputs`.
        bands: channels that are shown of pictures with more than three, or fewer: one or three of them, numbered from
            0; their mean unless given.
        slice: of clips and volumes the slice that is shown, numbered from 0 along the first axis; of a unit that does
            not see it, the nearest. None: of a clip the middle one, of a unit that where its projection, which is of
            all slices, is strongest; the page says which.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.
        max_pixels: pictures of more are skipped from what their header says; 100,000,000 unless given.
        preprocess: the name of ``transform`` in version 0.1, with a DeprecationWarning.

    Raises:
        ModelError: unknown models or layers, weights that are not finite, layers without feature maps.
        ImageError: no picture could be read or used.
        UnconvError: a scan of something else, choices that are not there, an ``out`` whose files are read.

    >>> import tempfile
    >>> import torch
    >>> from torch import nn
    >>> from unconv.models.load.preprocess import Preprocess
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU())
    >>> small = Preprocess(size=(32, 32), resize=(32, 32))
    >>> report = see(model, torch.rand(2, 3, 48, 64), out=tempfile.mkdtemp(), transform=small)
    >>> report.path.name, report.rule, report.layers, len(report.pictures)
    ('index.html', 'deconvnet', ('1', '4'), 2)
    >>> [(layer["layer"], len(layer["units"])) for layer in report.numbers["collection"]["layers"]]
    [('1', 8), ('4', 8)]
    """
    chosen = read_units("see", units, top_units)
    if preprocess is not None:
        warn_renamed("see: preprocess is transform now")
        transform = preprocess if transform is None else transform
    formats = check_formats(formats)
    check_folder(out, NAMES, "report", force)
    read = files_named(paths_in([model, images, scan, compare]))
    refuse_inputs("report", Path(out), [Path(out) / name for name in NAMES], read)
    progress = progress or quiet()
    given = TopActivations.load(scan) if isinstance(scan, str | os.PathLike) else scan
    with progress:
        progress.start(None, "reading the network")
        if transform is None and given is not None and not isinstance(model, LoadedModel):
            # Nobody says another: that of the scan.
            transform = read_transform(str(given.about.get("preprocess")))
        opened = open_model(model, "see", transform=transform, inputs=inputs, kwargs=kwargs)
        pictures = pictures_for(images, transform is not None, axes_of(opened.module))
        tensor = tensor_shape(pictures) if transform is None else None
        loaded = as_loaded(opened, transform, tensor, clip=_clip(opened, pictures, max_pixels))
        held: AnyModel | OpenedModel | None = compare
        if compare is not None and not inputs is kwargs is None:
            own = loaded.preprocess if isinstance(compare, nn.Module) else None
            held = open_model(compare, "see", transform=own, inputs=inputs, kwargs=kwargs)
        wanted: dict[str, Any] = {"units": chosen, "top": top, "fidelity": fidelity, "given": given, "compare": held}
        plan = make_plan(loaded, layers, rule, **wanted, output=output, bands=bands, slice=slice, max_pixels=max_pixels)
    if given is not None:
        beside = NOTHING if inputs is kwargs is None else describe_held(inputs, kwargs)
        check_layers(given, plan.layers)
        check_scan(given, plan.model, pictures, top, transformed=tensor is None, held=beside)
    with replacing_folder(out, "report", force) as folder:
        sheets = ContactSheets(folder, formats, plan.model.name)
        written = Written(store_for(folder, single_file), progress, sheets.draw if sheets.needed else None)
        few = len(pictures) <= FEW
        rows, unusable = picture_rows(plan, pictures, written.store, progress) if few else ((), [])
        collection = comparison = None
        skipped: Sequence[Skipped] = [item for _, item in unusable]
        if not few or given is not None or plan.other is not None or len(rows) > 1:
            usable = pictures.without(unusable)
            collection, comparison, left_out = report_collection(plan, usable, written, single_file)
            skipped = skipped if few else left_out
        page = page_row(plan, title, rows, skipped, collection, comparison)
        report = write_report(page, folder, formats, skipped, sheets.close())
    return report.moved(folder, Path(out))


def _clip(opened: OpenedModel, pictures: Pictures, max_pixels: int | None) -> tuple[int, ...]:
    """The shape of the first clip, where the network takes clips and its transform leaves their size open."""
    told = opened.preprocess is not None and len(opened.preprocess.size) == 3
    if told or axes_of(opened.module) != 3:
        return ()
    return clip_shape(pictures, reading_for(opened.module, opened.preprocess, max_pixels))
