"""Report plans: what a report will look at, checked and chosen before any picture is read."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from unconv.describe import by_size
from unconv.errors import UnconvError
from unconv.models.load.open_model import AnyModel, OpenedModel, open_model
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.models.load.weights.finite import check_finite
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayers
from unconv.network.trace.graph import Graph
from unconv.visualize.layers import (
    check_feature_maps,
    choose_layers,
    like_weights,
    spread,
    view_network,
)
from unconv.visualize.map_layers import name_map_layers
from unconv.visualize.outputs.reading import READINGS
from unconv.visualize.report.fields import Fields, fields_of
from unconv.visualize.reverse.projections.image_batches import axes_of
from unconv.visualize.reverse.rules import AUTO, choose_rule, find_rule
from unconv.visualize.scan.scan import convolutions
from unconv.visualize.scan.top_activations import TopActivations
from unconv.visualize.watched_layers import FeatureMaps

EVERY = "all"
# Layers that are chosen where none is named: a page of five is read to its end.
CHOSEN = 5
# Units of a layer: over a collection, and in each of single pictures.
SHOWN, STRONGEST = 16, 4
Units = int | str | Sequence[int]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that was asked for and chosen: what will be done to every picture, and to all of them.

    Args:
        model: the network with its picture transform.
        layers: names of the layers to look into.
        rule: name of the reverse rule.
        reason: why this rule.
        fields: what the units of each layer see.
        shapes: of the layers' values, without the batch.
        axes: what is not as usual with the axes of these, by layer: where units are, which tokens are left out.
        units: which of each layer are shown over a collection.
        strongest: how many of each layer are shown in a single picture.
        top: places shown of each unit.
        measured: of how many units of each layer fidelity is measured.
        given: a scan that has been made.
        other: the plan for another network, same layers; None where nothing is compared.
        output: how the network's outputs are read.
        graph: the traced network; None where it cannot be traced.
        bands: the channels of pictures that are shown; none: all of grey and colour, the mean of any other number.
        slice: of clips and volumes, the slice that is shown; None: the middle one, and of each unit the strongest.
        max_pixels: of pictures that are read; None: the limit that holds for all.
    """

    model: LoadedModel
    layers: tuple[str, ...]
    rule: str
    reason: str
    fields: Fields
    shapes: Mapping[str, tuple[int, ...]]
    axes: Mapping[str, str] = field(default_factory=dict)
    units: Units = SHOWN
    strongest: int = STRONGEST
    top: int = 9
    measured: int = 0
    given: TopActivations | None = None
    other: Plan | None = None
    output: str = AUTO
    graph: Graph | None = None
    bands: tuple[int, ...] = ()
    slice: int | None = None
    max_pixels: int | None = None


def make_plan(
    model: LoadedModel,
    layers: AnyLayers | None = None,
    rule: str = AUTO,
    *,
    units: Units | None = None,
    top: int = 9,
    fidelity: int | str = 0,
    given: TopActivations | None = None,
    compare: AnyModel | OpenedModel | None = None,
    output: str = AUTO,
    bands: Sequence[int] | None = None,
    slice: int | None = None,
    max_pixels: int | None = None,
) -> Plan:
    """Check what was asked for, and choose what was left open; each network runs once, on shapes alone.

    Arguments are those of :func:`~unconv.visualize.report.see.see`; a number of ``units`` is how many.

    >>> from unconv.models.load.resolve import load_model
    >>> plan = make_plan(load_model("efficientnet-lite0"), ["features.3"])
    >>> plan.rule, plan.reason
    ('guided', 'chosen because no max-pooling lies on the way, and so no switches for a deconvnet image')
    """
    if top < 1:
        raise UnconvError(f"top: {top} places of each unit were asked for; ask for 1 or more")
    if output not in READINGS:
        raise UnconvError(f"see: output {output!r} is unknown; it is {', '.join(READINGS)}")
    check_units(units)
    measured = count_measured(fidelity)
    shown = read_bands(bands, model.input_size[0])
    check_slice(slice, model.input_size)
    plan = replace(
        _plan_network(model, layers, rule, None if given is None else given.layers),
        units=SHOWN if units is None else units,
        strongest=units if isinstance(units, int) else STRONGEST,
        top=top,
        measured=measured,
        given=given,
        output=output,
        bands=shown,
        slice=slice,
        max_pixels=max_pixels,
    )
    if compare is None:
        return plan
    # A bare module is given the first one's pictures.
    loaded = as_loaded(compare, model.preprocess if isinstance(compare, nn.Module) else None, clip=model.input_size)
    beside = _plan_network(loaded, plan.layers, plan.rule)
    return replace(
        plan,
        other=replace(
            beside, top=top, measured=measured, output=output, bands=shown, slice=slice, max_pixels=max_pixels
        ),
    )


