"""Layers and units to look into: those that return feature maps, and the strongest of their units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.network.run.forward import (
    Arrived,
    Hook,
    check_hooks,
    check_images,
    check_open,
    check_shape,
    check_tensor,
    check_way_back,
    find_layer,
    hooked,
    not_called,
    run_model,
    takes_hooks,
)
from unconv.network.run.model_state import at_rest
from unconv.network.run.outputs import main_output
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace
from unconv.visualize.reverse.autograd_nodes import is_switch, nodes_from
from unconv.visualize.reverse.coverage import clipped_from, ends_convolved, ends_rectified
from unconv.visualize.reverse.passage import follow_rule
from unconv.visualize.reverse.rectifiers.marks import MarkRectifiers

# Borders and rounding make the strides of two axes differ a little; channels in the place of an axis, a lot.
MOST_UNEVEN = 1.5


@dataclass(frozen=True)
class FeatureMaps:
    """A layer that returns feature maps.

    Args:
        layer: its name.
        units: how many maps it returns.
        size: their grid.
        rectified: whether they come from a rectifier.
        convolved: whether they come straight from a convolution.
        unclipped: the layer that returned them before a rectifier cut them off at its top (ReLU6), None where no
            rectifier does, or where no layer returns that. Clipped, the strongest units are all alike, and nothing
            comes back from them: f′ = 0.

    >>> FeatureMaps("features.3", units=64, size=(224, 224), rectified=True).size
    (224, 224)
    """

    layer: str
    units: int
    size: tuple[int, ...]
    rectified: bool
    convolved: bool = False
    unclipped: str | None = None


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
    check_images(image)
    check_open(model)
    watcher = _Watcher(image.shape)
    watcher.run(model, image)
    return watcher.feature_maps


@dataclass(frozen=True, eq=False)
class LayerOutput:
    """What a layer's first call returns, without its numbers.

    Attributes:
        shape: without the batch.
        node: what it was computed by, in autograd's graph.
    """

    shape: tuple[int, ...]
    node: Any

    @property
    def switches(self) -> int:
        """Max-poolings between the layer and the pixels."""
        return sum(map(is_switch, nodes_from(self.node)))


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
    watcher = _Watcher(image.shape, layers)
    try:
        with watcher.watching(model), MarkRectifiers():
            graph = trace(model, tuple(image.shape[1:]), grad=True)
    except UnconvError as error:
        refusal = str(error)
        graph = _traced_until(model, image, layers) if layers else None
        watcher = _Watcher(image.shape, layers, stops=True)
        watcher.run(model, image)
    for layer in layers or ():
        if layer not in watcher.outputs:
            raise not_called(model, layer)
    return NetworkView(watcher.feature_maps, watcher.outputs, graph, refusal)


def _traced_until(model: nn.Module, image: Tensor, layers: Sequence[str]) -> Graph | None:
    """The network as far as some layers; None where that cannot be traced either."""
    try:
        return trace(model, tuple(image.shape[1:]), layers=layers)
    except UnconvError:
        return None


class _Watcher:
    """Hooks on the layers of a network during one forward pass, and what they have seen.

    Args:
        image: shape of what goes in.
        layers: those to look into; None for all.
        stops: whether the pass ends behind the last of them.
    """

    def __init__(self, image: Sequence[int], layers: Sequence[str] | None = (), stops: bool = False) -> None:
        self._image, self._layers, self._stops = image, layers, stops
        self._calls: Counter[str] = Counter()
        self._found: dict[Any, FeatureMaps] = {}
        self.outputs: dict[str, LayerOutput] = {}

    @property
    def feature_maps(self) -> tuple[FeatureMaps, ...]:
        """Layers that return feature maps, in the order in which these came to be."""
        return tuple(maps for maps in self._found.values() if self._calls[maps.layer] == 1)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Look at what every layer returns; the model is as before afterwards."""
        layers = {layer: find_layer(model, layer) for layer in self._layers or ()}
        modules = dict(model.named_modules()) | layers
        # What cannot be watched still runs; the layers around it can be looked into.
        watched = [name for name, module in modules.items() if name and takes_hooks(module)]
        with at_rest(model), hooked(model, [(name, self._hook(name)) for name in watched]):
            yield

    def run(self, model: nn.Module, image: Tensor) -> None:
        """Look at what every layer returns for an image, with its numbers."""
        with self.watching(model), follow_rule(model, "gradient"):
            # No leaf, so that a model may change its input in place.
            run_model(model, image.detach().clone().requires_grad_().clone())

    def _hook(self, name: str) -> Hook:
        return lambda _module, _inputs, output: self._look(name, output)

    def _look(self, name: str, output: Any) -> None:
        self._calls[name] += 1
        if self._layers is not None and name in self._layers and name not in self.outputs:
            output = check_tensor(name, output)
            check_shape(name, output, self._image[0])
            check_way_back(name, output)
            self.outputs[name] = LayerOutput(tuple(output.shape[1:]), output.grad_fn)
        output = main_output(output).tensor
        if output is not None and output.requires_grad and _is_grid(output.shape, self._image):
            self._note_maps(name, output)
        if self._stops and self._layers is not None and len(self.outputs) == len(self._layers):
            raise Arrived

    def _note_maps(self, name: str, output: Tensor) -> None:
        inside = [maps for maps in self._found.values() if maps.layer.startswith(f"{name}.")]
        if any(maps.size != output.shape[2:] for maps in inside):
            return
        before = self._found.get(clipped_from(output))
        maps = FeatureMaps(
            layer=name,
            units=output.shape[1],
            size=tuple(output.shape[2:]),
            rectified=ends_rectified(output),
            convolved=ends_convolved(output),
            unclipped=before.layer if before else None,
        )
        known = self._found.get(output.grad_fn)
        if known is None or name.count(".") < known.layer.count(".") or self._calls[known.layer] > 1:
            self._found[output.grad_fn] = maps
        if self._layers is None and name not in self.outputs:
            self.outputs[name] = LayerOutput(tuple(output.shape[1:]), output.grad_fn)


def _is_grid(shape: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a value's last axes are those of the image, made coarser alike: not (batch, height, width, channel)."""
    if len(shape) != len(image) or shape[0] != image[0] or max(shape[2:]) < 2:
        return False
    strides = [pixels / cells for pixels, cells in zip(image[2:], shape[2:], strict=True) if cells > 1]
    return max(strides) < MOST_UNEVEN * min(strides)


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


def check_feature_maps(layer: str, shape: Sequence[int]) -> None:
    """Refuse what is not ``(batch, unit, height, width)``: nothing in it has a place in the picture.

    >>> check_feature_maps("features.3", (1, 64, 56, 56))
    """
    if len(shape) != 4:
        raise ModelError(
            f"layer {layer!r}: returns shape {tuple(shape)}, not feature maps (batch, unit, height, width); "
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
