"""One picture, as people and as the network see it, with its strongest units, their patches and projections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.data.read.items import InMemory, Skipped
from unconv.data.read.pictures import Pictures
from unconv.data.read.read_item import read_item
from unconv.describe import by_size
from unconv.errors import ImageError
from unconv.models.load.preprocess import Preprocess
from unconv.operators.geometry.receptive import Box
from unconv.visualize.display import choose_slice, cut_slice, show_bands
from unconv.visualize.layers import check_feature_maps, like_weights, strongest_units
from unconv.visualize.outputs.predictions import NO_PREDICTIONS, Predictions, predict
from unconv.visualize.report.plan import Plan
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.passage import Passage, run_forward

FieldBox = Callable[[str, tuple[int, ...]], Box]
# How far outside [0, 1] values of a picture are clipped and not stretched: rounding, and what resizing makes.
OUTSIDE = 0.05
# Prepared pictures kept for units that share them.
CACHED_BYTES = 512 * 2**20


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture, as people and as the network see it.

    Attributes:
        name: as given or found.
        picture: ``(channel, height, width)`` in [0, 1], the channels that are shown; of a clip all its slices.
        image: the same as the network wants it, all of them.
        notes: what was done when the picture was read.
    """

    name: str
    picture: Float[Tensor, channel * size]
    image: Float[Tensor, input_channel * size]
    notes: tuple[str, ...] = ()


def show_picture(
    pictures: Pictures,
    number: int,
    preprocess: Preprocess,
    bands: Sequence[int] = (),
    max_pixels: int | None = None,
) -> Shown | Skipped:
    """One picture read and prepared; tensors of a dataset are taken as the dataset has prepared them.

    The channels that are shown are ``bands``; all of grey and of colour, and the mean of any other number, without.

    >>> import torch
    >>> from unconv.data.read.source import pictures_of
    >>> pictures = pictures_of(torch.rand(3, 3, 40, 60))
    >>> show_picture(pictures, 1, Preprocess(size=(8, 8), resize=(8, 8))).image.shape
    torch.Size([3, 8, 8])
    """
    item = pictures[number]
    if isinstance(item, InMemory) and item.ready:
        if tuple(item.value.shape) != preprocess.input_size:
            here, there = by_size(item.value.shape), by_size(preprocess.input_size)
            return Skipped(pictures.name(number), f"a tensor of {here}, where the network is given {there}")
        shown, notes = _stretched(preprocess.denormalise(item.value))
        return Shown(pictures.name(number), _shown(shown, bands), item.value, notes)
    reading = preprocess.reading
    found = read_item(item, replace(reading, max_pixels=max_pixels or reading.max_pixels))
    if isinstance(found, Skipped):
        return found
    try:
        picture = preprocess.picture(found.tensor)
    except ImageError as error:
        return Skipped(found.name, str(error), found.path)
    shown, notes = _stretched(picture)
    if picture.ndim == 4 and picture.shape[1] != found.tensor.shape[1]:
        first = (found.tensor.shape[1] - picture.shape[1]) // 2
        notes = (f"frames {first} to {first + picture.shape[1] - 1} of {found.tensor.shape[1]}", *notes)
    return Shown(pictures.name(number), _shown(shown, bands), preprocess.normalise(picture), (*found.notes, *notes))


def _shown(picture: Tensor, bands: Sequence[int]) -> Tensor:
    return show_bands(picture, bands) if bands or len(picture) not in (1, 3) else picture


