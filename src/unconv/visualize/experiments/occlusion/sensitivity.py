"""Occlusion sensitivity: a grey square covers a part of the image after another (Zeiler & Fergus 2013, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unconv._renamed import warn_renamed
from unconv.arguments import tell_wrong_arguments
from unconv.choices import OutputReading
from unconv.describe import by_size
from unconv.errors import UnconvError
from unconv.models.load.open_model import AnyModel
from unconv.network.kept_traces import keep_trace
from unconv.network.run.channels_last import channels_last
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayer, name_layer
from unconv.operators.geometry.receptive import Interval
from unconv.visualize.experiments.labelled_network import as_batch, check_count, last_feature_maps, open_network
from unconv.visualize.experiments.occlusion.maps import OcclusionMaps as OcclusionMaps
from unconv.visualize.experiments.occlusion.occluded import Occluder, Passing
from unconv.visualize.experiments.occlusion.stops import Route, plan_route, whole_images
from unconv.visualize.experiments.partial_forward import forward_values, quiet
from unconv.visualize.layers import check_feature_maps
from unconv.visualize.outputs.endings import ending_of
from unconv.visualize.outputs.reading import Reading, read_outputs

BATCH = 16


@tell_wrong_arguments
def occlusion(
    model: AnyModel,
    image: Any,
    target: int | str | None = None,
    layer: AnyLayer | None = None,
    *,
    output: OutputReading = "auto",
    square: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    fill: float | int | Sequence[float | int] = 0.0,
    batch_size: int = BATCH,
    reuse: bool = True,
    inputs: Inputs = None,
    kwargs: Keywords = None,
    size: int | tuple[int, int] | None = None,
) -> OcclusionMaps:
    """Slide a grey square over an image and record what the network still makes of it.

    Zeiler & Fergus 2013, section 4.2. All maps come from one pass for each place of the square. Layers
    that the square can have changed only in part are computed only there, and pasted into what they are for the clean
    image: the result is the same up to rounding, since units outside the square's reach see the same pixels as before.

    Args:
        model: a MODEL string, a loaded model or a module that takes images as its one argument; a classifier, or
            whatever returns a number or more for each image, or maps of them.
        image: (channel, height, width) or a batch of one, as the model wants it; or a picture (a file, Pillow's, an
            array), which goes through the transform of a loaded model.
        target: index of the class, or its name where the network's classes have names; the most probable one (the
            largest output) unless given.
        layer: returns the feature maps to watch, its name or the module itself; the last that have a grid unless given.
        output: how the network's outputs are read: ``softmax``, one class of several; ``sigmoid``, each a label of its
            own; ``score``, numbers; ``class``, probabilities by one of the first two; ``auto`` tells by what the
            network ends with, how many outputs it has and whether they have names, see
            :func:`~unconv.visualize.outputs.reading.read_outputs`. ``OcclusionMaps.output`` says which.
        square: its side in pixels, or (height, width); a quarter of the image's shorter side unless given.
        stride: pixels from one place to the next, or (down, across); a quarter of the square unless given. The last
            square may stick out of the image, and is clipped.
        fill: the square's value, or one for each channel, in what the model is given: 0 is the mean colour where images
            are normalised.
        batch_size: occluded images computed together.
        reuse: compute layers only where the square can have changed them; False to compute all of every image.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.
        size: what ``square`` was called before.

    Raises:
        UnconvError: a square larger than the image, numbers below 1, a class that is not there, an unknown reading.
        ModelError: a model that returns no numbers for an image, or fails; unknown layers, and those without feature
            maps.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 5))
    >>> maps = occlusion(model, torch.rand(3, 30, 30), square=10, stride=5)
    >>> maps.probability.shape, maps.layer, maps.rows[-1]
    (torch.Size([5, 5]), '2', (20, 30))
    """
    network = open_network(model, "occlusion", inputs, kwargs)
    module = network.module
    batch = as_batch(network, image, "occlusion")
    if len(batch) != 1:
        raise UnconvError(f"occlusion: {len(batch)} images; give one at a time")
    height, width = batch.shape[2:]
    if size is not None:
        warn_renamed("occlusion: size is called square now")
        square = size
    sides, steps = _sides_and_steps(square, stride, (height, width), batch_size)
    colour = _colour(fill, batch)
    watched = name_layer(module, layer) if layer is not None else last_feature_maps(module, batch)
    places = (_places(height, sides[0], steps[0]), _places(width, sides[1], steps[1]))
    with channels_last(module, None):
        route = _route(module, batch, places, watched, reuse)
        clean = _clean(module, batch, watched, route)
        ending = ending_of(keep_trace(module, tuple(batch.shape[1:])).graph, clean.output)
        reading = read_outputs(
            clean.output, 1, "occlusion", output, classes=network.classes, ending=ending, image=batch.shape[1:]
        )
        values = reading.values(clean.output, 1, "occlusion")
        followed = int(values[0].argmax()) if target is None else reading.find(target, "occlusion")
        passing = Passing(module, Occluder(batch, colour, places), route, (batch, *clean.at_stops), watched, clean.unit)
        covered = _occluded(passing, reading, batch_size)
    grid = (len(places[0]), len(places[1]))
    label, clean_label = reading.best(covered.values).reshape(grid), int(reading.best(values))
    # Where outputs are numbers there is no probability.
    certain = 1.0 if reading.probable else float("nan")
    return OcclusionMaps(
        image=batch[0].detach().clone(),
        target=followed,
        target_name=reading.name(followed),
        layer=watched,
        unit=clean.unit,
        square=sides,
        stride=steps,
        rows=places[0],
        columns=places[1],
        probability=certain * covered.values[:, followed].reshape(grid),
        score=covered.scores[:, followed].reshape(grid),
        activation=covered.activation.reshape(grid),
        label=label,
        clean_probability=certain * float(values[0, followed]),
        clean_score=float(reading.scores(clean.output, 1, "occlusion")[0, followed]),
        clean_activation=clean.activation,
        clean_label=clean_label,
        names={index: reading.best_name(index) for index in {clean_label, *label.flatten().tolist()}},
        computed=route.note,
        output=reading.note,
    )


@dataclass(frozen=True, eq=False)
class _Clean:
    """The image without occluder: output, the strongest feature map of the layer and its total, values at the stops."""

    output: Any
    unit: int
    activation: float
    at_stops: tuple[Tensor, ...]


def _clean(module: nn.Module, batch: Tensor, layer: str, route: Route) -> _Clean:
    stops = [cut.layer for cut in route.cuts if cut.layer is not None]
    values, output = forward_values(module, batch, [layer, *stops], output=True)
    check_feature_maps(layer, values[layer].shape)
    totals = values[layer][0].sum((1, 2))
    unit = int(totals.argmax())
    return _Clean(
        output=output,
        unit=unit,
        activation=float(totals[unit]),
        at_stops=tuple(values[stop].contiguous(memory_format=torch.channels_last) for stop in stops),
    )


def _route(
    module: nn.Module, batch: Tensor, places: tuple[tuple[Interval, ...], ...], layer: str, reuse: bool
) -> Route:
    if not reuse:
        return whole_images(places, "as asked for")
    return plan_route(module, tuple(batch.shape[1:]), places, layer)


class _Covered(NamedTuple):
    """All occluded images: values as they are read and scores (place, output), activations (place)."""

    values: Tensor
    scores: Tensor
    activation: Tensor


def _occluded(passing: Passing, reading: Reading, batch_size: int) -> _Covered:
    parts = []
    with quiet(passing.model):
        for output, activation in passing.batches(batch_size):
            count = len(activation)
            values = reading.values(output, count, "occlusion")
            parts.append((values, reading.scores(output, count, "occlusion"), activation))
    return _Covered(*map(torch.cat, zip(*parts, strict=True)))


def _pair(sizes: int | tuple[int, int]) -> tuple[int, int]:
    return (sizes, sizes) if isinstance(sizes, int) else (sizes[0], sizes[1])


def _sides_and_steps(
    square: int | tuple[int, int] | None, stride: int | tuple[int, int] | None, image: tuple[int, int], batch_size: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of the occluder: quarters of the image's shorter side and of its own where they are not given; checked."""
    sides = _pair(max(1, min(image) // 4) if square is None else square)
    steps = (max(1, sides[0] // 4), max(1, sides[1] // 4)) if stride is None else _pair(stride)
    check_count("occlusion", square=min(sides), stride=min(steps), batch_size=batch_size)
    if sides[0] > image[0] or sides[1] > image[1]:
        raise UnconvError(f"occlusion: square {by_size(sides)} is larger than the image {by_size(image)}")
    return sides, steps


def _places(total: int, size: int, stride: int) -> tuple[Interval, ...]:
    """Where the occluder is along one axis: the first place that reaches the end is the last one."""
    count = ceil((total - size) / stride) + 1
    return tuple((start, min(start + size, total)) for start in range(0, min(count * stride, total), stride))


def _colour(fill: float | int | Sequence[float | int], image: Tensor) -> Tensor:
    values = image.new_tensor([fill] if isinstance(fill, int | float) else list(fill))
    if len(values) not in (1, image.shape[1]) or not bool(values.isfinite().all()):
        raise UnconvError(
            f"occlusion: fill {values.tolist()} for {image.shape[1]} channels; give one finite number, or one for each"
        )
    return values.expand(image.shape[1])[:, None, None]
