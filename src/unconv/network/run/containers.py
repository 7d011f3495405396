"""Mutable containers that a model holds: their entries read, compared, and put back where they changed."""

from __future__ import annotations

import io
import logging
import pickle
import queue
import random
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from operator import is_
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Entries = tuple[Any, ...]


def _identical(before: Entries, after: Entries) -> bool:
    return len(before) == len(after) and all(map(is_, before, after))


def _same_bytes(before: Entries, after: Entries) -> bool:
    return not (before and after) or bool(before[0].tobytes() == after[0].tobytes())


def _equal(before: Entries, after: Entries) -> bool:
    return before == after


@dataclass(frozen=True)
class Kind:
    """How a kind of container is read and written: by the methods of its base, whatever a subclass forbids.

    Attributes:
        base: the class whose instances, subclasses' among them, are of this kind.
        read: the entries, those that change in place copied.
        write: puts the entries back.
        same: whether entries read twice are the same.
        nested: whether the entries may hold containers again.
    """

    base: type
    read: Callable[[Any], Entries]
    write: Callable[[Any, Entries], None]
    same: Callable[[Entries, Entries], bool] = _identical
    nested: bool = True


def _mapping(base: type) -> Kind:
    """A kind of dictionary; entries are the keys, then the values."""
    methods: Any = base

    def read(held: Any) -> Entries:
        return (*methods.keys(held), *methods.values(held))

    def write(held: Any, entries: Entries) -> None:
        half = len(entries) // 2
        keys = entries[:half]
        # First back, then away: cut short at any moment, nothing that was there is lost.
        for key, value in zip(keys, entries[half:], strict=True):
            methods.__setitem__(held, key, value)
        known = set(keys)
        for key in [key for key in methods.keys(held) if key not in known]:
            methods.__delitem__(held, key)
        if not all(map(is_, methods.keys(held), keys)):
            # Keys that had gone stand last now.
            methods.clear(held)
            for key, value in zip(keys, entries[half:], strict=True):
                methods.__setitem__(held, key, value)

    return Kind(base, read, write)


def _write_set(held: set[Any], entries: Entries) -> None:
    set.update(held, entries)
    set.intersection_update(held, entries)


def _write_deque(held: deque[Any], entries: Entries) -> None:
    deque.clear(held)
    deque.extend(held, entries)


def _write_bytes(held: bytearray, entries: Entries) -> None:
    bytearray.__setitem__(held, slice(None), entries[0])


def _read_array(held: Any) -> Entries:
    # What nobody can write to, such as data sets mapped into memory, is not copied.
    return (np.ndarray.copy(held),) if held.flags.writeable else ()


def _write_array(held: Any, entries: Entries) -> None:
    np.ndarray.__setitem__(held, ..., entries[0])


def _write_bits(held: np.random.Generator, entries: Entries) -> None:
    held.bit_generator.state = pickle.loads(entries[0])


# The first whose base fits counts. Generators of random numbers are containers of their state.
KINDS = (
    _mapping(OrderedDict),
    _mapping(dict),
    Kind(list, lambda held: (*list.__iter__(held),), lambda held, e: list.__setitem__(held, slice(None), e)),
    Kind(set, lambda held: (*set.__iter__(held),), _write_set),
    Kind(deque, lambda held: (*deque.__iter__(held),), _write_deque),
    Kind(bytearray, lambda held: (bytes(held),), _write_bytes, _equal, nested=False),
    Kind(np.ndarray, _read_array, _write_array, _same_bytes, nested=False),
    Kind(
        torch.Generator,
        lambda held: (held.get_state(),),
        lambda held, entries: held.set_state(entries[0]),
        lambda before, after: torch.equal(before[0], after[0]),
        nested=False,
    ),
    Kind(random.Random, lambda held: (held.getstate(),), lambda held, e: held.setstate(e[0]), _equal, nested=False),
    Kind(
        np.random.Generator, lambda held: (pickle.dumps(held.bit_generator.state),), _write_bits, _equal, nested=False
    ),
)
_BY_TYPE = {kind.base: kind for kind in KINDS}
_SIZED = frozenset({OrderedDict, dict, list, set, deque, bytearray})

# Nothing in these changes.
_ATOMS = frozenset(
    {type(None), bool, int, float, complex, str, bytes, range, slice, torch.Size, torch.dtype, torch.device}
)

# What these hold is not the model's own: code, what threads share, and entries that come and go by themselves.
_FOREIGN = (
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    Enum,
    logging.Logger,
    logging.Handler,
    io.IOBase,
    threading.Thread,
    threading.local,
    queue.Queue,
    queue.SimpleQueue,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
)