def _stretched(values: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """A picture in [0, 1]; stretched to that where its values are far outside, and then a note says so."""
    low, high = (float(bound) for bound in values.aminmax())
    if (low >= -OUTSIDE and high <= 1 + OUTSIDE) or low == high:
        return values.clamp(0, 1), ()
    return (values - low) / (high - low), (f"shown stretched: values from {low:.3g} to {high:.3g} are black to white",)


def picture_reader(
    pictures: Pictures, preprocess: Preprocess, bands: Sequence[int] = (), max_pixels: int | None = None
) -> Callable[[int], Shown]:
    """Reads pictures by number and keeps the last ones, within a limit of memory.

    What a scan has read and cannot be read any more raises :class:`~unconv.errors.ImageError`.
    """

    def read(number: int) -> Shown:
        shown = show_picture(pictures, number, preprocess, bands, max_pixels)
        if isinstance(shown, Skipped):
            raise ImageError(f"see: {shown}; it could be read when the pictures were scanned")
        return shown

    least = 64 if len(preprocess.size) == 2 else 8
    kept = max(least, CACHED_BYTES // (8 * prod(preprocess.input_size)))
    return lru_cache(maxsize=kept)(read)


@dataclass(frozen=True, eq=False)
class UnitView:
    """A unit at its peak in one picture.

    Args:
        unit: index of the unit in its layer.
        position: place of its peak in the feature map, ``(y, x)``.
        activation: its value there.
        box: pixels of the picture that it sees, one ``(start, stop)`` per axis, clipped to the picture.
        patch: the picture inside the box, ``(channel, height, width)`` in [0, 1]; of a clip the slice that is shown.
        projection: what the unit sends back to those pixels.
        silent: whether that is nothing anywhere in the box.
        slice: number of the slice in the clip; None for pictures.
    """

    unit: int
    position: tuple[int, ...]
    activation: float
    box: Box
    patch: Float[Tensor, "channel height width"]
    projection: Float[Tensor, "input_channel height width"]
    silent: bool = False
    slice: int | None = None


@dataclass(frozen=True, eq=False)
class LayerView:
    """The strongest units of a layer in one picture.

    Args:
        layer: name of the layer.
        size: grid of its feature maps, ``(height, width)``.
        count: how many units it has.
        units: the strongest ones, strongest first.
        coverage: what the rule met between the layer and the pixels.
    """

    layer: str
    size: tuple[int, ...]
    count: int
    units: tuple[UnitView, ...]
    coverage: Coverage


@dataclass(frozen=True, eq=False)
class PictureView:
    """What a network makes of one picture.

    Args:
        name: the picture's name.
        picture: the picture as the network sees it, ``(channel, height, width)`` in [0, 1]; of a clip all its slices.
        layers: the layers looked into, in the order given.
        predictions: what the network makes of it as a whole; empty where nothing is known of its outputs.
        notes: what was done when the picture was read.
    """

    name: str
    picture: Float[Tensor, channel * size]
    layers: tuple[LayerView, ...]
    predictions: Predictions = NO_PREDICTIONS
    notes: tuple[str, ...] = ()


def look(
    model: nn.Module,
    image: Float[Tensor, "1 input_channel *size"],
    picture: Float[Tensor, channel * size],
    layers: Sequence[str],
    rule: str,
    units: int,
    field_box: FieldBox,
    shown_slice: int | None = None,
) -> tuple[LayerView, ...]:
    """The strongest units of some layers in one image; one forward pass, one way back for each unit.

    Args:
        model: any module that takes the image as its one argument.
        image: as the model wants it.
        picture: the same picture to show, in [0, 1].
        layers: names of layers that return feature maps.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`.
        units: how many units of each layer.
        field_box: the pixels that a layer's unit at a position sees, one ``(start, stop)`` per axis.
        shown_slice: of clips, the slice to show; None: that where a unit's projection is strongest.

    Raises ModelError as run_forward does, and for layers that return no feature maps.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    >>> box = lambda layer, position: tuple((axis, axis + 3) for axis in position)
    >>> (view,) = look(model, torch.rand(1, 3, 8, 8), torch.rand(3, 8, 8), ["1"], "guided", units=2, field_box=box)
    >>> len(view.units), view.units[0].patch.shape, view.units[0].projection.shape
    (2, torch.Size([3, 3, 3]), torch.Size([3, 3, 3]))
    """
    passage = run_forward(model, image, layers, rule)
    return tuple(_look_into(passage, picture, layer, units, field_box, shown_slice) for layer in layers)


def _look_into(
    passage: Passage, picture: Tensor, layer: str, units: int, field_box: FieldBox, shown_slice: int | None
) -> LayerView:
    check_feature_maps(layer, passage.values[layer].shape, picture.ndim - 1)
    value = passage.values[layer][0].detach()
    views = []
    for unit, position, activation in strongest_units(value, units):
        box = field_box(layer, position)
        window = (slice(None), *(slice(start, stop) for start, stop in box))
        sent = passage.back_from_units(layer, torch.tensor([unit]), [position])[0][window]
        index = choose_slice(sent, box[0][0], shown_slice)
        inside = None if index is None else index - box[0][0]
        patch, projection = cut_slice(picture[window], inside), cut_slice(sent, inside).clone()
        silent = not bool(sent.count_nonzero())
        views.append(UnitView(unit, position, activation, box, patch, projection, silent, index))
    return LayerView(layer, tuple(value.shape[1:]), len(value), tuple(views), passage.coverage(layer))


def view_picture(plan: Plan, pictures: Pictures, number: int) -> PictureView | Skipped:
    """What the network of a plan makes of one picture."""
    model = plan.model.module
    shown = show_picture(pictures, number, plan.model.preprocess, plan.bands, plan.max_pixels)
    if isinstance(shown, Skipped):
        return shown
    prepared = like_weights(model, shown.image[None])
    return PictureView(
        name=shown.name,
        picture=shown.picture,
        layers=look(
            model, prepared, shown.picture, plan.layers, plan.rule, plan.strongest, plan.fields.box, plan.slice
        ),
        predictions=predict(model, prepared, plan.model.classes, asked=plan.output, graph=plan.graph),
        notes=shown.notes,
    )
