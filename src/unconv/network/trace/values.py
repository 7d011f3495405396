"""Values: every tensor of a traced network, with what it reads of the tensors before it.

What an operation does to the image's axes is said by one :class:`Read` per output dimension and operand; here is what
follows for one operand alone, in ``joining`` what follows for several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

from unconv.errors import ModelError
from unconv.network.trace import layout as lay
from unconv.network.trace.layout import Atom, Layout
from unconv.network.trace.links import Link, Whole, Window, link_cells
from unconv.operators.geometry.receptive import ReceptiveField

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
    placed: bool = True
    """Whether nothing on the way stepped along an axis of the input that counts as channels by custom alone."""
    start: tuple[int, ...] = ()
    """Where in it, along each dimension, the one tensor stands that it was put together from with constants."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape, batch included."""
        return lay.shape_of(self.layout)

    @property
    def exact(self) -> bool:
        """Whether the field is exact on every axis."""
        lost = {axis for dim in self.layout for axis in lay.lost_in(dim)}
        return all(self.certain) and not lost and self.placed

    @property
    def present(self) -> tuple[int, ...]:
        """The image axes along which the tensor still has units."""
        named = {axis for dim in self.layout for axis in lay.axes_in(dim)}
        return tuple(axis for axis in range(len(self.extents)) if axis in named)


@dataclass(frozen=True)
class Part:
    """What one operand alone makes of the output."""

    value: Value
    layout: Layout
    extents: tuple[int, ...]
    links: Links


def input_cells(values: Sequence[Value], index: int, units: list[set[int]]) -> list[set[int]]:
    """The input's cells, by axis, that some units of a value see, walked back through all values on the way."""
    needed = {index: units}
    reached: list[set[int]] = [set() for _ in units]
    for n in range(index, -1, -1):
        cells = needed.pop(n, None)
        if cells is None or not all(cells):
            continue
        for parent, links in values[n].parents:
            sizes = values[parent].extents
            below = needed.setdefault(parent, [set() for _ in sizes])
            for axis, (link, size) in enumerate(zip(links, sizes, strict=True)):
                below[axis] |= cells[axis] if link is None else link.cells(cells[axis], size)
        if not values[n].parents:
            for axis, found in enumerate(cells):
                reached[axis] |= found
    return reached


def is_axis(value: Value, atom: Atom) -> bool:
    """Whether an atom is a whole axis."""
    return atom.axis is not None and atom.size == value.extents[atom.axis]


def steps_untold(value: Value, reads: Reads) -> bool:
    """Whether an operation gathers some, not all, indices of an input's axis that nobody said to be no place.

    A window along it does, and so does mixing one part of it that a view has cut off.
    """
    untold = {n for n, dim in enumerate(value.layout) if lay.is_untold(dim)}
    if not untold:
        return False
    windows = (read.link for read in reads if read and read.link and read.source in untold)
    kept = {read.source for read in reads if read and not read.mixed} & untold
    return any(link.field().size > 1 for link in windows) or (bool(kept) and kept != untold)


def drop_axes(dim: lay.Dim, axes: frozenset[int]) -> lay.Dim:
    """A dimension whose digits of some axes have become nameless: their order is lost with the rest."""
    atoms = [Atom(a.size, lost=frozenset({a.axis})) if a.axis in axes and a.axis is not None else a for a in dim]
    return lay.fuse(atoms)


def extents_of(layout: Layout, count: int) -> tuple[int, ...]:
    """Units along each axis; 1 where none of it is left."""
    return tuple(prod(atom.size for _, atom in lay.digits_of(layout, axis)) for axis in range(count))


def read_dim(value: Value, read: Read | None, size: int, steps: dict[int, dict[Atom, int]]) -> lay.Dim:
    """The output dimension that one read makes."""
    if read is None:
        return lay.plain_dim(size)
    dim = value.layout[read.source]
    if read.link is not None:
        axis = dim[0].axis if dim else None
        return (Atom(size, axis),) if axis is not None else lay.plain_dim(size, lay.lost_in(dim), lay.is_untold(dim))
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
    return lay.fuse(atoms)


def mixed_digits(
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
    if stays == kept[:1] and offsets == list(range(kept[0].step)):
        return Window(len(offsets), len(offsets)), steps  # blocks side by side
    reads = []
    for unit in range(width):
        base = sum(unit // steps[atom] % atom.size * atom.step for atom in kept)
        reads.append([base + offset for offset in offsets])
    return link_cells(reads, extent), steps


def units_at(name: str, value: Value, position: Sequence[int]) -> list[set[int]]:
    """The units from which a walk back starts, one set per axis; raises ModelError for a position outside."""
    axes, size = value.present, tuple(value.extents[axis] for axis in value.present)
    if len(position) != len(axes) or not all(0 <= p < s for p, s in zip(position, size, strict=True)):
        raise ModelError(
            f"field_box: position {tuple(position)} is outside {name}, which has {' × '.join(map(str, size)) or 'no'} "
            f"units; give one index per axis, {len(axes)} in all"
        )
    chosen = dict(zip(axes, position, strict=True))
    return [{chosen[axis]} if axis in chosen else set(range(extent)) for axis, extent in enumerate(value.extents)]
