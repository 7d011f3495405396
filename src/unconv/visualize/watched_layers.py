"""Layers watched during one forward pass: what each returned, which of it are feature maps, and of what size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.network.feature_maps import is_grid, is_plain, roles_in
from unconv.network.run.forward import (
    Arrived,
    Hook,
    check_tensor,
    check_way_back,
    find_layer,
    hooked,
    run_model,
    takes_hooks,
)
from unconv.network.run.model_state import at_rest
from unconv.network.run.outputs import main_output
from unconv.network.trace.graph import Graph
from unconv.visualize.reverse.autograd_nodes import is_switch, nodes_from
from unconv.visualize.reverse.coverage import clipped_from, ends_convolved, ends_rectified
from unconv.visualize.reverse.passage import follow_rule


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


@dataclass(frozen=True, eq=False)
class LayerOutput:
    r"""What a layer's first call returns, without its numbers.

    Attributes:
        shape: (units, \*grid), whatever the order of its axes.
        node: what it was computed by, in autograd's graph.
        axes: what is not as usual with its axes, in a line: where units are, which tokens are left out.
    """

    shape: tuple[int, ...]
    node: Any
    axes: str = ""

    @property
    def switches(self) -> int:
        """Max-poolings between the layer and the pixels."""
        return sum(map(is_switch, nodes_from(self.node)))


@dataclass(frozen=True, eq=False)
class _Seen:
    """A tensor that a layer has returned when it was called first."""

    shape: tuple[int, ...]
    node: Any
    rectified: bool
    convolved: bool
    clipped: Any


class Watcher:
    """Hooks on the layers of a network during one forward pass, and what they have seen.

    Args:
        image: shape of what goes in.
        layers: those to look into; None for all.
        stops: whether the pass ends behind the last of them.
    """

    def __init__(self, image: Sequence[int], layers: Sequence[str] | None = (), stops: bool = False) -> None:
        self._image, self._layers, self._stops = tuple(image), layers, stops
        self._calls: Counter[str] = Counter()
        self.seen: dict[str, _Seen] = {}

    def feature_maps(self, model: nn.Module, graph: Graph | None) -> tuple[FeatureMaps, ...]:
        """Layers that return feature maps, in the order in which these came to be; ``graph`` tells the axes of each."""
        found: dict[Any, FeatureMaps] = {}
        for name, seen in self.seen.items():
            read = self._read(model, graph, name, seen)
            inside = [maps for maps in found.values() if maps.layer.startswith(f"{name}.")]
            if isinstance(read, str) or any(maps.size != read.shape[1:] for maps in inside):
                continue
            before = found.get(seen.clipped)
            maps = FeatureMaps(
                layer=name,
                units=read.shape[0],
                size=read.shape[1:],
                rectified=seen.rectified,
                convolved=seen.convolved,
                unclipped=before.layer if before else None,
            )
            known = found.get(seen.node)
            if known is None or name.count(".") < known.layer.count(".") or self._calls[known.layer] > 1:
                found[seen.node] = maps
        return tuple(maps for maps in found.values() if self._calls[maps.layer] == 1)

    def outputs(self, model: nn.Module, graph: Graph | None) -> dict[str, LayerOutput]:
        """What the layers asked for return; of every layer with feature maps where none was."""
        outputs = {}
        for name, seen in self.seen.items():
            if self._layers is None or name in self._layers:
                read = self._read(model, graph, name, seen)
                if isinstance(read, str) and self._layers is not None and read:
                    raise ModelError(f"{read}; choose another layer")
                if not isinstance(read, str):
                    outputs[name] = read
                elif self._layers is not None:
                    outputs[name] = LayerOutput(seen.shape[1:], seen.node)
        return outputs

    def _read(self, model: nn.Module, graph: Graph | None, name: str, seen: _Seen) -> LayerOutput | str:
        """A value as feature maps; or why it is none."""
        if len(seen.shape) == 2 and seen.shape[0] == self._image[0]:
            return ""
        if is_plain(model.get_submodule(name), seen.shape, self._image):
            return LayerOutput(seen.shape[1:], seen.node) if is_grid(seen.shape, self._image) else ""
        roles = roles_in(graph, name, seen.shape, self._image)
        if isinstance(roles, str):
            return roles
        if max(roles.grid, default=0) <= 1:
            return ""
        return LayerOutput((roles.units, *roles.grid), seen.node, roles.sentence)

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
        asked = self._layers is not None and name in self._layers
        if asked and name not in self.seen:
            check_way_back(name, check_tensor(name, output))
        output = main_output(output).tensor
        if output is not None and output.requires_grad and output.ndim > 1 and name not in self.seen:
            self.seen[name] = _Seen(
                tuple(output.shape),
                output.grad_fn,
                ends_rectified(output),
                ends_convolved(output),
                clipped_from(output),
            )
        if self._stops and self._layers is not None and all(layer in self.seen for layer in self._layers):
            raise Arrived