def _plan_network(model: LoadedModel, layers: AnyLayers | None, rule: str, among: Sequence[str] | None = None) -> Plan:
    """What to look at in a network, and by which rule; ``among`` are the layers to choose from, if not all will do."""
    if rule != AUTO:
        find_rule(rule, AUTO)
    check_finite(model.module, model.name)
    blank = like_weights(model.module, torch.zeros(1, *model.input_size))
    named = _named(model.module, layers, blank)
    view = view_network(model.module, blank, named)
    maps = [one for one in view.feature_maps if len(one.size) == len(model.input_size) - 1]
    chosen = named or tuple(_choose(model.module, maps, _is_every(layers), among))
    outputs = {layer: view.outputs[layer] for layer in chosen}
    for layer, output in outputs.items():
        check_feature_maps(layer, (1, *output.shape), len(model.input_size) - 1)
    reason = "as asked for"
    if rule == AUTO:
        rule, reason = choose_rule(max(output.switches for output in outputs.values()))
    shapes = {layer: output.shape for layer, output in outputs.items()}
    fields = fields_of(view, model.input_size, chosen)
    axes = {layer: output.axes for layer, output in outputs.items() if output.axes}
    return Plan(model, chosen, rule, reason, fields, shapes, axes, graph=view.graph)


def _named(module: nn.Module, layers: AnyLayers | None, blank: Tensor) -> tuple[str, ...] | None:
    """The layers that were named, each once; None where they are to be chosen."""
    if layers is None or _is_every(layers):
        return None
    named = name_map_layers(module, layers, blank)
    if not named:
        raise UnconvError("layers: an empty list was given; name at least one, or none at all for a choice")
    return named


def _is_every(layers: AnyLayers | None) -> bool:
    return isinstance(layers, str) and layers == EVERY


def _choose(
    module: nn.Module, maps: Sequence[FeatureMaps], all_of_them: bool, among: Sequence[str] | None
) -> Sequence[str]:
    """Every convolution, or a few layers over the depth; of those given, where some are."""
    known = maps if among is None else [one for one in maps if one.layer in among]
    if not all_of_them and among is None:
        return choose_layers(known)
    every = [one.layer for one in known if among is not None or one.layer in set(convolutions(module))]
    if not every:
        raise UnconvError("layers: none of those looked at returns feature maps; name other layers")
    return every if all_of_them else [every[place] for place in spread(len(every), CHOSEN)]


def read_bands(bands: Sequence[int] | None, channels: int) -> tuple[int, ...]:
    """The channels to show, one or three of them, numbered from 0; none where the choice is left open.

    >>> read_bands([3, 2, 1], 4), read_bands(None, 4)
    ((3, 2, 1), ())
    """
    if bands is None:
        return ()
    chosen = tuple(int(band) for band in bands)
    if len(chosen) not in (1, 3) or not all(0 <= band < channels for band in chosen):
        raise UnconvError(
            f"see: bands {', '.join(map(str, chosen)) or 'none'}; give one or three channels of 0 to {channels - 1}"
        )
    return chosen


def bands_note(plan: Plan) -> tuple[str, ...]:
    """What is shown of pictures that have neither one channel nor three."""
    channels = plan.model.input_size[0]
    if plan.bands:
        return (f"shown are the channels {', '.join(map(str, plan.bands))} of {channels}, numbered from 0",)
    return () if channels in (1, 3) else (f"the mean of the {channels} channels is shown; bands= chooses one or three",)


