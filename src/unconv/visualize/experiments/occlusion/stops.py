"""Stops of an occluded forward pass: layers chosen so that an occluder costs no more than what it can have changed.

Between two stops only a piece of the feature maps is computed; behind the last one everything is. The stops are those
with the least estimated work.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.network.run.computed_weights import has_parts
from unconv.network.run.forward import Hook, hooked, takes_hooks
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace
from unconv.operators.geometry.receptive import Interval
from unconv.visualize.experiments.occlusion.projective_field import ProjectiveField
from unconv.visualize.experiments.occlusion.stretch import Stretch, fields_from, stretch_between

# What a number read or written costs, in multiply-accumulates, and what every stop costs an image beside that.
COPY = 20
STOP = 3e7
# Layers nearer to each other than this part of all work are not told apart, and what leaves less than this is no gain.
LEAST = 0.02


@dataclass(frozen=True)
class Cut:
    """A layer through which everything passes.

    Attributes:
        layer: its name; None for the image itself.
        index: of its tensor in the graph.
        work: done up to it for a whole image, in multiply-accumulates.
    """

    layer: str | None
    index: int
    work: float


@dataclass(frozen=True, eq=False)
class Route:
    """How occluded images go through a network.

    Attributes:
        cuts: the image, then the layers that are stopped at.
        stretches: what lies between a cut and the next.
        changed: for each cut, per axis and interval: the units ``[first, last)`` that an occluder can have changed.
        share: estimated work by that of whole images.
        note: in words.
    """

    cuts: tuple[Cut, ...]
    stretches: tuple[Stretch, ...]
    changed: tuple[tuple[tuple[Interval, ...], ...], ...]
    share: float
    note: str


def plan_route(
    model: nn.Module, input_size: tuple[int, ...], intervals: tuple[tuple[Interval, ...], ...], layer: str
) -> Route:
    """The cheapest way of images of which some intervals of pixels, per axis, are changed, through a model.

    Args:
        model: any module that takes the image as its one argument.
        input_size: (channel, height, width).
        intervals: ``[start, stop)`` of pixels, some for each axis.
        layer: is computed whole, with all behind it.

    >>> model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3), nn.MaxPool2d(2), nn.Conv2d(64, 64, 3))
    >>> route = plan_route(model, (3, 96, 96), (((0, 8), (40, 48)),) * 2, "3")
    >>> [cut.layer for cut in route.cuts], route.share < 0.5
    ([None, '3'], True)
    """
    alone: set[str] = set()
    try:
        with hooked(model, [(name, _note_tensors(name, alone)) for name in _watched(model)]):
            graph = trace(model, input_size)
    except UnconvError as refusal:
        return whole_images(intervals, str(refusal))
    if len(graph.input_sizes) > 1 or layer not in graph:
        return whole_images(intervals, "the way through the network is not known")
    cuts, total = find_cuts(model, graph, graph.value_of(layer).index, alone)
    if not cuts:
        return whole_images(intervals, "no layer that everything passes through comes early")
    return _cheapest(graph, (Cut(None, 0, 0.0), *cuts), total, intervals)


def whole_images(intervals: tuple[tuple[Interval, ...], ...], reason: str) -> Route:
    """The way on which all of every image is computed, and why.

    >>> whole_images((((0, 8),),) * 2, "as asked for").note
    'whole images: as asked for'
    """
    return Route((Cut(None, 0, 0.0),), (), (intervals,), 1.0, f"whole images: {reason}")


def _watched(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if name and takes_hooks(module)]


def _note_tensors(name: str, alone: set[str]) -> Hook:
    """A hook that notes a layer whose value is a tensor alone: of a tuple, all would have to be put in its place."""

    def seen(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            alone.add(name)

    return seen


def find_cuts(
    model: nn.Module, graph: Graph, last: int, alone: Collection[str] | None = None
) -> tuple[tuple[Cut, ...], float]:
    """The layers that everything passes through, up to a tensor, thinned out; and all work of a whole image.

    ``alone`` are those that return a tensor by itself; all unless given.
    """
    names = {index: name for index, name in _stops(model, graph).items() if alone is None or name in alone}
    work = _work(graph)
    spanned = _spanned(graph)
    least = LEAST * work[-1]
    found: list[Cut] = []
    begun = 0.0
    for value in graph.values[1 : last + 1]:
        if any(link is not None and not link.steady for _, links in value.parents for link in links):
            break
        whole = len(value.shape) == 2 + len(value.extents) and value.present == tuple(range(len(value.extents)))
        if value.index not in names or value.index in spanned or not whole:
            continue
        cut = Cut(names[value.index], value.index, work[value.index])
        if found and cut.work - begun < least:
            # The later of two has passed a pooling, often, and is smaller.
            found.pop()
        else:
            begun = cut.work
        found.append(cut)
    return tuple(found), work[-1]


def _stops(model: nn.Module, graph: Graph) -> dict[int, str]:
    """Modules at which a pass can be stopped, by the tensor that they return."""
    modules = dict(model.named_modules())
    found: dict[int, str] = {}
    for name, (_, index) in graph.places.items():
        parts = any(other.startswith((f"{name}.", f"{name}#")) for other in graph.places)
        leaf = name in modules and not has_parts(modules[name])
        # A module without children and with several operations returns another tensor than bears its name.
        if name in modules and takes_hooks(modules[name]) and not (leaf and parts):
            found.setdefault(index, name)
    return found


def _work(graph: Graph) -> list[float]:
    """What has been done when each tensor is there; all at the end."""
    at = [0.0] * len(graph.values)
    for name, (number, index) in graph.places.items():
        layer = graph.layers[number]
        if layer.name == name:
            at[index] += layer.macs + COPY * (prod(layer.output_shape) + prod(layer.input_shape))
    for index in range(1, len(at)):
        at[index] += at[index - 1]
    return at


def _spanned(graph: Graph) -> set[int]:
    """Tensors that some later one is computed past."""
    found: set[int] = set()
    for value in graph.values:
        for parent, _ in value.parents:
            found.update(range(parent + 1, value.index))
    return found


def _cheapest(graph: Graph, cuts: tuple[Cut, ...], total: float, intervals: tuple[tuple[Interval, ...], ...]) -> Route:
    changed = ProjectiveField(graph, intervals, cuts[-1].index).changed
    boxes = [changed[cut.index] for cut in cuts]
    best: list[tuple[float, int]] = [(0.0, -1)] + [(float("inf"), -1)] * (len(cuts) - 1)
    stretches: dict[tuple[int, int], Stretch] = {}
    for first, cut in enumerate(cuts[:-1]):
        fields = fields_from(graph, cut.index, cuts[-1].index)
        for second in range(first + 1, len(cuts)):
            stretch = stretch_between(graph, cut.index, cuts[second].index, fields, boxes[second])
            if stretch.share > 1 - LEAST:
                break
            copied = COPY * prod(graph.values[cut.index].shape)
            cost = best[first][0] + stretch.share * (cuts[second].work - cut.work + copied) + STOP
            if cost < best[second][0]:
                best[second], stretches[first, second] = (cost, first), stretch
    rest = [
        cost + total - cut.work + 2 * COPY * prod(graph.values[cut.index].shape)
        for cut, (cost, _) in zip(cuts, best, strict=True)
    ]
    chosen = [min(range(len(cuts)), key=rest.__getitem__)]
    while chosen[0]:
        chosen.insert(0, best[chosen[0]][1])
    share = rest[chosen[-1]] / rest[0]
    names = [cuts[index].layer for index in chosen[1:]]
    note = f"only around the occluder up to {names[-1]}" if names else "whole images: the occluder reaches too far"
    return Route(
        tuple(cuts[index] for index in chosen),
        tuple(stretches[pair] for pair in pairwise(chosen)),
        tuple(boxes[index] for index in chosen),
        share,
        note,
    )
