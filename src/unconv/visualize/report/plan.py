"""What a report will look at, checked and chosen before any picture is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel, load_model
from unconv.models.load.weights import check_finite
from unconv.visualize.layers import (
    FeatureMaps,
    check_feature_maps,
    choose_layers,
    like_weights,
    spread,
    view_network,
)
from unconv.visualize.report.fields import Fields, fields_of
from unconv.visualize.reverse.rules import AUTO, choose_rule, find_rule
from unconv.visualize.scan.scan import convolutions

EVERY = "all"
FEW = 5


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be done to every picture.

    Args:
        model: the network with its picture transform.
        layers: names of the layers to look into.
        rule: name of the reverse rule.
        reason: why this rule.
        fields: what the units of each layer see.
        shapes: of the layers' values, without the batch.
    """

    model: LoadedModel
    layers: tuple[str, ...]
    rule: str
    reason: str
    fields: Fields
    shapes: Mapping[str, tuple[int, ...]]


def make_plan(
    model: LoadedModel, layers: Sequence[str] | str | None, rule: str, among: Sequence[str] | None = None
) -> Plan:
    """Check what was asked for, and choose what was left open; the network runs once, on shapes alone.

    Args:
        model: the network.
        layers: their names, ``"all"`` for every convolution, None for a choice of five.
        rule: its name, or ``auto``.
        among: layers to choose from, where not all will do.

    >>> plan = make_plan(load_model("efficientnet-lite0"), ["features.3"], "auto")
    >>> plan.rule, plan.reason
    ('guided', 'chosen because no max-pooling lies on the way, and so no switches for a deconvnet image')
    """
    if rule != AUTO:
        find_rule(rule, AUTO)
    check_finite(model.module, model.name)
    blank = like_weights(model.module, torch.zeros(1, *model.input_size))
    named = _named(layers)
    view = view_network(model.module, blank, named)
    chosen = named or tuple(_choose(model.module, view.feature_maps, layers == EVERY, among))
    outputs = {layer: view.outputs[layer] for layer in chosen}
    for layer, output in outputs.items():
        check_feature_maps(layer, (1, *output.shape))
    reason = "as asked for"
    if rule == AUTO:
        rule, reason = choose_rule(max(output.switches for output in outputs.values()))
    shapes = {layer: output.shape for layer, output in outputs.items()}
    return Plan(model, chosen, rule, reason, fields_of(view, model.input_size, chosen), shapes)


def _named(layers: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """The layers that were named, each once; None where they are to be chosen."""
    if layers is None or layers == EVERY:
        return None
    if not layers:
        raise UnconvError("layers: an empty list was given; name at least one, or none at all for a choice")
    return (layers,) if isinstance(layers, str) else tuple(dict.fromkeys(layers))


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
    return every if all_of_them else [every[place] for place in spread(len(every), FEW)]


def as_loaded(model: str | nn.Module | LoadedModel, preprocess: Preprocess | None) -> LoadedModel:
    """A MODEL string, a module or a loaded model as a loaded model.

    Raises :class:`~unconv.errors.UnconvError` for a transform beside a model that brings its own, ModelError as
    load_model does.

    >>> as_loaded(nn.Conv2d(3, 8, 3), Preprocess(size=(32, 32), resize=(32, 32))).input_size
    (3, 32, 32)
    """
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