def check_slice(slice: int | None, size: Sequence[int]) -> None:
    """Refuse a slice that clips of that size, ``(channel, depth, height, width)``, do not have.

    >>> check_slice(7, (3, 16, 112, 112))
    """
    if slice is None:
        return
    if len(size) != 4:
        raise UnconvError(f"see: slice {slice}; the network is given pictures, {by_size(size)}, which have no slices")
    if not 0 <= slice < size[1]:
        raise UnconvError(f"see: slice {slice}; the network is given slices 0 to {size[1] - 1}")


def slice_note(plan: Plan) -> tuple[str, ...]:
    """What is shown of clips and volumes."""
    size = plan.model.input_size
    if len(size) != 4:
        return ()
    if plan.slice is not None:
        which = f"slice {plan.slice} of {size[1]}"
        return (f"shown is {which}, numbered from 0; of a unit that does not see it, the nearest",)
    return (
        f"of {size[1]} slices one is shown: of a clip the middle, of a unit that where its projection is strongest, "
        "said beside it; slice= chooses one",
    )


def as_loaded(
    model: Any,
    transform: Any = None,
    tensor: Sequence[int] | None = None,
    inputs: Inputs = None,
    kwargs: Keywords = None,
    clip: Sequence[int] = (),
) -> LoadedModel:
    """A model however it is held as a loaded model, with the picture transform that was given, or its own.

    For a bare module without either it is ImageNet's, and a note says so. Raises ModelError as open_model does.

    Args:
        model: a MODEL string, a loaded model or a module.
        transform: picture transform in place of the model's own.
        tensor: (channel, *size) of tensors that go in as they are, without a transform: they set the size.
        inputs: what the model takes beside its images.
        kwargs: likewise, by keyword.
        clip: (channel, depth, height, width) of the first clip: what a transform leaves open of the size is as there.

    >>> from unconv.models.load.preprocess import Preprocess
    >>> as_loaded(nn.Conv2d(3, 8, 3), Preprocess(size=(32, 32), resize=(32, 32))).input_size
    (3, 32, 32)
    """
    opened = open_model(model, "see", transform=transform, inputs=inputs, kwargs=kwargs)
    opened = opened.for_pictures() if tensor is None or transform is not None else _for_tensors(opened, tensor)
    assert opened.preprocess is not None
    preprocess = opened.preprocess.fitted(clip)
    return LoadedModel(opened.name, opened.module, preprocess, opened.classes, opened.weights, opened.notes)


def _for_tensors(opened: OpenedModel, shape: Sequence[int]) -> OpenedModel:
    """A network that is given tensors of one shape as they are: its transform is what they were normalised with."""
    axes = axes_of(opened.module) or 2
    if axes == 1 or len(shape) != axes + 1:
        raise UnconvError(
            f"see: tensors of shape {by_size(shape)}; the page shows pictures (channel, height, width), of networks of "
            "three axes clips (channel, depth, height, width), and project and scan take signals too"
        )
    size, known = tuple(int(side) for side in shape[1:]), opened.preprocess
    resize = size if len(size) == 2 else ()
    if known is not None and len(known.mean) == shape[0]:
        return replace(opened, preprocess=Preprocess(size, resize, known.mean, known.std))
    note = "tensors go in as they are; what they were normalised with is not known, and they are shown as they are"
    plain = Preprocess(size, resize, (0.0,) * shape[0], (1.0,) * shape[0])
    return replace(opened, preprocess=plain, notes=(note, *opened.notes))


def check_units(units: Units | None) -> None:
    """Refuse what is no choice of units.

    >>> check_units("all")
    """
    if isinstance(units, str) and units != EVERY:
        raise UnconvError(f"units: {units!r} is no choice; give a number, a list, or all")
    if isinstance(units, int) and units < 1:
        raise UnconvError(f"units: {units} units of each layer were asked for; ask for 1 or more")
    if units is not None and not isinstance(units, int | str) and not len(units):
        raise UnconvError("units: an empty list was given; name at least one, or all")


def count_measured(fidelity: int | str) -> int:
    """Of how many units of a layer fidelity is measured.

    >>> count_measured(3), count_measured("all") > 10**6
    (3, True)
    """
    if fidelity == EVERY:
        return sys.maxsize
    if not isinstance(fidelity, int) or fidelity < 0:
        raise UnconvError(f"fidelity: {fidelity!r} units of each layer; give 0 or more, or all")
    return fidelity
