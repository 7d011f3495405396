"""The whole job: pictures and a network in, a report of what its units see out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unconv.data.images import Image, Skipped, iter_images, list_images
from unconv.errors import UnconvError
from unconv.models.preprocess import Preprocess
from unconv.models.resolve import LoadedModel, load_model
from unconv.models.weights import check_finite
from unconv.visualize.fields import Fields, read_fields
from unconv.visualize.limits import choose_rule
from unconv.visualize.look import PictureView, check_feature_maps, look, predict
from unconv.visualize.report import Report, write_report
from unconv.visualize.reverse import run_forward
from unconv.visualize.rules import RULES
from unconv.visualize.select import choose_layers, list_feature_maps

Progress = Callable[[int, "int | None", str], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be done to every picture.

    Args:
        model: the network with its picture transform.
        layers: names of the layers to look into.
        rule: name of the reverse rule.
        reason: why this rule.
        units: how many units of each layer.
        fields: what the units of each layer see.
    """

    model: LoadedModel
    layers: tuple[str, ...]
    rule: str
    reason: str
    units: int
    fields: Fields


def see(
    model: str | nn.Module | LoadedModel,
    images: Any,
    layers: Sequence[str] | None = None,
    out: str | os.PathLike[str] = "report",
    *,
    rule: str = "auto",
    units: int = 4,
    preprocess: Preprocess | None = None,
    single_file: bool = False,
    title: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Look into a network with some pictures: the strongest units of some layers, their patches and projections.

    Args:
        model: a MODEL string as for load_model, a loaded model, or any module that takes images as its one argument.
        images: files, folders, tensors or arrays, as for read_images; what cannot be read is skipped and listed.
        layers: names of layers that return feature maps; None: five, spread over the depth.
        out: folder for ``index.html``, ``report.json`` and the pictures; it is made where it does not exist.
        rule: ``deconvnet``, ``guided``, ``gradient``, or ``auto``: deconvnet where the network has max-pooling, whose
            switches it needs, else guided.
        units: how many units of each layer, strongest first.
        preprocess: picture transform for a bare module; ImageNet's (224 × 224) unless given. Strings and loaded
            models bring their own.
        single_file: put the pictures into ``index.html`` itself.
        title: heading of the report.
        progress: called with pictures done, pictures in all (None where not known) and the name of the next one.

    Raises:
        ModelError: unknown models or layers, weights that are not finite, layers without feature maps.
        ImageError: no picture could be read or used.

    >>> import tempfile
    >>> from unconv.models.preprocess import Preprocess
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU())
    >>> small = Preprocess(size=(32, 32), resize=(32, 32))
    >>> report = see(model, torch.rand(2, 3, 48, 64), out=tempfile.mkdtemp(), preprocess=small)
    >>> report.path.name, report.rule, report.layers, len(report.pictures)
    ('index.html', 'deconvnet', ('1', '4'), 2)
    """
    plan = make_plan(_loaded(model, preprocess), layers, rule, units)
    items, total = _counted(images)
    views = _views(plan, iter_images(items), total, progress)
    return write_report(plan, views, Path(out), single_file=single_file, title=title)


def make_plan(model: LoadedModel, layers: Sequence[str] | None, rule: str, units: int) -> Plan:
    """Check what was asked for before any picture is read, and choose what was left open.

    >>> plan = make_plan(load_model("efficientnet-lite0"), ["features.3"], "auto", units=4)
    >>> plan.rule, plan.reason
    ('guided', 'chosen because no max-pooling lies on the way, and so no switches for a deconvnet image')
    """
    if units < 1:
        raise UnconvError(f"units: {units} units of each layer were asked for; ask for 1 or more")
    if rule != "auto" and rule not in RULES:
        raise UnconvError(f"rule: {rule!r} is not one of auto, {', '.join(RULES)}")
    check_finite(model.module, model.name)
    blank = _like(model.module, torch.zeros(1, *model.input_size))
    if layers is None:
        layers = choose_layers(list_feature_maps(model.module, blank))
    layers = tuple(dict.fromkeys(layers))
    if not layers:
        raise UnconvError("layers: an empty list was given; name at least one, or none at all for a choice")
    passage = run_forward(model.module, blank, layers, "guided")
    for layer in layers:
        check_feature_maps(layer, passage.values[layer])
    reason = "as asked for"
    if rule == "auto":
        rule, reason = choose_rule(max((passage.coverage(layer) for layer in layers), key=lambda c: c.switches))
    return Plan(model, layers, rule, reason, units, read_fields(model.module, model.input_size, layers))


def _loaded(model: str | nn.Module | LoadedModel, preprocess: Preprocess | None) -> LoadedModel:
    if isinstance(model, nn.Module):
        # A compiled model is looked into as the model that it was made from, under the names that has.
        model = getattr(model, "_orig_mod", model)
        return LoadedModel(
            name=type(model).__name__,
            module=model,
            preprocess=preprocess or Preprocess(),
            classes=None,
            weights="as given",
        )
    if preprocess is not None:
        raise UnconvError(
            "preprocess: is for bare modules; this model brings its own (load_model takes size, mean, std)"
        )
    return load_model(model) if isinstance(model, str) else model


def _counted(images: Any) -> tuple[Any, int | None]:
    paths = [images] if isinstance(images, str | os.PathLike) else images
    if isinstance(paths, list | tuple) and all(isinstance(path, str | os.PathLike) for path in paths):
        found = list_images(paths)
        return found, len(found)
    return images, None


def _views(
    plan: Plan, images: Iterator[Image | Skipped], total: int | None, progress: Progress | None
) -> Iterator[PictureView | Skipped]:
    for done, item in enumerate(images):
        if progress is not None:
            progress(done, total, item.name)
        if isinstance(item, Skipped):
            yield item
            continue
        try:
            yield view_picture(plan, item)
        except UnconvError as refusal:
            yield Skipped(item.name, str(refusal), item.path)
    if progress is not None and total is not None:
        progress(total, total, "")


def view_picture(plan: Plan, image: Image) -> PictureView:
    """What the network of a plan makes of one picture."""
    model, transform = plan.model.module, plan.model.preprocess
    picture = transform.picture(image.tensor)
    prepared = _like(model, transform.normalise(picture)[None])
    return PictureView(
        name=image.name,
        picture=picture,
        layers=look(model, prepared, picture, plan.layers, plan.rule, plan.units, plan.fields.box),
        predictions=predict(model, prepared, plan.model.classes) if plan.model.classes else (),
        notes=image.notes,
    )


def _like(model: nn.Module, images: Tensor) -> Tensor:
    """Images on the device and in the precision of a model's weights."""
    weight = next((p for p in model.parameters() if p.is_floating_point()), None)
    return images if weight is None else images.to(weight)
