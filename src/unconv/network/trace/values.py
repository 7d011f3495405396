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
class Part:
    """What one operand alone makes of the output."""

    value: Value
    layout: Layout
    extents: tuple[int, ...]
    links: Links


def is_axis(value: Value, atom: Atom) -> bool:
    """Whether an atom is a whole axis."""
    return atom.axis is not None and atom.size == value.extents[atom.axis]


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
