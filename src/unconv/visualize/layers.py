"""Layers and units to look into: those that return feature maps, and the strongest of their units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.network.kept_traces import remember_trace
from unconv.network.run.forward import (
    check_hooks,
    check_images,
    check_open,
    find_layer,
    not_called,
)
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace
from unconv.visualize.reverse.rectifiers.marks import MarkRectifiers
from unconv.visualize.watched_layers import FeatureMaps, LayerOutput, Watcher


def list_feature_maps(model: nn.Module, image: Tensor) -> tuple[FeatureMaps, ...]:
    """Every layer that returns feature maps, in the order in which they come to be.

    Modules that return the same tensor count once, under the shortest name. Left out are modules that change the grid
    inside (a stretch of the network, not a layer) and those called several times (the name does not say which call).

    Args:
        model: any module that takes the image as its one argument.
        image: ``(1, channel, *size)``, as the model wants it.

    Raises ModelError when the model fails on the image, and for models in TorchScript.

    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> [(maps.layer, maps.size, maps.rectified) for maps in list_feature_maps(model, torch.rand(1, 1, 8, 8))]
    [('0', (6, 6), False), ('1', (6, 6), True)]
    """
    return view_network(model, image).feature_maps


@dataclass(frozen=True, eq=False)
class NetworkView:
    """What one forward pass tells of a network.

    Attributes:
        feature_maps: every layer that returns some, as :func:`list_feature_maps` tells.
        outputs: by layer, what those asked for return; of every layer with feature maps where none was named.
        graph: the traced network; None where it cannot be traced.
        refusal: why not.
    """

    feature_maps: tuple[FeatureMaps, ...]
    outputs: Mapping[str, LayerOutput]
    graph: Graph | None
    refusal: str = ""


def view_network(model: nn.Module, image: Tensor, layers: Sequence[str] | None = None) -> NetworkView:
    """Look around in a network by one forward pass, on shapes alone: its graph, its feature maps, where switches are.

    A network whose path depends on values cannot be traced so; then a second pass, with numbers, tells the rest. That
    one ends behind the last of the layers named.

    Args:
        model: any module that takes the image as its one argument.
        image: ``(1, channel, *size)``, as the model wants it.
        layers: those to look into; None where it is still to be chosen.

    Raises ModelError as :func:`~unconv.visualize.reverse.passage.run_forward` does.

    >>> view = view_network(nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2)), torch.zeros(1, 1, 8, 8))
    >>> [maps.layer for maps in view.feature_maps], view.outputs["1"].shape, view.outputs["1"].switches
    (['0', '1'], (4, 3, 3), 1)
    >>> view.graph["1"].receptive_field.size
    (4, 4)
    """
    check_images(image)
    check_open(model)
    for layer in layers or ():
        check_hooks(layer, find_layer(model, layer))
    graph, refusal = None, ""
    watcher = Watcher(image.shape, layers)
    try:
        with watcher.watching(model), MarkRectifiers():
            graph = trace(model, tuple(image.shape[1:]), grad=True)
        remember_trace(model, tuple(image.shape[1:]), graph)
    except UnconvError as error:
        refusal = str(error)
        graph = _traced_until(model, image, layers) if layers else None
        watcher = Watcher(image.shape, layers, stops=True)
        watcher.run(model, image)
    for layer in layers or ():
        if layer not in watcher.seen:
            raise not_called(model, layer)
    return NetworkView(watcher.feature_maps(model, graph), watcher.outputs(model, graph), graph, refusal)


def _traced_until(model: nn.Module, image: Tensor, layers: Sequence[str]) -> Graph | None:
    """The network as far as some layers; None where that cannot be traced either."""
    try:
        return trace(model, tuple(image.shape[1:]), layers=layers)
    except UnconvError:
        return None


def choose_layers(maps: Sequence[FeatureMaps], count: int = 5) -> tuple[str, ...]:
    """Some layers, spread over the depth: the last rectified one of each resolution, then those far from the chosen.

    Where the rectifier is clipped, the layer before it; where no layer is rectified, those of the convolutions.

    >>> sizes = [8, 8, 4, 4, 2, 2]
    >>> maps = [FeatureMaps(f"conv{n}", 16, (size, size), rectified=True) for n, size in enumerate(sizes)]
    >>> choose_layers(maps, count=3)
    ('conv1', 'conv3', 'conv5')
    """
    if count < 1:
        raise UnconvError(f"layers: {count} layers were asked for; ask for 1 or more")
    candidates = [m for m in maps if m.rectified] or [m for m in maps if m.convolved]
    if not candidates:
        raise ModelError("layers: the model has no layer that returns feature maps; name the layers to look into")
    last_of = {m.size: index for index, m in enumerate(candidates)}
    last = sorted(last_of.values())
    chosen = [last[place] for place in spread(len(last), count)]
    while len(chosen) < min(count, len(candidates)):
        rest = [index for index in range(len(candidates)) if index not in chosen]
        chosen.append(max(rest, key=lambda index: min(abs(index - other) for other in chosen)))
    return tuple(candidates[index].unclipped or candidates[index].layer for index in sorted(chosen))


def spread(length: int, count: int) -> list[int]:
    """Some of so many places, evenly spread, the last one always.

    >>> spread(9, 5), spread(2, 5), spread(9, 1)
    ([0, 2, 4, 6, 8], [0, 1], [8])
    """
    if length <= count:
        return list(range(length))
    if count == 1:
        return [length - 1]
    return [round(step * (length - 1) / (count - 1)) for step in range(count)]


def like_weights(model: nn.Module, images: Tensor) -> Tensor:
    """Images on the device and in the precision of a model's weights.

    >>> like_weights(nn.Conv2d(3, 4, 3).double(), torch.rand(1, 3, 8, 8)).dtype
    torch.float64
    """
    weight = next((p for p in model.parameters() if p.is_floating_point()), None)
    return images if weight is None else images.to(weight)


def check_feature_maps(layer: str, shape: Sequence[int], axes: int = 2) -> None:
    """Refuse what is not ``(batch, unit, height, width)``: nothing in it has a place in the picture.

    Args:
        layer: name of the layer.
        shape: what it returns.
        axes: of what the network is given: 3 for clips and volumes.

    >>> check_feature_maps("features.3", (1, 64, 56, 56)), check_feature_maps("conv1", (1, 8, 16, 28, 28), axes=3)
    (None, None)
    """
    if len(shape) != axes + 2:
        expected = "batch, unit, depth, height, width" if axes == 3 else "batch, unit, height, width"
        raise ModelError(
            f"layer {layer!r}: returns shape {tuple(shape)}, not feature maps ({expected}); "
            "choose a layer before the classifier"
        )


def strongest_units(value: Float[Tensor, unit * position], count: int) -> list[tuple[int, tuple[int, ...], float]]:
    """The units with the highest peaks: index, place of the peak and its value, strongest first.

    >>> strongest_units(torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]], [[2.0, 2.0]]]), count=2)
    [(1, (0, 1), 3.0), (2, (0, 0), 2.0)]
    """
    flat = value.reshape(len(value), -1)
    values, places = flat.max(dim=1)
    order = torch.argsort(values, descending=True, stable=True)[:count]
    size = value.shape[1:]
    return [
        (int(unit), tuple(int(axis) for axis in torch.unravel_index(places[unit], size)), float(values[unit]))
        for unit in order
    ]
