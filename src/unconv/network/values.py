"""Values: every tensor of a traced network, with what it reads of the tensors before it.

A :class:`Ledger` is filled in the order of the forward pass. What an operation does to the image's axes is said by one
:class:`Read` per output dimension and operand; from that follow the layout, the links along each axis, and the fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil, prod
from typing import TypeAlias

from unconv.errors import GeometryError
from unconv.network import layout as lay
from unconv.network.layout import Atom, Layout
from unconv.network.links import Link, Whole, listed
from unconv.operators.receptive import AxisField, ReceptiveField, listed_field

Links: TypeAlias = tuple[Link | None, ...]


@dataclass(frozen=True)
class Read:
    """Where an output dimension comes from: a dimension of the operand, as it is, through a link, or mixed along it."""

    source: int
    link: Link | None = None
    mixed: bool = False


Reads: TypeAlias = Sequence[Read | None]


@dataclass(frozen=True)
class Value:
    """One tensor: its layout, the number of units along each image axis, their fields, and what it reads."""

    index: int
    layout: Layout
    extents: tuple[int, ...]
    field: ReceptiveField
    certain: tuple[bool, ...]
    """Per axis, whether nothing on the way was only bounded."""
    parents: tuple[tuple[int, Links], ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape, batch included."""
        return lay.shape_of(self.layout)

    @property
    def exact(self) -> bool:
        """Whether the field is exact on every axis."""
        lost = {axis for dim in self.layout for axis in lay.lost_in(dim)}
        return all(self.certain) and not lost

    @property
    def present(self) -> tuple[int, ...]:
        """The image axes along which the tensor still has units."""
        named = {axis for dim in self.layout for axis in lay.axes_in(dim)}
        return tuple(axis for axis in range(len(self.extents)) if axis in named)


@dataclass(frozen=True)
class _Part:
    """What one operand alone makes of the output."""

    value: Value
    layout: Layout
    extents: tuple[int, ...]
    links: Links


