"""Joining operands: one layout for all, each one's links in it, and the union of their fields."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm, prod

from unconv.network.trace import layout as lay
from unconv.network.trace.layout import Atom, Layout
from unconv.network.trace.links import Link, Whole, link_cells
from unconv.network.trace.values import Part, Reads, Value
from unconv.operators.geometry.receptive import AxisField, listed_field


def join_layouts(parts: Sequence[Part]) -> Layout:
    """Layout of the output: per dimension, that of the largest operand with an axis that has no place yet."""
    dims, used = [], set[tuple[int, int]]()
    ranked = sorted(parts, key=lambda part: -prod(part.extents))
    for options in zip(*(part.layout for part in ranked), strict=True):
        free = [dim for dim in options if lay.axes_in(dim) and not _digits(dim) & used]
        taken = [dim for dim in options if lay.axes_in(dim) and _digits(dim) & used]
        chosen = free[0] if free else options[0]
        if not free:
            lost = frozenset[int]().union(*map(lay.lost_in, options), *map(lay.axes_in, taken))
            chosen = lay.plain_dim(lay.dim_size(chosen), lost, any(map(lay.is_untold, options)))
        used |= _digits(chosen)
        dims.append(chosen)
    return tuple(dims)


def _digits(dim: lay.Dim) -> set[tuple[int, int]]:
    return {(atom.axis, atom.step) for atom in dim if atom.axis is not None}


def find_misplaced(part: Part, layout: Layout) -> set[int]:
    """Output dimensions in which an operand has axes that the joined layout keeps elsewhere."""
    pairs = enumerate(zip(part.layout, layout, strict=True))
    return {n for n, (mine, joined) in pairs if lay.axes_in(mine) and _parts_of(mine) != _parts_of(joined)}


def _parts_of(dim: lay.Dim) -> list[tuple[int, int | None]]:
    return [(atom.size, atom.axis) for atom in dim if atom.size > 1]


def cleared_axes(value: Value, reads: Reads, shape: Sequence[int]) -> frozenset[int]:
    """Axes without an order of which an operation mixes all there is: their order matters no more."""
    kept = {
        read.source
        for read, size in zip(reads, shape, strict=True)
        if read and not read.mixed and (read.link or lay.dim_size(value.layout[read.source]) == size)
    }
    mixed, stays = frozenset[int](), frozenset[int]()
    for n, dim in enumerate(value.layout):
        mixed, stays = (mixed, stays | lay.lost_in(dim)) if n in kept else (mixed | lay.lost_in(dim), stays)
    return mixed - stays


def covered_axes(parts: Sequence[Part], layout: Layout) -> frozenset[int]:
    """Axes that one operand holds without an order where the joined layout has an axis."""
    pairs = ((mine, joined) for part in parts for mine, joined in zip(part.layout, layout, strict=True))
    return frozenset(axis for mine, joined in pairs if lay.axes_in(joined) for axis in lay.lost_in(mine))


def fit_link(part: Part, layout: Layout, axis: int, extent: int, blurred: set[int]) -> Link | None:
    """The link of one operand, for the units of the joined layout."""
    link, below = part.links[axis], part.value.extents[axis]
    mine, joined = _places(part.layout, axis), _places(layout, axis)
    if mine == joined or isinstance(link, Whole):
        return link
    if not mine:
        return Whole(below, certain=link is None)
    moved = [(d, atom) for d, atom in mine if d not in blurred and (d, atom) not in joined]
    if [atom for _, atom in mine] == [atom for _, atom in joined] and not moved:
        return link
    places = {(d, atom.size): atom for d, atom in joined}
    if not all((d, atom.size) in places for d, atom in mine):
        return Whole(below, certain=False)
    pairs = [(places[d, atom.size], atom.step) for d, atom in mine]
    units = [sum(unit // atom.step % atom.size * step for atom, step in pairs) for unit in range(extent)]
    return link_cells([sorted(link.cells({unit}, below)) if link else [unit] for unit in units], below)


def _places(layout: Layout, axis: int) -> tuple[tuple[int, Atom], ...]:
    return tuple((d, atom) for d, atom in lay.digits_of(layout, axis) if atom.size > 1)


def is_whole(field: AxisField, size: int) -> bool:
    """Whether every unit sees all of an axis."""
    return field == AxisField((0,), (size,), 0)


def join_fields(one: AxisField, two: AxisField, extent: int, size: int) -> AxisField:
    """The union of two branches over an input of ``size``; unit by unit where no single pattern fits both."""
    for field in (one, two):
        if is_whole(field, size):
            return field
    # Strides differ where a resized branch meets a skip connection of odd size.
    alike = one.advance * two.period == two.advance * one.period != 0 and one.spacing is two.spacing is None
    if alike and lcm(one.period, two.period) <= extent:
        return one.union(two)
    hulls = []
    for unit in range(extent):
        intervals = [(a, b) for a, b in (one.of(unit), two.of(unit)) if a < b]
        hulls.append((min(a for a, _ in intervals), max(b for _, b in intervals)) if intervals else one.of(unit))
    return listed_field(hulls, max(one.stride, two.stride))