# Containers without entries of their own to change; what they hold may.
_READ_ONLY: dict[type, Callable[[Any], Iterable[Any]]] = {
    tuple: tuple.__iter__,
    frozenset: frozenset.__iter__,
    MappingProxyType: lambda held: (*held.values(),),
}

# In place of an attribute in a slot that was never set.
_UNSET = object()


class Held(NamedTuple):
    """A container and its entries at one moment."""

    container: Any
    kind: Kind
    entries: Entries

    @property
    def name(self) -> str:
        """What it is called in an error."""
        return type(self.container).__name__

    def put_back(self) -> None:
        """Give the container the entries that it had, unless it has them still."""
        if not self.kind.same(self.entries, self.kind.read(self.container)):
            self.kind.write(self.container, self.entries)


class Empty(NamedTuple):
    """Containers that hold nothing, as most hooks of most modules do: told by their length alone.

    Instances of the kinds' bases, not of subclasses.
    """

    containers: list[Any]
    name: str = "empty container"

    def put_back(self) -> None:
        """Empty those that hold something."""
        for container in filter(len, self.containers):
            _BY_TYPE[type(container)].write(container, ())


@dataclass(frozen=True)
class _Way:
    """What is read of the instances of a class; nothing where they are an end of the way."""

    kinds: tuple[Kind, ...] = ()
    members: tuple[Callable[[Any], Iterable[Any]], ...] = ()
    tensor: bool = False

    @property
    def ends(self) -> bool:
        """Whether the way ends there."""
        return not (self.kinds or self.members or self.tensor)


def read_containers(roots: Iterable[Any]) -> tuple[list[Held | Empty], list[Tensor]]:
    """Every mutable container that can be reached from some objects, and every tensor.

    The way leads through attributes and entries, those of read-only containers among them; it ends at functions,
    classes, and what threads share. Attributes are the entries of an object's ``__dict__``.

    >>> (_, held, _), tensors = read_containers([{"sizes": ([1, 2],), "mean": torch.zeros(3)}])
    >>> held.container, len(tensors)
    ([1, 2], 1)
    """
    empty: list[Any] = []
    found: list[Held | Empty] = []
    tensors: list[Tensor] = []
    seen: set[int] = set()
    ways: dict[type, _Way] = {}
    ends = set(_ATOMS)
    waiting: list[Any] = []

    def queue_entries(values: Iterable[Any]) -> None:
        # Most of what a module holds is names, numbers and empty dictionaries of hooks.
        for value in values:
            cls = type(value)
            if cls not in ends:
                (empty if cls in _SIZED and not value else waiting).append(value)

    queue_entries(roots)
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        cls = type(value)
        way = ways.get(cls) or ways.setdefault(cls, _way_of(cls))
        if way.tensor:
            tensors.append(value)
            continue
        if way.ends:
            ends.add(cls)
        for kind in way.kinds:
            held = Held(value, kind, kind.read(value))
            found.append(held)
            if kind.nested:
                queue_entries(held.entries)
        for members in way.members:
            queue_entries(members(value))
    return [*found, Empty(empty)], tensors


def _way_of(cls: type) -> _Way:
    """How the instances of a class are read."""
    if issubclass(cls, Tensor):
        return _Way(tensor=True)
    if issubclass(cls, _FOREIGN):
        return _Way()
    if cls in _BY_TYPE:
        return _Way((_BY_TYPE[cls],))
    kinds = [*(one for one in KINDS if issubclass(cls, one.base))][:1]
    members = [read for base, read in _READ_ONLY.items() if issubclass(cls, base)]
    return _Way((*kinds, *_slots(cls)), (*members, _attributes))


def _attributes(value: Any) -> Iterator[dict[str, Any]]:
    try:
        # A class's own __getattr__ is not asked.
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return
    if isinstance(attributes, dict):
        yield attributes


def _slots(cls: type) -> Iterator[Kind]:
    """The attributes of a class that it keeps in slots, where there are any, as a kind of container."""
    slots = [
        member
        for base in cls.__mro__
        if "__slots__" in vars(base)
        for member in vars(base).values()
        if isinstance(member, MemberDescriptorType)
    ]
    if not slots:
        return

    def read(held: Any) -> Entries:
        return tuple(_read_slot(slot, held) for slot in slots)

    def write(held: Any, entries: Entries) -> None:
        for slot, value in zip(slots, entries, strict=True):
            if value is not _UNSET:
                slot.__set__(held, value)
            elif _read_slot(slot, held) is not _UNSET:
                slot.__delete__(held)

    yield Kind(cls, read, write)


def _read_slot(slot: MemberDescriptorType, held: Any) -> Any:
    try:
        return slot.__get__(held)
    except AttributeError:
        return _UNSET