class Ledger:
    """The values of a network, in the order in which they come to be."""

    def __init__(self, input_size: tuple[int, ...]) -> None:
        self.input_size = input_size
        self.values: list[Value] = []

    def image(self, shape: Sequence[int]) -> Value:
        """A network input (batch, channels, *axes)."""
        count = len(self.input_size)
        if tuple(shape[2:]) == self.input_size:
            field = ReceptiveField.of_pixels(count)
            return self._add(lay.image_layout(shape), self.input_size, field, (True,) * count)
        plain = tuple(lay.plain_dim(size) for size in shape)
        everything = ReceptiveField.everything(self.input_size)
        return self._add(plain, (1,) * count, everything, (False,) * count)

    def derive(self, operands: Sequence[tuple[Value, Reads]], shape: Sequence[int]) -> Value:
        """The output of an operation, from what it reads of each operand."""
        parts = [self._part(value, reads, shape) for value, reads in operands]
        layout = _joined_layout(parts)
        filled = frozenset(axis for value, _ in operands for axis in self._filled(value))
        cleared = filled.union(*(_cleared(value, reads, shape) for value, reads in operands))
        layout = tuple(tuple(replace(atom, lost=atom.lost - cleared) for atom in dim) for dim in layout)
        extents = _extents(layout, len(self.input_size))
        parents = []
        for part, (_, reads) in zip(parts, operands, strict=True):
            blurred = _misplaced(part, layout)
            swapped = any(lay.axes_in(layout[dim]) for dim in blurred)
            if blurred:
                mixed = [replace(read, mixed=True) if read and n in blurred else read for n, read in enumerate(reads)]
                part = self._part(part.value, mixed, shape)
            links = [_fitted(part, layout, axis, extent, blurred) for axis, extent in enumerate(extents)]
            if swapped:
                pairs = zip(links, part.value.extents, strict=True)
                links = [link and Whole(size, certain=False) for link, size in pairs]
            parents.append((part.value, tuple(links)))
        return self._linked(layout, extents, parents, bounded=_covered(parts, layout) - filled, sure=filled)

    def relabel(self, value: Value, layout: Layout) -> Value:
        """The same numbers under another layout: a view."""
        return self._linked(layout, value.extents, [(value, (None,) * len(value.extents))])

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """A view with another shape; where an axis is cut unevenly its order is lost."""
        layout = lay.reshaped(value.layout, shape)
        if layout is not None:
            return self.relabel(value, layout)
        lost = set(value.present).union(*(lay.lost_in(dim) for dim in value.layout))
        return self._lose(value, set(value.present), tuple(lay.plain_dim(size, lost) for size in shape))

    def settle(self, value: Value, dim: int) -> Value:
        """The value with a dimension that is one whole axis, or none, so that windows may step along it."""
        atoms = value.layout[dim]
        axes = lay.axes_in(atoms)
        if not axes:
            return value
        first = atoms[0]
        whole = first.axis is not None and first.size == value.extents[first.axis]
        if whole and len(atoms) == 1:
            return value
        rest = atoms[1:]
        if whole and not any(lay.axes_in((atom,)) for atom in rest):
            return self._repeated(value, dim, first, prod(atom.size for atom in rest))
        lost = {axis for axis in value.present if axis in axes} | lay.lost_in(atoms)
        layout = tuple(
            lay.plain_dim(lay.dim_size(d), lost) if n == dim else _without(d, axes) for n, d in enumerate(value.layout)
        )
        return self._lose(value, axes, layout)

    def unknown(self, operands: Sequence[Value], shape: Sequence[int]) -> Value:
        """The output of an operation of which nothing is known: it may read everything."""
        first = operands[0]
        layout: Layout = tuple(lay.plain_dim(size) for size in shape)
        if len(shape) == len(first.layout):
            layout = tuple(
                (Atom(size, dim[0].axis),) if len(dim) == 1 and _is_axis(first, dim[0]) else lay.plain_dim(size)
                for dim, size in zip(first.layout, shape, strict=True)
            )
        extents = _extents(layout, len(first.extents))
        parents = [(value, tuple(Whole(size, certain=False) for size in value.extents)) for value in operands]
        return self._linked(layout, extents, parents)

    def _filled(self, value: Value) -> list[int]:
        """Axes along which every unit of a value surely sees the whole input, so that any sum with it does too."""
        lost = {axis for dim in value.layout for axis in lay.lost_in(dim)}
        rows = enumerate(zip(value.field.axes, self.input_size, value.certain, strict=True))
        return [axis for axis, (field, size, sure) in rows if sure and axis not in lost and _is_whole(field, size)]

    def _repeated(self, value: Value, dim: int, first: Atom, times: int) -> Value:
        axis = first.axis
        reads = [(unit // times,) for unit in range(first.size * times)]
        links: Links = tuple(listed(reads, first.size) if n == axis else None for n in range(len(value.extents)))
        layout = tuple((Atom(first.size * times, axis),) if n == dim else d for n, d in enumerate(value.layout))
        extents = tuple(size * times if n == axis else size for n, size in enumerate(value.extents))
        return self._linked(layout, extents, [(value, links)])

    def _lose(self, value: Value, axes: set[int] | frozenset[int], layout: Layout) -> Value:
        links: Links = tuple(Whole(size) if n in axes else None for n, size in enumerate(value.extents))
        return self._linked(layout, _extents(layout, len(links)), [(value, links)])

    def _part(self, value: Value, reads: Reads, shape: Sequence[int]) -> _Part:
        for dim in sorted({read.source for read in reads if read and read.link}):
            value = self.settle(value, dim)
        pairs = zip(reads, shape, strict=True)
        by_source = {
            read.source: read
            for read, size in pairs
            if read and (read.link or lay.dim_size(value.layout[read.source]) == size)
        }
        steps, links = {}, []
        for axis, extent in enumerate(value.extents):
            digits = lay.digits_of(value.layout, axis)
            link = next((read.link for d, _ in digits if (read := by_source.get(d)) and read.link), None)
            if link is None:
                link, steps[axis] = _mixed(extent, digits, by_source)
            links.append(link)
        layout = tuple(_read_dim(value, read, size, steps) for read, size in zip(reads, shape, strict=True))
        return _Part(value, layout, _extents(layout, len(links)), tuple(links))

    def _linked(
        self,
        layout: Layout,
        extents: tuple[int, ...],
        parents: Sequence[tuple[Value, Links]],
        bounded: frozenset[int] = frozenset(),
        sure: frozenset[int] = frozenset(),
    ) -> Value:
        axes, certain = [], []
        for axis, extent in enumerate(extents):
            fields = [self._chained(value.field.axes[axis], links[axis], axis) for value, links in parents]
            joined = fields[0]
            for field in fields[1:]:
                joined = _joined(joined, field, extent, self.input_size[axis])
            axes.append(joined)
            known = all(
                value.certain[axis] and ((link := links[axis]) is None or link.exact) for value, links in parents
            )
            certain.append((known and axis not in bounded) or axis in sure)
        sources = tuple((value.index, links) for value, links in parents)
        return self._add(layout, extents, ReceptiveField(tuple(axes)), tuple(certain), sources)

    def _chained(self, below: AxisField, link: Link | None, axis: int) -> AxisField:
        if link is None:
            return below
        field = below.then(link.field())
        if field.advance:
            return field
        size = self.input_size[axis]
        starts = tuple(min(max(start, 0), size) for start in field.starts)
        return AxisField(starts, tuple(min(max(stop, 0), size) for stop in field.stops), 0)

    def _add(
        self,
        layout: Layout,
        extents: tuple[int, ...],
        field: ReceptiveField,
        certain: tuple[bool, ...],
        parents: tuple[tuple[int, Links], ...] = (),
    ) -> Value:
        value = Value(len(self.values), layout, extents, field, certain, parents)
        self.values.append(value)
        return value


def _is_axis(value: Value, atom: Atom) -> bool:
    return atom.axis is not None and atom.size == value.extents[atom.axis]


def _without(dim: lay.Dim, axes: frozenset[int]) -> lay.Dim:
    """A dimension whose digits of some axes have become nameless: their order is lost with the rest."""
    atoms = [Atom(a.size, lost=frozenset({a.axis})) if a.axis in axes and a.axis is not None else a for a in dim]
    return lay.fused(atoms)


def _extents(layout: Layout, count: int) -> tuple[int, ...]:
    return tuple(prod(atom.size for _, atom in lay.digits_of(layout, axis)) for axis in range(count))


def _read_dim(value: Value, read: Read | None, size: int, steps: dict[int, dict[Atom, int]]) -> lay.Dim:
    """The output dimension that one read makes."""
    if read is None:
        return lay.plain_dim(size)
    dim = value.layout[read.source]
    if read.link is not None:
        axis = dim[0].axis if dim else None
        return (Atom(size, axis),) if axis is not None else lay.plain_dim(size, lay.lost_in(dim))
    if size != lay.dim_size(dim):
        return (
            (Atom(size, dim[0].axis),)
            if len(dim) == 1 and size == 1 and dim[0].axis is not None
            else lay.plain_dim(size)
        )
    atoms = []
    for atom in dim:
        if atom.axis is not None:
            atoms.append(Atom(atom.size, atom.axis, steps[atom.axis].get(atom, atom.step)))
        else:
            atoms.append(Atom(atom.size) if read.mixed else atom)
    return lay.fused(atoms)


def _mixed(
    extent: int, digits: Sequence[tuple[int, Atom]], by_source: dict[int, Read]
) -> tuple[Link | None, dict[Atom, int]]:
    """The link along an axis some of whose digits are mixed or gone, and the steps of those that remain."""
    wide = [(d, atom) for d, atom in digits if atom.size > 1]
    kept = [atom for d, atom in wide if d in by_source and not by_source[d].mixed]
    stays = [atom for d, atom in wide if d in by_source]
    if len(kept) == len(wide):
        return None, {}
    steps, width = {}, 1
    for atom in reversed(stays):
        steps[atom] = width
        width *= atom.size
    if not kept:
        return Whole(extent), steps
    free = [atom for _, atom in wide if atom not in kept]
    offsets = sorted(sum(c) for c in product(*(range(0, a.size * a.step, a.step) for a in free)))
    reads = []
    for unit in range(width):
        base = sum(unit // steps[atom] % atom.size * atom.step for atom in kept)
        reads.append([base + offset for offset in offsets])
    return listed(reads, extent), steps


def _joined_layout(parts: Sequence[_Part]) -> Layout:
    """Layout of the output: per dimension, that of the first operand with an axis that has no place yet."""
    dims, used = [], set[tuple[int, int]]()
    for options in zip(*(part.layout for part in parts), strict=True):
        free = [dim for dim in options if lay.axes_in(dim) and not _digits(dim) & used]
        taken = [dim for dim in options if lay.axes_in(dim) and _digits(dim) & used]
        chosen = free[0] if free else options[0]
        if not free:
            lost = frozenset[int]().union(*map(lay.lost_in, options), *map(lay.axes_in, taken))
            chosen = lay.plain_dim(lay.dim_size(chosen), lost)
        used |= _digits(chosen)
        dims.append(chosen)
    return tuple(dims)


def _digits(dim: lay.Dim) -> set[tuple[int, int]]:
    return {(atom.axis, atom.step) for atom in dim if atom.axis is not None}


def _misplaced(part: _Part, layout: Layout) -> set[int]:
    """Output dimensions in which an operand has axes that the joined layout keeps elsewhere."""
    pairs = enumerate(zip(part.layout, layout, strict=True))
    return {n for n, (mine, joined) in pairs if lay.axes_in(mine) and _parts_of(mine) != _parts_of(joined)}


def _parts_of(dim: lay.Dim) -> list[tuple[int, int | None]]:
    return [(atom.size, atom.axis) for atom in dim if atom.size > 1]


def _cleared(value: Value, reads: Reads, shape: Sequence[int]) -> frozenset[int]:
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


def _covered(parts: Sequence[_Part], layout: Layout) -> frozenset[int]:
    """Axes that one operand holds without an order where the joined layout has an axis."""
    pairs = ((mine, joined) for part in parts for mine, joined in zip(part.layout, layout, strict=True))
    return frozenset(axis for mine, joined in pairs if lay.axes_in(joined) for axis in lay.lost_in(mine))


def _fitted(part: _Part, layout: Layout, axis: int, extent: int, blurred: set[int]) -> Link | None:
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
    return listed([sorted(link.cells({unit}, below)) if link else [unit] for unit in units], below)


def _places(layout: Layout, axis: int) -> tuple[tuple[int, Atom], ...]:
    return tuple((d, atom) for d, atom in lay.digits_of(layout, axis) if atom.size > 1)


def _is_whole(field: AxisField, size: int) -> bool:
    return field == AxisField((0,), (size,), 0)


def _joined(one: AxisField, two: AxisField, extent: int, size: int) -> AxisField:
    """The union of two branches over an input of ``size``; unit by unit where no single pattern fits both."""
    for field in (one, two):
        if _is_whole(field, size):
            return field
    if one.advance and two.advance:
        try:
            return one.union(two)
        except GeometryError:
            pass  # the strides differ, as where a resized branch meets a skip connection of odd size
    hulls = []
    for unit in range(extent):
        intervals = [(a, b) for a, b in (one.of(unit), two.of(unit)) if a < b]
        hulls.append((min(a for a, _ in intervals), max(b for _, b in intervals)) if intervals else one.of(unit))
    return listed_field(hulls, max(ceil(one.stride * extent), ceil(two.stride * extent)))
