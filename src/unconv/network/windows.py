"""Windows: a part of the image that is enough to compute some unit of a layer exactly, by the unchanged network.

A window begins at a multiple of S, the least common multiple of the strides of all tensors on the way, so that every
tensor of the window is a part of that of the image; it holds the unit's receptive field, so that all the unit sees
is there; and its size leaves the same rest modulo S as the image's, so that poolings which round up and paddings that
depend on the size treat its far border as they treat the image's. Borders of a window that are none of the image's
lie outside the field. All windows of a layer have one size, so that they can be computed together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm

from unconv.describe import by_size, describe
from unconv.network.axis_roles import read_axis_roles
from unconv.network.trace.graph import Graph
from unconv.network.trace.values import Value
from unconv.operators.geometry.receptive import ReceptiveField
from unconv.results import Shown


@dataclasses.dataclass(frozen=True, repr=False)
class Windows(Shown):
    """The windows of a layer's units.

    Attributes:
        layer: its name.
        shape: of its value, without the batch: units, then positions.
        image_size: pixels of the image per axis.
        size: pixels of a window per axis; those of the image where nothing less will do.
        step: windows begin at multiples of it, per axis.
        field: receptive fields of the layer's units.
        reason: why the window is the whole image; empty where it is not.
        graph: the network as it was traced, whose names for layers may be others; None where it could not be.
        value: the layer's tensor in it, by index.
    """

    layer: str
    shape: tuple[int, ...]
    image_size: tuple[int, ...]
    size: tuple[int, ...]
    step: tuple[int, ...]
    field: ReceptiveField
    reason: str = ""
    graph: Graph | None = dataclasses.field(default=None, repr=False, compare=False)
    value: int = dataclasses.field(default=0, repr=False)

    def _heading(self) -> str:
        share = "the whole image" if self.whole else f"{self.share:.1%} of the image"
        return f"Windows of {self.layer}: {by_size(self.size)}, {share}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "image", by_size(self.image_size)
        yield "layer's value", by_size(self.shape)
        yield "steps", by_size(self.step)
        yield "field", describe(self.field).partition(": ")[2]
        if self.reason:
            yield "whole, since", self.reason

    @property
    def whole(self) -> bool:
        """Whether the window is the image itself."""
        return self.size == self.image_size

    @property
    def share(self) -> float:
        """Pixels of a window by pixels of the image."""
        share = 1.0
        for part, size in zip(self.size, self.image_size, strict=True):
            share *= part / size
        return share

    def grown(self) -> Windows:
        """Windows of at least twice the size, for a network that refuses such small images."""
        sizes = tuple(
            min(total, 2 * size + (total - 2 * size) % step)
            for size, step, total in zip(self.size, self.step, self.image_size, strict=True)
        )
        reason = "the network refuses smaller images" if sizes == self.image_size else ""
        return dataclasses.replace(self, size=sizes, reason=reason)

    def start(self, position: Sequence[int]) -> tuple[int, ...]:
        """First pixel, per axis, of the window of the unit at a position."""
        if self.whole:
            return (0,) * len(self.image_size)
        starts = []
        for unit, axis, step, size, total in zip(
            position, self.field.axes, self.step, self.size, self.image_size, strict=True
        ):
            first = max(axis.of(unit)[0], 0) // step * step
            starts.append(min(first, total - size))
        return tuple(starts)

    def within(self, position: Sequence[int], start: Sequence[int]) -> tuple[int, ...]:
        """Where the unit at a position of the image is in the layer's value of a window with that start."""
        if self.whole:
            return tuple(position)
        shifts = (first / stride for first, stride in zip(start, self.field.stride, strict=True))
        return tuple(unit - int(shift) for unit, shift in zip(position, shifts, strict=True))


def windows_of(graph: Graph, layer: str) -> Windows:
    """The windows of a layer's units, in images of the size that the graph was traced with.

    Raises :class:`~unconv.errors.ModelError` for a layer that the graph does not have.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    >>> windows = windows_of(trace(model, (3, 64, 64)), "2")
    >>> windows.size, windows.start((20, 31)), windows.within((20, 31), (36, 54))
    ((10, 10), (36, 54), (2, 4))
    """
    value = graph.value_of(layer)
    image_size = graph.image_size
    field, shape = value.field, value.shape[1:]

    def whole(reason: str) -> Windows:
        return Windows(layer, shape, image_size, image_size, (1,) * len(image_size), field, reason, graph, value.index)

    roles = read_axis_roles(graph, layer)
    if not isinstance(roles, str) and not roles.plain:
        shape = (roles.units, *roles.grid)
        return whole(f"the layer has its {roles.sentence}")
    if len(graph.input_sizes) > 1:
        return whole("the network has several inputs")
    if value.present != tuple(range(len(image_size))):
        return whole("the layer's units have no place in the image")
    path = _ancestors(graph, value)
    for other in path:
        if any(link is not None and not link.steady for _, links in other.parents for link in links):
            return whole(f"{graph.maker_of(other.index)!r} depends on the whole image or on places in it")
    steps, sizes = [], []
    for axis, total in enumerate(image_size):
        strides = [other.field.axes[axis].stride for other in path]
        step = _common(strides)
        least = field.axes[axis].size + step - 1
        steps.append(step)
        sizes.append(min(total, least + (total - least) % step))
    if tuple(sizes) == image_size:
        return whole("the field of its units is nearly as large as the image")
    return Windows(layer, shape, image_size, tuple(sizes), tuple(steps), field, "", graph, value.index)


def _ancestors(graph: Graph, value: Value) -> list[Value]:
    """All tensors that a tensor is computed from, itself included."""
    needed = {value.index}
    for index in range(value.index, -1, -1):
        if index in needed:
            needed.update(parent for parent, _ in graph.values[index].parents)
    return [graph.values[index] for index in sorted(needed)]


def _common(strides: Sequence[Fraction]) -> int:
    """The least number of pixels that is a whole number of units of every tensor."""
    return lcm(*(stride.numerator for stride in strides))
