"""Known values: what a traced pass makes of weights, buffers and constants alone, computed where it is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from unconv.network.trace.operation import base_name, memory_of, tensors_in, written_arguments
from unconv.network.trace.rules.all_rules import reads_shape_only


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor whose values are there: a weight, a buffer."""

    values: Tensor


@dataclass(frozen=True, eq=False)
class Made:
    """What an operation makes of known tensors; of several outputs, one."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: int = 0

    @cached_property
    def values(self) -> Tensor:
        """The values, computed when they are first asked for."""
        given, named = tree_map(_values_in, (self.args, self.kwargs))
        outputs: list[Tensor] = [one for one in tree_leaves(self.func(*given, **named)) if isinstance(one, Tensor)]
        return outputs[self.output]


def _values_in(leaf: Any) -> Any:
    return leaf.values if isinstance(leaf, (Constant, Made)) else leaf


class KnownValues:
    """Of the tensors of a pass, those whose values do not depend on the network's input.

    Nothing is computed until something asks: a path, a size, an index. Weights and buffers are never written to: an
    operation that does makes new values of theirs, and of all that shares the memory.

    >>> fakes, weight = FakeTensorMode(allow_non_fake_inputs=True), torch.ones(2)
    >>> known, doubled = KnownValues(fakes), fakes.from_tensor(weight * 2)
    >>> known.values(doubled)
    >>> known.note(torch.ops.aten.mul.Tensor, (weight, 2), {}, [doubled])
    >>> known.values(doubled)
    tensor([2., 2.])
    """

    def __init__(self, fakes: FakeTensorMode, held: Iterable[Tensor] = ()) -> None:
        self._fakes = fakes
        self._held = frozenset(map(id, held))
        self.decided = False
        """Whether something was asked that follows from the weights and buffers held."""
        self._known: dict[int, Constant | Made | None] = {}
        self._sharing: dict[int, list[Tensor]] = defaultdict(list)
        self._stand_ins: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, tensor: Tensor) -> Constant | Made | None:
        """How the values of a tensor are known; None where they are not."""
        if id(tensor) in self._known:
            return self._known[id(tensor)]
        return None if isinstance(tensor, FakeTensor) else Constant(tensor)

    def values(self, tensor: Tensor) -> Tensor | None:
        """The values of a tensor; None where they are not known."""
        known = self.of(tensor)
        if known is None:
            return None
        self.decided = self.decided or any(id(one) in self._held for one in _constants_in(known))
        with _disable_current_modes(), torch.no_grad():
            return known.values

    def numbers(self, tensor: Tensor) -> list[Any] | None:
        """The values of a tensor as plain numbers, in lists; None where they are not known."""
        values = self.values(tensor)
        with _disable_current_modes():
            return None if values is None else values.tolist()

    def compute(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The result of an operation all of whose tensors are known."""
        given, named = tree_map(lambda one: self.values(one) if isinstance(one, Tensor) else one, (tuple(args), kwargs))
        with _disable_current_modes(), torch.no_grad():
            return func(*given, **named)

    def cells_of(self, index: Tensor | None) -> Sequence[Tensor | None]:
        """The numbers of the cells that a mask keeps, per dimension, where it is known; other indices as they are."""
        if index is None or index.dtype not in (torch.bool, torch.uint8) or (mask := self.values(index)) is None:
            return [index]
        with _disable_current_modes():
            return mask.nonzero().unbind(1)

    def stand_in(self, tensor: Tensor) -> Tensor:
        """The fake tensor that takes the place of a weight, a buffer or a constant in all operations."""
        if id(tensor) not in self._stand_ins:
            # With the tensor, whose id is nobody else's as long as it is there.
            self._stand_ins[id(tensor)] = self._fakes.from_tensor(tensor, static_shapes=True), tensor
        return self._stand_ins[id(tensor)][0]

    def sharing(self, tensor: Tensor) -> Sequence[Tensor]:
        """The tensors that are known to share the memory of one, itself among them if anything was noted of it."""
        return self._sharing.get(self._memory(tensor), ())

    def note(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: Sequence[Tensor]) -> None:
        """Remember what an operation made, and what it changed."""
        written, shape_only = written_arguments(func), takes_shape_only(func)
        if not outputs and not written:
            return
        # As most do: nothing follows, unless it writes to what shares memory with something known.
        idle = not shape_only and any(self._is_unknown(one) for one in (args if not written else args[:1]))
        if idle and (not written or (written[-1][0] == 0 and self._memory(args[0]) not in self._sharing)):
            return
        leaves = tensors_in((*args, *kwargs.values()))
        known = {id(leaf): self.of(leaf) or (_blank(leaf) if shape_only else None) for leaf in leaves}
        sure = None not in known.values() and torch.Tag.nondeterministic_seeded not in func.tags
        if not sure and not written:
            return
        for tensor in (*leaves, *outputs):
            sharing = self._sharing[self._memory(tensor)]
            if not any(other is tensor for other in sharing):
                sharing.append(tensor)
        given = tuple(_replaced(one, known) for one in args)
        named = {name: _replaced(one, known) for name, one in kwargs.items()}
        if not written:
            for n, tensor in enumerate(outputs):
                self._known[id(tensor)] = Made(func, given, named, n)
            return
        for n, name in written:
            changed = args[n] if n < len(args) else kwargs.get(name)
            if isinstance(changed, Tensor):
                sole = sure and len(written) == 1
                self._write(changed, (func, n if n < len(args) else name, given, named) if sole else None)

    def _is_unknown(self, argument: Any) -> bool:
        first = argument[0] if isinstance(argument, (list, tuple)) and argument else argument
        return isinstance(first, FakeTensor) and self._known.get(id(first)) is None

    def _write(self, tensor: Tensor, change: tuple[Any, ...] | None) -> None:
        """All that shares the memory of a tensor after a change of it; None where that is not known."""
        sharing = self._sharing[self._memory(tensor)]
        base = self.of(sharing[0])
        first = sharing[0].storage_offset()
        place = (tuple(tensor.shape), tensor.stride(), tensor.storage_offset() - first)
        after = None if base is None or change is None else Made(_changed, (base, place, *change), {})
        for other in sharing:
            view = (tuple(other.shape), other.stride(), other.storage_offset() - first)
            self._known[id(other)] = None if after is None else Made(torch.as_strided, (after, *view), {})

    def _memory(self, tensor: Tensor) -> int:
        return memory_of(tensor if isinstance(tensor, FakeTensor) else self.stand_in(tensor))


