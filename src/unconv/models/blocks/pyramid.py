"""The feature maps of any network at several resolutions, found by tracing it, without what only told classes apart."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.network.trace.graph import Graph
from unconv.network.trace.links import Whole
from unconv.network.trace.trace import trace
from unconv.operators.geometry.receptive import AxisField

PROBES = (256, 384)
"""Sides of the pictures that a network is traced on: by how much a feature map grows from one to the other tells its
stride, whatever is padded."""


@dataclass(frozen=True)
class Level:
    """One of the feature maps.

    Attributes:
        stride: pixels from one unit to the next, along both axes.
        name: the module that returns it.
        channels: of the map.
        middle: the place that unit (0, 0) is centred on, in pixels from the picture's corner; that of pixel 0 is ½.
    """

    stride: int
    name: str
    channels: int
    middle: tuple[Fraction, Fraction]


class _Keeper:
    """Keeps what modules return during one pass."""

    def __init__(self) -> None:
        self.kept: dict[str, Tensor] = {}

    def taken(self) -> dict[str, Tensor]:
        """What was kept; nothing is any more."""
        kept, self.kept = self.kept, {}
        return kept


class _Tap:
    """A forward hook; an object, so that a copy of a network keeps in the copy's keeper."""

    def __init__(self, keeper: _Keeper, name: str) -> None:
        self.keeper, self.name = keeper, name

    def __call__(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.keeper.kept[self.name] = output


class Pyramid(nn.Module):
    """A copy of a network that returns its last feature maps at several strides, the coarsest first.

    They are taken by hooks, so that the network may be written in any way; modules that run only behind the last of
    them (the pooling over all positions, the classifier) are left out, parameters included. State dicts name the rest
    as the network does, behind ``body.``.

    Args:
        network: is copied, with its weights.
        strides: those wanted.
        in_channels: of the picture.

    Raises ModelError where the network has no feature map at one of the strides, or does not take pictures of any size.

    >>> import torch
    >>> from unconv.models.compact import Compact
    >>> pyramid = Pyramid(Compact(10), (8, 32))
    >>> [(level.stride, level.name) for level in pyramid.levels]
    [(32, 'features'), (8, 'features.relu3_2')]
    >>> [tuple(one.shape) for one in pyramid(torch.zeros(1, 3, 65, 96))]
    [(1, 160, 3, 3), (1, 96, 9, 12)]
    """

    def __init__(self, network: nn.Module, strides: Sequence[int] = (32, 16, 8), in_channels: int = 3) -> None:
        super().__init__()
        self.levels = find_levels(network, strides, in_channels)
        self.body = deepcopy(network)
        _leave_out_head(self.body, self.levels, in_channels)
        self._keeper = _Keeper()
        for level in self.levels:
            self.body.get_submodule(level.name).register_forward_hook(_Tap(self._keeper, level.name))
        self._check(in_channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        """The feature maps, the coarsest first."""
        self.body(x)
        kept = self._keeper.taken()
        return [kept[level.name] for level in self.levels]

    def _check(self, in_channels: int) -> None:
        """That it does without its head what it did with it."""
        name = type(self.body).__name__
        for side in PROBES:
            try:
                graph = trace(self, (in_channels, side, side))
            except UnconvError as error:
                raise ModelError(
                    f"pyramid: {name} does not run without its head: {error}; give the part of it that has the feature "
                    "maps alone, as model.features"
                ) from error
            found = [graph.values[index].shape[1] for index in graph.returned or ()]
            if found != [level.channels for level in self.levels]:
                raise ModelError(
                    f"pyramid: {name} returns other feature maps at {side}x{side} than it was asked for: "
                    f"{', '.join(level.name for level in self.levels)}; modules that run twice cannot be told apart"
                )


def find_levels(network: nn.Module, strides: Sequence[int], in_channels: int = 3) -> tuple[Level, ...]:
    """The last feature map at each stride that a module returns, the coarsest first.

    One that all that follows is computed from, as the end of a block, comes before one of several branches.

    Raises ModelError, naming the strides that there are, for one that there is not.

    >>> find_levels(nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU()), (2,))
    (Level(stride=2, name='', channels=8, middle=(Fraction(3, 2), Fraction(3, 2))),)
    """
    small, large = (_traced(network, in_channels, side) for side in PROBES)
    repeated = {name.partition("#")[0] for name in small.places if "#" in name}
    narrow = _passed_by_all(small)
    found: dict[int, tuple[bool, int, str]] = {}
    for name, _ in network.named_modules():
        stride = _stride(small, large, name) if name in small.places and name not in repeated else None
        if stride is None:
            continue
        index = small.places[name][1]
        rank = index in narrow, index
        # Of modules that return the same tensor, the outermost comes first.
        if stride not in found or rank > found[stride][:2]:
            found[stride] = *rank, name
    missing = [stride for stride in strides if stride not in found]
    if missing:
        raise ModelError(
            f"pyramid: {type(network).__name__} has no feature map at stride {missing[0]}; it has them at "
            f"{', '.join(map(str, sorted(found))) or 'none'}"
        )
    return tuple(
        Level(stride, name := found[stride][2], small.value_of(name).shape[1], _middle(small, name, stride))
        for stride in sorted(strides, reverse=True)
    )


def _passed_by_all(graph: Graph) -> set[int]:
    """The tensors that every path from the picture to the output goes through."""
    last = max(graph.returned or (len(graph.values) - 1,))
    leading = {last}
    edges = []
    for value in reversed(graph.values[: last + 1]):
        if value.index in leading:
            leading.update(parent for parent, _ in value.parents)
            edges += [(parent, value.index) for parent, _ in value.parents]
    # In the order in which they are made, no edge leads past such a tensor.
    passed = {index for parent, child in edges for index in range(parent + 1, child)}
    return leading - passed


def _traced(network: nn.Module, in_channels: int, side: int) -> Graph:
    try:
        return trace(network, (in_channels, side, side))
    except UnconvError as error:
        raise ModelError(
            f"pyramid: {type(network).__name__} does not take a picture of {in_channels}x{side}x{side}: {error}; give "
            "the part of it that takes any size alone, as model.features"
        ) from error


def _stride(small: Graph, large: Graph, name: str) -> int | None:
    """Pixels by which the picture grows for each unit more; None for what is no feature map, or grows unevenly."""
    if name not in large.places:
        return None
    one, other = small.value_of(name).shape, large.value_of(name).shape
    if len(one) != 4 or len(other) != 4 or one[1] != other[1]:
        return None
    rows, columns = other[2] - one[2], other[3] - one[3]
    grown = PROBES[1] - PROBES[0]
    return grown // rows if rows == columns > 0 and grown % rows == 0 else None


def _middle(graph: Graph, name: str, stride: int) -> tuple[Fraction, Fraction]:
    value = graph.value_of(name)
    rows, columns = (_axis_middle(graph, value.index, axis, stride) for axis in (0, 1))
    return rows, columns


def _axis_middle(graph: Graph, last: int, axis: int, stride: int) -> Fraction:
    """The middle of unit 0's receptive field along an axis, gates of a whole feature map (squeeze-excite) left out.

    These make a unit see everything, but do not move it. Where nothing else leads to the picture, units are taken to
    lie evenly on it.
    """
    fields: dict[int, AxisField] = {}
    for value in graph.values[: last + 1]:
        reads = [(fields[parent], links[axis]) for parent, links in value.parents if parent in fields]
        paths = [below.then(link.field()) if link else below for below, link in reads if not isinstance(link, Whole)]
        paths = [AxisField((0,), (1,), 1)] if not value.parents else paths
        for path in paths:
            same = value.index in fields and fields[value.index].stride == path.stride
            fields[value.index] = fields[value.index].union(path) if same else path
    field = fields.get(last)
    if field is None or field.stride != stride:
        extent = graph.values[last].extents[axis]
        return Fraction(graph.input_sizes[0][1 + axis] - stride * (extent - 1), 2)
    return Fraction(field.starts[0] + field.stops[0], 2)


def _leave_out_head(body: nn.Module, levels: Sequence[Level], in_channels: int) -> None:
    """Put nothing in the place of modules all of whose operations run behind the last feature map."""
    graph = _traced(body, in_channels, PROBES[0])
    order = {layer.name: n for n, layer in enumerate(graph)}
    last = max(graph.places[level.name][0] for level in levels)
    for path, module in list(body.named_modules()):
        inside = [n for name, n in order.items() if name.partition("#")[0] == path or name.startswith(f"{path}.")]
        if path and inside and min(inside) > last and not isinstance(module, nn.Identity):
            parent, _, child = path.rpartition(".")
            setattr(body.get_submodule(parent), child, nn.Identity())
