"""Captions: title, settings, sizes and the relation with its working."""

from __future__ import annotations

from collections.abc import Sequence

from unconv.describe import counted as counted
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.relations import Relation
from unconv.operators.geometry.size_texts import (
    padding_text as padding_text,
    short_text as short_text,
    size_text as size_text,
)

# What it means that a switch is not as usual.
_SWITCHES = {"ceil_mode": "ceil mode", "count_include_pad": "padding not counted"}
_AXES = {1: ("",), 2: ("rows: ", "columns: "), 3: ("depth: ", "rows: ", "columns: ")}


def settings(geometry: Geometry) -> str:
    """Everything that is set, in words; defaults are left out.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> settings(ConvGeometry(input_size=(5, 5), kernel_size=3, stride=2, padding=1))
    'kernel 3 × 3, stride 2, padding 1'
    """
    words = [f"{geometry.kind.window} {size_text(geometry.kernel_size)}", f"stride {short_text(geometry.stride)}"]
    if any(map(any, geometry.padding)):
        words.append(f"padding {padding_text(geometry.padding)}")
    for name, default in type(geometry).settings().items():
        value = getattr(geometry, name)
        if value not in (default, (default,) * geometry.dimensions):
            spelled = f"{name.replace('_', ' ')} {short_text(value) if isinstance(value, tuple) else value}"
            words.append(_SWITCHES.get(name, spelled))
    return ", ".join(words)


def relation_line(relation: Relation) -> str:
    """Number, formula and working of one axis.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> relation_line(ConvGeometry(input_size=5, kernel_size=3, stride=2, padding=1).relations[0])
    'Relation 6:  o = ⌊(i + 2p − k)/s⌋ + 1 = ⌊(5 + 2·1 − 3)/2⌋ + 1 = 3'
    """
    result = relation.working.split(" = ", 1)[1]
    name = f"Relation {relation.number}" if relation.number else "No relation in the guide"
    return f"{name}:  {relation.formula} = {result}"


def relation_lines(geometry: Geometry) -> tuple[str, ...]:
    """One line where all axes agree, else one line per axis."""
    lines = [relation_line(relation) for relation in geometry.relations]
    if len(set(lines)) == 1:
        return (lines[0],)
    return tuple(axis + line for axis, line in zip(_AXES[geometry.dimensions], lines, strict=True))


def position_text(position: Sequence[int]) -> str:
    """A position as coordinates.

    >>> position_text((0, 2))
    '(0, 2)'
    """
    return f"({', '.join(map(str, position))})"
