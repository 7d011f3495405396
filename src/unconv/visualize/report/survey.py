"""Surveys of a collection of pictures: the strongest places of every unit, and how units vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.data.read.pictures import Pictures
from unconv.errors import UnconvError
from unconv.jobs import Progress
from unconv.models.load.resolve import LoadedModel
from unconv.models.load.transforms import read_transform
from unconv.visualize.scan.scan import scan
from unconv.visualize.scan.top_activations import TopActivations

# Pictures of which every unit's peak is kept: enough for a histogram and correlations, whatever the collection's size.
SAMPLE = 512
LISTED = 3
# What a scan holds beside its pictures that says nothing of it.
NOTHING = "nothing"


@dataclass(frozen=True, eq=False)
class Survey:
    """A scan of a collection, and every unit's peak in a sample of it.

    Attributes:
        found: the strongest places of every unit.
        activity: by layer, peak of each unit in each picture of the sample, ``(picture, unit)``.
        sample: numbers of those pictures.
    """

    found: TopActivations
    activity: Mapping[str, Float[Tensor, "picture unit"]]
    sample: tuple[int, ...]


def survey(
    model: LoadedModel,
    pictures: Pictures,
    layers: Sequence[str],
    top: int,
    given: TopActivations | None = None,
    progress: Progress | None = None,
    max_pixels: int | None = None,
) -> Survey:
    """Scan a collection, unless it has been, and look at a sample of it.

    The sample are ``SAMPLE`` pictures at equal distances, or all where there are fewer; then one pass does both.

    >>> from torch import nn
    >>> from unconv.models.load.preprocess import Preprocess
    >>> from unconv.data.read.source import pictures_of
    >>> model = LoadedModel("net", nn.Conv2d(3, 4, 3), Preprocess((8, 8), (8, 8)), None, "random")
    >>> model = LoadedModel("net", nn.Sequential(model.module), model.preprocess, None, "random")
    >>> found = survey(model, pictures_of(torch.rand(5, 3, 8, 8)), ["0"], top=3)
    >>> found.found.values["0"].shape, found.activity["0"].shape
    (torch.Size([4, 3]), torch.Size([5, 4]))
    """
    count = len(pictures)
    numbers = tuple(range(count)) if count <= SAMPLE else tuple(step * count // SAMPLE for step in range(SAMPLE))
    how: dict[str, Any] = {"progress": progress, "max_pixels": max_pixels}
    looked_at = scan(model, pictures.chosen(numbers), layers, max(top, len(numbers)), **how)
    if given is None and len(numbers) == count:
        given = looked_at
    elif given is None:
        given = scan(model, pictures, layers, top, **how)
    activity = {layer: peaks_of(looked_at, layer) for layer in layers}
    usable = activity[layers[0]].isfinite().all(dim=1)
    return Survey(
        found=cut(given, layers, top),
        activity={layer: peaks[usable] for layer, peaks in activity.items()},
        sample=tuple(number for number, use in zip(numbers, usable.tolist(), strict=True) if use),
    )


def peaks_of(found: TopActivations, layer: str) -> Float[Tensor, "picture unit"]:
    """Peak of every unit in every picture, from a scan that kept them all; NaN for pictures that were skipped.

    >>> maps = torch.rand(6, 3, 5, 5)
    >>> kept = TopActivations.of({"conv": maps}, top=6)
    >>> torch.equal(peaks_of(kept, "conv"), maps.amax((2, 3)))
    True
    """
    values, images = found.values[layer], found.images[layer]
    peaks = values.new_full((found.count, len(values)), torch.nan)
    units = torch.arange(len(values))[:, None].expand_as(images)
    there = images >= 0
    peaks[images[there], units[there]] = values[there]
    return peaks


def cut(found: TopActivations, layers: Sequence[str], top: int) -> TopActivations:
    """Some layers of a scan, with fewer places."""
    return replace(
        found,
        values={layer: found.values[layer][:, :top] for layer in layers},
        images={layer: found.images[layer][:, :top] for layer in layers},
        positions={layer: found.positions[layer][:, :top] for layer in layers},
    )


def check_scan(
    found: TopActivations,
    model: LoadedModel,
    pictures: Pictures,
    top: int,
    *,
    transformed: bool = True,
    held: str = NOTHING,
) -> None:
    """Refuse a scan of another network, other weights, another transform, other inputs beside the pictures, or others.

    Tensors that go in as they are (not ``transformed``) have no transform that could differ.

    Raises :class:`~unconv.errors.UnconvError`, naming the first difference.
    """
    told = {
        "model": model.name,
        "weights": model.weights,
        **({"preprocess": repr(model.preprocess)} if transformed else {}),
    }
    beside = found.about.get("held", NOTHING)
    if beside != held:
        raise UnconvError(f"scan: beside its pictures it held {beside}, here it is {held}; give the same inputs")
    for key, here in told.items():
        there = found.about.get(key)
        scanned = read_transform(str(there)) if key == "preprocess" else None
        if scanned is not None:
            there = repr(scanned.fitted(model.input_size))
        if there != here:
            named, way = ("transform", f"transform={there}") if key == "preprocess" else (key, "the same")
            raise UnconvError(f"scan: its {named} is {there!r}, here it is {here!r}; scan again, or give {way}")
    if found.count != len(pictures):
        raise UnconvError(f"scan: it is of {found.count} pictures, here are {len(pictures)}; give the same pictures")
    for number, name in sorted(found.names.items()):
        if pictures.name(number) != name:
            raise UnconvError(
                f"scan: its picture {number} is {name!r}, here it is {pictures.name(number)!r}; "
                "give the same pictures in the same order"
            )
    if found.top < top:
        raise UnconvError(f"scan: it holds {found.top} places of each unit, {top} are asked for; scan with top={top}")


def check_layers(found: TopActivations, layers: Sequence[str]) -> None:
    """Refuse layers that a scan has not looked at, and those without feature maps."""
    missing = [layer for layer in layers if layer not in found.values]
    if missing:
        more = f" and {len(found.layers) - LISTED} more" if len(found.layers) > LISTED else ""
        raise UnconvError(
            f"scan: layer {missing[0]!r} is not in it; it holds {', '.join(found.layers[:LISTED])}{more}; "
            f"scan with layers={list(layers)}"
        )
