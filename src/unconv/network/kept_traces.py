"""Traces kept: a network that is still built as it was when it was traced is not traced again."""

from __future__ import annotations

import functools
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from unconv.errors import UnconvError
from unconv.network.run.unwrap_compiled import unwrap_compiled
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace

# Sizes of images of which a network's graph is kept.
SIZES = 8
# Attributes by which networks that run alike may differ: every trace is made in evaluation mode.
_IRRELEVANT = frozenset({"training"})
_PLAIN: tuple[type, ...] = (type(None), bool, int, float, complex, str, bytes, range, slice, Enum)
_PLAIN += (torch.dtype, torch.device, torch.layout, torch.memory_format)
# The same by identity of the class, which is quicker to see.
_ATOMS = frozenset(_PLAIN)
_CONTAINERS = frozenset({dict, OrderedDict, list, tuple, set})


@dataclass(frozen=True)
class Traced:
    """A network's graph for images of one size, or why there is none.

    Attributes:
        graph: the network as it was traced; None where it cannot be.
        refusal: why not, in one line.
        derived: what others have worked out from the graph and keep beside it, by a key of theirs.
    """

    graph: Graph | None
    refusal: str = ""
    derived: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class _Kept:
    """What is kept of a network: how it is built, and its graphs by the size of the images and where they end."""

    structure: Any
    graphs: dict[tuple[tuple[int, ...], tuple[str, ...]], Traced] = field(default_factory=dict)


_KEPT: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()


def keep_trace(model: nn.Module, input_size: Sequence[int], layer: str | None = None) -> Traced:
    """The graph of a network, traced unless it was before and the network is still built as it was then.

    What the weights are does not matter for a graph; everything else that modules hold does, and is compared. A network
    whose structure cannot be compared is traced every time, see :func:`structure_of`, and so is one whose path weights
    or buffers decide on.

    Args:
        model: any module that takes images as its one argument.
        input_size: (channels, \\*size) of an image.
        layer: where the whole network cannot be traced, the part up to this one will do.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3))
    >>> first = keep_trace(model, (3, 32, 32))
    >>> keep_trace(model, (3, 32, 32)) is first
    True
    >>> model[0].stride = (2, 2)
    >>> keep_trace(model, (3, 32, 32)).graph.layers[0].output_shape
    (8, 15, 15)
    """
    model = unwrap_compiled(model)
    structure = structure_of(model)
    if structure is None:
        whole = _trace(model, tuple(input_size))
        return whole if whole.graph is not None or layer is None else _trace(model, tuple(input_size), (layer,))
    kept = _KEPT.get(model)
    if kept is None or kept.structure != structure:
        kept = _KEPT[model] = _Kept(structure)
    whole = _kept(model, kept, tuple(input_size), ())
    return whole if whole.graph is not None or layer is None else _kept(model, kept, tuple(input_size), (layer,))


def remember_trace(model: nn.Module, input_size: Sequence[int], graph: Graph) -> None:
    """Keep the graph of a network that was traced for images of one size, where such graphs are kept."""
    model = unwrap_compiled(model)
    structure = structure_of(model)
    if structure is None or graph.decided:
        return
    kept = _KEPT.get(model)
    if kept is None or kept.structure != structure:
        kept = _KEPT[model] = _Kept(structure)
    if len(kept.graphs) < SIZES:
        kept.graphs.setdefault((tuple(input_size), ()), Traced(graph))


def _kept(model: nn.Module, kept: _Kept, size: tuple[int, ...], layers: tuple[str, ...]) -> Traced:
    key = (size, layers)
    if key not in kept.graphs:
        traced = _trace(model, size, layers)
        if traced.graph is not None and traced.graph.decided:
            return traced
        while len(kept.graphs) >= SIZES:
            kept.graphs.pop(next(iter(kept.graphs)))
        kept.graphs[key] = traced
    return kept.graphs[key]


def _trace(model: nn.Module, size: tuple[int, ...], layers: tuple[str, ...] = ()) -> Traced:
    try:
        return Traced(trace(model, size, layers=layers))
    except UnconvError as error:
        return Traced(None, str(error))


def structure_of(model: nn.Module) -> Any:
    """How a network is built, as a value to compare: its modules, their classes and all they hold but the weights.

    Of tensors shape, type and device count; functions and classes count by identity. None where something is held whose
    inside cannot be compared: objects of other classes, arrays, functions with variables around them, as hooks often
    are. What functions read from elsewhere is not seen.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3))
    >>> before = structure_of(model)
    >>> model[0].weight.data.zero_()[0, 0, 0, 0], structure_of(model) == before
    (tensor(0.), True)
    >>> model[0].padding = (1, 1)
    >>> structure_of(model) == before
    False
    """
    try:
        return _Reader().read(model)
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """Something whose inside cannot be compared."""


class _Reader:
    """Reads what a network holds; modules and containers met again are told by their number."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def read(self, value: Any) -> Any:
        """A value to compare in the place of another."""
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind in _CONTAINERS and not value:
            return kind
        if isinstance(value, _PLAIN):
            return value
        if is_lazy(value):
            raise _UnknownError
        if isinstance(value, Tensor):
            return tuple(value.shape), value.dtype, value.device
        if isinstance(value, type | BuiltinFunctionType):
            return value
        if isinstance(value, FunctionType):
            if value.__closure__:
                raise _UnknownError
            return value
        if isinstance(value, MethodType):
            return value.__func__, self.read(value.__self__)
        if isinstance(value, functools.partial):
            return self.read(value.func), self.read(value.args), self.read(value.keywords)
        if id(value) in self._numbers:
            return "again", self._numbers[id(value)]
        self._numbers[id(value)] = len(self._numbers)
        if isinstance(value, nn.Module):
            return self._module(value)
        return self._container(value)

    def _module(self, module: nn.Module) -> Any:
        if isinstance(module, torch.jit.ScriptModule):
            raise _UnknownError
        cls = type(module)
        held = [(name, self.read(one)) for name, one in vars(module).items() if name not in _IRRELEVANT]
        return cls, cls.forward, held

    def _container(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return type(value), [(self.read(key), self.read(one)) for key, one in value.items()]
        if isinstance(value, list | tuple | deque):
            return type(value), [self.read(one) for one in value]
        if isinstance(value, set | frozenset) and all(isinstance(one, _PLAIN) for one in value):
            return type(value), frozenset(value)
        raise _UnknownError
