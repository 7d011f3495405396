"""The value graph: the values of a network, filled in the order of the forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod

from unconv.network.run.input_axes import InputAxes, usual_axes
from unconv.network.trace import layout as lay
from unconv.network.trace.joining import (
    cleared_axes,
    covered_axes,
    find_misplaced,
    fit_link,
    is_whole,
    join_fields,
    join_layouts,
)
from unconv.network.trace.layout import Atom, Layout
from unconv.network.trace.links import Link, Resize, Whole
from unconv.network.trace.values import (
    Links,
    Part,
    Read,
    Reads,
    Value,
    drop_axes,
    extents_of,
    is_axis,
    mixed_digits,
    read_dim,
    steps_untold,
)
from unconv.operators.geometry.receptive import AxisField, ReceptiveField


class ValueGraph:
    """The values of a network, in the order in which they come to be."""

    def __init__(self, size: Sequence[int], axes: Sequence[InputAxes] = (), batch: int = 1) -> None:
        self.input_names: tuple[str, ...] = ()
        self.axes = tuple(axes) or (usual_axes(size),)
        self.input_size = self.axes[0].sizes(size)
        self.batch = batch
        self.values: list[Value] = []

    def image(self, shape: Sequence[int], axes: InputAxes | None = None) -> Value:
        """A network input, (batch, *size); on the grid of the first one where its places are the same."""
        axes = axes or usual_axes(shape[1:])
        first, count = self.axes[0], len(self.input_size)
        grid = {first.names[n]: size for n, size in zip(first.places, self.input_size, strict=True)}
        dims = {axes.names[n]: 1 + n for n in axes.places}
        if {name: shape[dim] for name, dim in dims.items()} == grid:
            field = ReceptiveField.of_pixels(count)
            layout = lay.image_layout(shape, [dims[name] for name in grid], untold=not axes.told)
            return self._add(layout, self.input_size, field, (True,) * count)
        plain = tuple(lay.plain_dim(size) for size in shape)
        everything = ReceptiveField.everything(self.input_size)
        return self._add(plain, (1,) * count, everything, (False,) * count)

    def derive(self, operands: Sequence[tuple[Value, Reads]], shape: Sequence[int]) -> Value:
        """The output of an operation, from what it reads of each operand."""
        parts = [self._part(value, reads, shape) for value, reads in operands]
        layout = join_layouts(parts)
        filled = frozenset(axis for value, _ in operands for axis in self._filled(value))
        cleared = filled.union(*(cleared_axes(value, reads, shape) for value, reads in operands))
        layout = tuple(tuple(replace(atom, lost=atom.lost - cleared) for atom in dim) for dim in layout)
        extents = extents_of(layout, len(self.input_size))
        parents = []
        for part, (_, reads) in zip(parts, operands, strict=True):
            blurred = find_misplaced(part, layout)
            swapped = any(lay.axes_in(layout[dim]) for dim in blurred)
            if blurred:
                mixed = [replace(read, mixed=True) if read and n in blurred else read for n, read in enumerate(reads)]
                part = self._part(part.value, mixed, shape)
            links = [fit_link(part, layout, axis, extent, blurred) for axis, extent in enumerate(extents)]
            if swapped:
                pairs = zip(links, part.value.extents, strict=True)
                links = [link and Whole(size, certain=False) for link, size in pairs]
            parents.append((part.value, tuple(links)))
        placed = not any(steps_untold(value, reads) for value, reads in operands)
        bounded = covered_axes(parts, layout) - filled
        return self._linked(layout, extents, parents, bounded=bounded, sure=filled, placed=placed)

    def put_together(self, value: Value, start: Sequence[int]) -> Value:
        """The newest value, with the place in it of the one tensor that it holds beside constants."""
        self.values[value.index] = replace(value, start=tuple(start))
        return self.values[value.index]

    def relabel(self, value: Value, layout: Layout) -> Value:
        """The same numbers under another layout: a view."""
        return self._linked(layout, value.extents, [(value, (None,) * len(value.extents))])

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """A view with another shape; where an axis is cut unevenly its order is lost."""
        layout = lay.reshape_layout(value.layout, shape)
        if layout is not None:
            view = self.relabel(value, layout)
            return self._blocks(view) if view.present else view
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
            lay.plain_dim(lay.dim_size(d), lost) if n == dim else drop_axes(d, axes) for n, d in enumerate(value.layout)
        )
        return self._lose(value, axes, layout)

    def _blocks(self, value: Value) -> Value:
        """A view that is an image of blocks, as a pixel shuffle by hand makes it, with the units that it has."""
        dims = value.layout[2:]
        if len(dims) != len(value.extents) or all(len(dim) == 1 for dim in dims):
            return value
        whole = [dim and dim[0].axis == axis and is_axis(value, dim[0]) for axis, dim in enumerate(dims)]
        if all(whole) and not any(lay.axes_in(dim[1:]) for dim in dims):
            for dim in range(2, len(value.layout)):
                value = self.settle(value, dim)
        return value

    def _gathered(self, value: Value, reads: Reads) -> Value:
        """The value with the digits of its axes that an operation mixes into its channels gone from these.

        A pixel unshuffle by hand puts the places inside a block there; a convolution reads all of them.
        """
        linked = [value.layout[read.source] for read in reads if read and read.link]
        if all(dim and is_axis(value, dim[0]) for dim in linked):
            return value
        axes = frozenset[int]().union(*map(lay.axes_in, linked))
        kept = {read.source for read in reads if read and not read.mixed}
        mixed = {n for n, dim in enumerate(value.layout) if n not in kept and lay.axes_in(dim) & axes}
        rows = [None if n in mixed else Read(n) for n in range(len(value.layout))]
        return self.derive([(value, rows)], value.shape) if mixed else value

    def unknown(self, operands: Sequence[Value], shape: Sequence[int]) -> Value:
        """The output of an operation of which nothing is known: it may read everything."""
        first = operands[0]
        layout: Layout = tuple(lay.plain_dim(size) for size in shape)
        if len(shape) == len(first.layout):
            layout = tuple(
                (Atom(size, dim[0].axis),) if len(dim) == 1 and is_axis(first, dim[0]) else lay.plain_dim(size)
                for dim, size in zip(first.layout, shape, strict=True)
            )
        extents = extents_of(layout, len(first.extents))
        parents = [(value, tuple(Whole(size, certain=False) for size in value.extents)) for value in operands]
        return self._linked(layout, extents, parents)

    def _filled(self, value: Value) -> list[int]:
        """Axes along which every unit of a value surely sees the whole input, so that any sum with it does too."""
        lost = {axis for dim in value.layout for axis in lay.lost_in(dim)}
        rows = enumerate(zip(value.field.axes, self.input_size, value.certain, strict=True))
        return [axis for axis, (field, size, sure) in rows if sure and axis not in lost and is_whole(field, size)]

    def _repeated(self, value: Value, dim: int, first: Atom, times: int) -> Value:
        axis = first.axis
        repeat = Resize(Fraction(1, times), "nearest", told=True)
        links: Links = tuple(repeat if n == axis else None for n in range(len(value.extents)))
        layout = tuple((Atom(first.size * times, axis),) if n == dim else d for n, d in enumerate(value.layout))
        extents = tuple(size * times if n == axis else size for n, size in enumerate(value.extents))
        return self._linked(layout, extents, [(value, links)])

    def _lose(self, value: Value, axes: set[int] | frozenset[int], layout: Layout) -> Value:
        links: Links = tuple(Whole(size) if n in axes else None for n, size in enumerate(value.extents))
        return self._linked(layout, extents_of(layout, len(links)), [(value, links)])

    def _part(self, value: Value, reads: Reads, shape: Sequence[int]) -> Part:
        linked = sorted({read.source for read in reads if read and read.link})
        if linked:
            value = self._gathered(value, reads)
        for dim in linked:
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
                link, steps[axis] = mixed_digits(extent, digits, by_source)
            links.append(link)
        layout = tuple(read_dim(value, read, size, steps) for read, size in zip(reads, shape, strict=True))
        return Part(value, layout, extents_of(layout, len(links)), tuple(links))

    def _linked(
        self,
        layout: Layout,
        extents: tuple[int, ...],
        parents: Sequence[tuple[Value, Links]],
        bounded: frozenset[int] = frozenset(),
        sure: frozenset[int] = frozenset(),
        placed: bool = True,
    ) -> Value:
        axes, certain = [], []
        for axis, extent in enumerate(extents):
            fields = [self._chained(value.field.axes[axis], links[axis], axis, extent) for value, links in parents]
            joined = fields[0]
            for field in fields[1:]:
                joined = join_fields(joined, field, extent, self.input_size[axis])
            axes.append(joined)
            known = all(
                value.certain[axis] and ((link := links[axis]) is None or link.exact) for value, links in parents
            )
            certain.append((known and axis not in bounded) or axis in sure)
        sources = tuple((value.index, links) for value, links in parents)
        placed = placed and all(value.placed for value, _ in parents)
        return self._add(layout, extents, ReceptiveField(tuple(axes)), tuple(certain), sources, placed)

    def _chained(self, below: AxisField, link: Link | None, axis: int, extent: int) -> AxisField:
        if link is None:
            return below
        field = below.then(link.field(), extent)
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
        placed: bool = True,
    ) -> Value:
        value = Value(len(self.values), layout, extents, field, certain, parents, placed=placed)
        self.values.append(value)
        return value