def _replaced(argument: Any, known: Mapping[int, Any]) -> Any:
    """An argument with other things in the place of its tensors."""
    if isinstance(argument, Tensor):
        return known[id(argument)]
    if isinstance(argument, (list, tuple)):
        return type(argument)([known[id(one)] if isinstance(one, Tensor) else one for one in argument])
    return argument


def _constants_in(known: Constant | Made) -> Iterator[Tensor]:
    waiting, seen = [known], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Constant):
            yield one.values
        else:
            waiting += [leaf for leaf in tree_leaves((one.args, one.kwargs)) if isinstance(leaf, (Constant, Made))]


def _blank(tensor: Tensor) -> Made:
    """Stands for a tensor of which only the shape counts."""
    settings = {"dtype": tensor.dtype, "device": tensor.device}
    return Made(torch.empty, (tuple(tensor.shape),), settings)


def _changed(base: Tensor, place: tuple[Any, ...], func: Any, argument: int | str, args: Any, kwargs: Any) -> Tensor:
    """A copy of some memory in which an operation has written to a stretch, its argument of a place or a name."""
    copied = base.clone()
    given: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs, argument: copied.as_strided(*place)}
    func(*(given[n] for n in range(len(args))), **{name: given[name] for name in kwargs})
    return copied


@cache
def takes_shape_only(func: Any) -> bool:
    """Whether an operation takes only the shape of a tensor that it is given.

    >>> takes_shape_only(torch.ops.aten.ones_like.default), takes_shape_only(torch.ops.aten.neg.default)
    (True, False)
    """
    return reads_shape_only(base_name(func))
