"""Tensors by name, however they are nested: in envelopes, in whole modules, beside other things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unconv.models.load.weights.foreign import Foreign
from unconv.results import Shown

# More names than any network has: a file may hold the same mapping in itself many times over.
MOST_NAMES, MOST_OBJECTS = 1_000_000, 10_000_000
# Numbers that torch has, by numpy's letters for them.
NUMBERS = "biufc"


@dataclass(frozen=True, eq=False, repr=False)
class Contents(Shown):
    """What is in a weight file.

    Attributes:
        tensors: by name, the names of what they are nested in in front: ``state_dict.module.conv1.weight``.
        places: what holds tensors directly, by name; empty text for the file itself.
        notes: what was converted or left out when it was read.
        about: what a reader should know of the tensors of a place, by its name.

    >>> contents_of({"epoch": 3, "net": {"fc.bias": torch.zeros(2)}}).places
    ('net',)
    """

    tensors: dict[str, Tensor]
    places: tuple[str, ...]
    notes: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)


def contents_of(value: object, notes: tuple[str, ...] = ()) -> Contents:
    """The tensors in an object, by name.

    Mappings, lists of them, and descriptions of foreign objects are gone into; of a module, its parameters, its
    buffers, and the modules in it.

    Raises ValueError for more than a million names.

    >>> list(contents_of({"model": {"fc.bias": torch.zeros(2)}, "ema": [{"fc.bias": torch.ones(2)}]}).tensors)
    ['model.fc.bias', 'ema.0.fc.bias']
    """
    tensors: dict[str, Tensor] = {}
    places: dict[str, None] = {}
    for place, name, tensor in _walk(value):
        places[place] = None
        tensors.setdefault(f"{place}.{name}" if place else name, tensor)
        if len(tensors) > MOST_NAMES:
            raise ValueError(f"more than {MOST_NAMES:,} tensors by name")
    return Contents(tensors, tuple(places), notes)


def _walk(value: object) -> Iterator[tuple[str, str, Tensor]]:
    """(place, name, tensor) of all tensors; what holds itself is gone into once."""
    # Depth first without recursion: a pickle may be nested deeper than Python calls.
    stack = [_Level("", "", value, iter(_children(value)))]
    around = {id(value)}
    for _ in range(MOST_OBJECTS):
        level = stack[-1]
        name, inside = next(level.children, ("", _END))
        tensor = inside if isinstance(inside, Tensor) else _array(inside)
        if inside is _END:
            around.discard(id(stack.pop().value))
            if not stack:
                return
        elif tensor is not None:
            yield level.place, f"{level.below}{name}", tensor
        elif id(inside) not in around and (children := _children(inside)):
            around.add(id(inside))
            stack.append(level.inside(name, inside, iter(children)))
    raise ValueError(f"more than {MOST_OBJECTS:,} objects by name")


_END = object()


@dataclass(frozen=True)
class _Level:
    """A container that is being gone through; a module in a module belongs to the outer one's place."""

    place: str
    below: str
    value: object
    children: Iterator[tuple[str, Any]]

    def inside(self, name: str, value: object, children: Iterator[tuple[str, Any]]) -> _Level:
        if isinstance(value, Foreign) and isinstance(self.value, Foreign):
            return _Level(self.place, f"{self.below}{name}.", value, children)
        place = ".".join(filter(None, (self.place, f"{self.below}{name}")))
        return _Level(place, "", value, children)


def _children(value: Any) -> list[tuple[str, Any]]:
    """What an object holds by name."""
    if isinstance(value, Mapping):
        return [(str(key), inside) for key, inside in value.items()]
    if isinstance(value, list | tuple):
        # Tensors in lists have no names: an optimiser's, a batch.
        return [(str(key), inside) for key, inside in enumerate(value) if not isinstance(inside, Tensor)]
    return _attributes(value) if isinstance(value, Foreign) else []


def _attributes(value: Foreign) -> list[tuple[str, Any]]:
    """What a foreign object holds: of a module, what its state dict would."""
    held: dict[Any, Any] = {}
    # Slots come as a second mapping, some constructors take their content as an argument.
    states = value.state if isinstance(value.state, tuple) else (value.state,)
    for part in (*value.arguments, *states, value.entries):
        if isinstance(part, Mapping):
            held.update(part)
    if isinstance(held.get("_modules"), Mapping):
        parts = [held.get(kind) for kind in ("_parameters", "_buffers", "_modules")]
        unsaved = held.get("_non_persistent_buffers_set")
        left_out = unsaved if isinstance(unsaved, set) else set()
        held = {
            key: inside
            for part in parts
            if isinstance(part, Mapping)
            for key, inside in part.items()
            if not (part is held.get("_buffers") and key in left_out)
        }
    return [(str(key), inside) for key, inside in held.items()]


def _array(value: object) -> Tensor | None:
    """The tensor of a numpy array that a file describes, None for all else."""
    if not isinstance(value, Foreign) or not value.kind.startswith("numpy."):
        return None
    if value.kind.endswith("._reconstruct") and isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, kind, by_columns, content = value.state
    elif value.kind.endswith("._frombuffer") and len(value.arguments) == 4:
        content, kind, shape, order = value.arguments
        by_columns = order == "F"
    else:
        return None
    dtype = _dtype(kind)
    # Python 2 wrote bytes as text.
    content = content.encode("latin-1") if isinstance(content, str) else content
    if dtype is None or not isinstance(content, bytes | bytearray):
        return None
    flat = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
    return torch.from_numpy(flat.reshape(shape, order="F" if by_columns else "C").copy(order="C"))


def _dtype(kind: object) -> np.dtype[Any] | None:
    """The number format that a file describes, None for one that torch does not have."""
    if not isinstance(kind, Foreign) or kind.kind != "numpy.dtype" or not kind.arguments:
        return None
    letters = kind.arguments[0]
    if not isinstance(letters, str) or letters[:1] not in NUMBERS or not letters[1:].isdigit():
        return None
    big = isinstance(kind.state, tuple) and len(kind.state) > 1 and kind.state[1] == ">"
    return np.dtype(f"{'>' if big else '<'}{letters}")
