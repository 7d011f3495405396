"""Layouts: which dimension of a tensor holds which axis of the image, through any view.

Networks do not leave height and width alone: linear layers flatten them into rows, windowed attention cuts them into
blocks, pixel shuffles build them from channels. So a dimension is a tuple of *atoms*, slowest first, and a view only
regroups atoms. An atom is a digit of an axis — its index times ``step`` adds to the position on that axis — or, without
an axis, something like channels. Fusing the digits of an axis that lie side by side gives the plain axis back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias


@dataclass(frozen=True)
class Atom:
    """Part of a dimension: ``size`` indices, each worth ``step`` units of the image's ``axis`` if there is one.

    ``lost`` names axes that are inside somewhere, in an order no longer known. ``untold`` are indices of an axis of the
    input that counts as channels by custom alone, not mixed yet: it may be a place.
    """

    size: int
    axis: int | None = None
    step: int = 1
    lost: frozenset[int] = frozenset()
    untold: bool = False


Dim: TypeAlias = tuple[Atom, ...]
Layout: TypeAlias = tuple[Dim, ...]


def dim_size(dim: Dim) -> int:
    """Number of indices of a dimension."""
    return prod(atom.size for atom in dim)


def shape_of(layout: Layout) -> tuple[int, ...]:
    """The tensor's shape."""
    return tuple(dim_size(dim) for dim in layout)


def image_layout(shape: Sequence[int], places: Sequence[int] | None = None, untold: bool = False) -> Layout:
    """Layout of an input: which of its dimensions is which axis of the image; (batch, channels, *axes) unless given.

    With ``untold`` nobody said that the other dimensions are no places.

    >>> image_layout((1, 3, 8))[2] == image_layout((1, 8, 3), (1,))[1] == (Atom(8, axis=0),)
    True
    """
    axes = {dim: axis for axis, dim in enumerate(range(2, len(shape)) if places is None else places)}
    return tuple(
        (Atom(size, axes[dim]),) if dim in axes else plain_dim(size, untold=untold and dim > 0)
        for dim, size in enumerate(shape)
    )


def plain_dim(size: int, lost: Iterable[int] = (), untold: bool = False) -> Dim:
    """A dimension without an axis."""
    return fuse([Atom(size, lost=frozenset(lost), untold=untold)])


def is_untold(dim: Dim) -> bool:
    """Whether indices of an input's axis are inside that nobody said to be no place."""
    return any(atom.untold for atom in dim)


def lost_in(dim: Dim) -> frozenset[int]:
    """Axes that are inside a dimension in an order no longer known."""
    return frozenset(axis for atom in dim for axis in atom.lost)


def axes_in(dim: Dim) -> frozenset[int]:
    """Axes that have a digit in a dimension."""
    return frozenset(atom.axis for atom in dim if atom.axis is not None)


def fuse(atoms: Sequence[Atom]) -> Dim:
    """The same dimension in the fewest atoms.

    >>> fuse([Atom(4, axis=0, step=2), Atom(2, axis=0, step=1)])
    (Atom(size=8, axis=0, step=1, lost=frozenset(), untold=False),)
    """
    wide = [atom for atom in atoms if atom.size > 1]
    if not wide:
        named = [atom for atom in atoms if atom.axis is not None]
        return tuple(named[:1])
    found = [wide[0]]
    for atom in wide[1:]:
        last = found[-1]
        if atom.axis is None and last.axis is None:
            found[-1] = Atom(last.size * atom.size, lost=last.lost | atom.lost, untold=last.untold or atom.untold)
        elif atom.axis is not None and atom.axis == last.axis and last.step == atom.step * atom.size:
            found[-1] = replace(atom, size=last.size * atom.size)
        else:
            found.append(atom)
    return tuple(found)


def reshape_layout(layout: Layout, shape: Sequence[int]) -> Layout | None:
    """The layout of a view with another shape; None where an atom would have to be cut unevenly.

    >>> rows = reshape_layout(image_layout((1, 3, 8, 6)), (3, 48))
    >>> [len(dim) for dim in rows]
    [1, 2]
    >>> reshape_layout(rows, (1, 3, 8, 6)) == image_layout((1, 3, 8, 6))
    True
    """
    waiting = [atom for dim in layout for atom in dim]
    dims: list[Dim] = []
    for size in shape:
        taken: list[Atom] = []
        need = size
        while need > 1 and waiting:
            atom = waiting.pop(0)
            if need % atom.size == 0:
                taken.append(atom)
                need //= atom.size
            elif atom.size % need == 0:
                rest = atom.size // need
                taken.append(replace(atom, size=need, step=atom.step * rest if atom.axis is not None else 1))
                waiting.insert(0, replace(atom, size=rest))
                need = 1
            else:
                return None
        if size == 1 and waiting and waiting[0].size == 1:
            taken.append(waiting.pop(0))
        dims.append(fuse(taken))
    return tuple(dims)


def digits_of(layout: Layout, axis: int) -> tuple[tuple[int, Atom], ...]:
    """(dimension, atom) of every digit of an axis, the most significant first."""
    found = [(d, atom) for d, dim in enumerate(layout) for atom in dim if atom.axis == axis]
    return tuple(sorted(found, key=lambda entry: -entry[1].step))
