"""Sub-pixel layers: convolutions and linear layers whose channels become places."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from unconv.network.audit.finding import Subject
from unconv.network.audit.pattern_score import layer_weight
from unconv.network.trace import layout as lay
from unconv.network.trace.graph import Graph, Layer
from unconv.network.trace.links import Resize
from unconv.network.trace.values import Value, is_axis

Shape = tuple[int, ...]
# Layers that move numbers, and do nothing to them.
_MOVES = ("pixel_shuffle", "flatten", "stack", "cat")


@dataclass(frozen=True, eq=False)
class Shuffle:
    """A layer whose channels become the phases of a shuffle.

    Attributes:
        layer, module: that makes them.
        between: the operators of what lies between it and the shuffle.
        shapes: of tensors in which they are places.
        direct: whether torch's own pixel shuffle takes what the layer returns.
    """

    layer: Layer
    module: nn.Module
    between: tuple[str, ...]
    shapes: frozenset[Shape]
    direct: bool


def find_shuffles(subject: Subject) -> list[Shuffle]:
    """The layers with weights whose channels become places, by pixel shuffles or by views and permutes.

    >>> from unconv.network.trace.trace import trace
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.PixelShuffle(2))
    >>> [(one.layer.name, one.between) for one in find_shuffles(Subject(model, trace(model, (3, 8, 8))))]
    [('0', ('relu',))]
    """
    graph = subject.graph
    makers = {index: layer for layer in graph for index in graph.outputs[layer.name]}
    found: dict[str, Shuffle] = {}
    for value in graph.values:
        maker = makers.get(value.index)
        if not _is_shuffled(value) or (maker is not None and maker.operator != "pixel_shuffle"):
            continue
        source = _source(graph, makers, value.index)
        module = None if source is None else subject.module(source[0])
        if source is None or module is None or layer_weight(module) is None:
            continue
        layer, between = source
        before = found.get(layer.name)
        own = all(parent in graph.outputs[layer.name] for parent, _ in value.parents)
        direct = maker is not None and own and before is None
        shapes = frozenset[Shape]() if before is None else before.shapes
        found[layer.name] = Shuffle(layer, module, between, shapes | {value.shape[1:]}, direct)
    return list(found.values())


def _is_shuffled(value: Value) -> bool:
    """Whether a tensor has, along each axis, places that were something else in front of it."""
    if any(isinstance(link, Resize) and link.told for _, links in value.parents for link in links):
        return True
    along = [dim for dim in value.layout if lay.axes_in(dim)]
    whole = [is_axis(value, dim[0]) and not lay.axes_in(dim[1:]) for dim in along]
    counts = len(along) == len(value.extents) == len(value.layout) - 2
    return counts and all(whole) and any(lay.dim_size(dim[1:]) > 1 for dim in along)


def _source(graph: Graph, makers: dict[int, Layer], index: int) -> tuple[Layer, tuple[str, ...]] | None:
    """The one convolution or linear layer that a tensor comes from, and the operators in between."""
    waiting, seen, sources = [index], set[int](), set[str]()
    between: dict[int, str] = {}
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        layer = makers.get(one)
        if layer is not None and layer.operator in ("conv", "linear"):
            sources.add(layer.name)
            continue
        if layer is not None and layer.operator not in _MOVES:
            between[one] = layer.operator
        parents = [parent for parent, _ in graph.values[one].parents]
        if not parents or len(sources) > 1:
            return None
        waiting.extend(parents)
    if len(sources) != 1:
        return None
    layer = graph[sources.pop()]
    # The bias of a linear layer is added by itself.
    own = {one for one, other in makers.items() if other.name == f"{layer.name}.add"}
    return layer, tuple(dict.fromkeys(between[one] for one in sorted(between) if one not in own))
