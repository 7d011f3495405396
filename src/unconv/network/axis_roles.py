"""Axis roles: which numbers of a layer's value are its units, and which the places on the grid of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from torch import Tensor

from unconv.network.trace.graph import Graph
from unconv.network.trace.layout import Dim, dim_size
from unconv.network.trace.values import Value

# Layers behind a product that change no shape: scores stay scores.
_IN_PLACE = frozenset({"softmax", "dropout", "add", "mul", "div", "sub", "masked_fill", "where", "sigmoid", "relu"})
_PRODUCTS = frozenset({"bmm", "matmul", "mm", "baddbmm", "einsum"})


@dataclass(frozen=True)
class AxisRoles:
    """How a value, whatever the order of its axes, is read as ``(batch, units, *grid)``.

    Attributes:
        split: sizes into which each dimension is cut, the batch at the front of the first one left out.
        order: of all these parts, which come when: the units, then the digits of each axis of the grid.
        units: how many units there are.
        grid: the places, along each axis of the picture.
        tokens: dimension of the value along which all places stand beside tokens that have none, as a class token; 0
            where there are no such tokens.
        before: how many of these stand in front of the places; they are left out, and so are those behind.

    >>> import torch
    >>> last = AxisRoles(((), (4,), (6,), (3,)), (3, 1, 2), units=3, grid=(4, 6))
    >>> last.arrange(torch.zeros(2, 4, 6, 3), batch=2).shape, last.plain
    (torch.Size([2, 3, 4, 6]), False)
    """

    split: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    units: int
    grid: tuple[int, ...]
    tokens: int = 0
    before: int = 0

    @property
    def plain(self) -> bool:
        """Whether the value is ``(batch, units, *grid)`` as it is."""
        one_each = not self.split[0] and all(len(dim) == 1 for dim in self.split[1:])
        return one_each and self.order == tuple(range(1, len(self.split))) and not self.tokens

    @property
    def sentence(self) -> str:
        """What is not as usual, in a line; "" where all is."""
        if self.plain:
            return ""
        last = self.order[0] == sum(map(len, self.split))
        said = "units along the last axis" if last else "places put in their order"
        return f"{said}; tokens without a place left out" if self.tokens else said

    def arrange(self, value: Tensor, batch: int) -> Tensor:
        """The value of a batch as ``(batch, units, *grid)``, a view where it can be; gradients go back through it."""
        if self.plain:
            return value
        if self.split[0] and batch > 1 and value.shape[:2] == (prod(self.split[0]), batch):
            # Tokens first, then the batch, as in nn.Transformer.
            value = value.transpose(0, 1)
        if self.tokens:
            value = value.narrow(self.tokens, self.before, prod(self.grid))
        cut = value.reshape(batch, *(size for dim in self.split for size in dim))
        return cut.permute(0, *self.order).reshape(-1, self.units, *self.grid)


def read_axis_roles(graph: Graph, layer: str) -> AxisRoles | str:
    """The roles of the axes of a layer's value, read from the trace; or, in a line, why it has no feature maps.

    A place is a digit of an axis of the picture, which the trace follows through every view; units are what is left.
    Tokens with others in front of them, as a class token, have their places from where they were put together.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> class Block(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.conv, self.mix, self.act = nn.Conv2d(3, 8, 3), nn.Linear(8, 16), nn.GELU()
    ...     def forward(self, x):
    ...         return self.act(self.mix(self.conv(x).permute(0, 2, 3, 1)))
    >>> roles = read_axis_roles(trace(Block(), (3, 10, 12)), "act")
    >>> roles.units, roles.grid, roles.sentence
    (16, (8, 10), 'units along the last axis')
    """
    if layer not in graph:
        return f"the trace does not tell layer {layer!r}"
    value = graph.value_of(layer)
    dims = value.layout
    if len(dims) < 3 and not value.present:
        return f"layer {layer!r} has no places: its value is {_shape(value)}"
    if _is_of_pairs(graph, layer, value):
        return f"layer {layer!r} holds numbers of pairs of places, {_shape(value)}: no feature maps"
    if value.present != tuple(range(len(value.extents))):
        return _of_tokens(graph, layer, value)
    parts = [(d, atom) for d, dim in enumerate(dims) for atom in dim if atom.size > 1 or atom.axis is not None]
    units = [n for n, (_, atom) in enumerate(parts) if atom.axis is None]
    if len({parts[n][0] for n in units}) > 1:
        sizes = " and ".join(str(parts[n][1].size) for n in units)
        return f"layer {layer!r} has two axes beside its places, {sizes}: no feature maps"
    order = list(units)
    for axis in range(len(value.extents)):
        digits = [n for n, (_, atom) in enumerate(parts) if atom.axis == axis]
        order += sorted(digits, key=lambda n: -parts[n][1].step)
    split = tuple(tuple(atom.size for d, atom in parts if d == n) for n in range(len(dims)))
    return AxisRoles(
        split,
        tuple(n + 1 for n in order),
        prod(parts[n][1].size for n in units),
        value.extents,
    )


def _of_tokens(graph: Graph, layer: str, value: Value) -> AxisRoles | str:
    """Roles where attention has mixed all places, so that the tokens are told by where they were put together."""
    unknown = f"layer {layer!r} returns {_shape(value)}: which of its axes are places is not known"
    shape = tuple(dim_size(dim) for dim in value.layout)
    if len(shape) != 3 or shape[0] != 1:
        return unknown
    for other in _back_from(graph, value):
        if not other.start or dim_size(other.layout[1]) != shape[1] or len(other.layout) != 3:
            continue
        for source in _back_from(graph, other):
            dim: Dim = source.layout[1] if len(source.layout) == 3 else ()
            grid = tuple(atom.size for atom in dim)
            whole = [atom.axis for atom in dim] == list(range(len(source.extents))) and grid == source.extents
            if whole and other.start[1] + prod(grid) <= shape[1]:
                axes = range(2, 2 + len(grid))
                split = ((), grid, (shape[2],))
                return AxisRoles(split, (1 + len(grid), *(n - 1 for n in axes)), shape[2], grid, 1, other.start[1])
        break
    return unknown


def _back_from(graph: Graph, value: Value) -> Iterator[Value]:
    """A value and those that it is computed from, the newest first."""
    waiting = {value.index}
    while waiting:
        index = max(waiting)
        waiting.remove(index)
        yield graph.values[index]
        waiting.update(parent for parent, _ in graph.values[index].parents)


def _is_of_pairs(graph: Graph, layer: str, value: Value) -> bool:
    """Whether a value holds scores of pairs: a product of two tensors of the network, as large along its last axis."""
    sizes = [dim_size(dim) for dim in value.layout]
    if len(sizes) < 3 or sizes[-1] != sizes[-2]:
        return False
    one = graph[layer]
    while one.operator in _IN_PLACE and one.inputs:
        one = graph[one.inputs[0]]
    return one.operator in _PRODUCTS and not one.parameters


def _shape(value: Value) -> str:
    return "×".join(str(dim_size(dim)) for dim in value.layout[1:])
