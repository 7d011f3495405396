"""Rectifiers that a pass composes of several operations, found while it runs.

Every call of a torch function is looked at. What works element by element is remembered with what it was computed
from: in autograd's graph, or beside it for tensors without gradient. Whenever an operation completes a function of one
value that rectifies, whoever asked is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.utils.weak import WeakIdKeyDictionary

from unconv.visualize.reverse.rectifiers.anchors import Lent, Place, anchor
from unconv.visualize.reverse.rectifiers.calls import Call, Slot, flips, is_affine, replace_tensors, scales_up
from unconv.visualize.reverse.rectifiers.curves import Curve
from unconv.visualize.reverse.rectifiers.detached import DETACHED, PART, SCALED, mark, put_back, read_by, tensors_in
from unconv.visualize.reverse.rectifiers.pointwise import Pointwise, pointwise
from unconv.visualize.reverse.rectifiers.relu import changes_in_place
from unconv.visualize.reverse.rectifiers.spellings import decides
from unconv.visualize.reverse.rectifiers.values import (
    COPIED,
    VALUE,
    Value,
    between,
    common_origin,
    curve_between,
    signature,
    value_at,
    version_of,
)

_NUMBER = "scaling by a number, perhaps one read from the activations"
# x[mask] and x[mask] = y.
_CHOICE = Pointwise("choice")


@dataclass(frozen=True, eq=False)
class Composite:
    """A rectifier that several operations are together.

    Attributes:
        place: where the value that it rectifies stood; None in a pass where nobody goes back.
        result: what it gives.
        curve: which rectifier it is.
        in_place: whether the result has overwritten an operand.
    """

    place: Place | None
    result: Tensor
    curve: Curve
    in_place: bool


class Follower:
    """Follows the elementwise functions of one pass.

    Args:
        finish: is given each rectifier that is composed, and gives what the pass goes on with.
        goes_back: whether it needs the places of values in autograd's graph.
    """

    def __init__(self, finish: Callable[[Composite], Tensor], goes_back: bool = True) -> None:
        self._finish, self._goes_back = finish, goes_back
        # Values of tensors without gradient; and rectifiers among them that a function of autograd may give one.
        self._apart: MutableMapping[Tensor, Value] = WeakIdKeyDictionary()
        self._waiting: MutableMapping[Tensor, tuple[Value, Place | None, Curve]] = WeakIdKeyDictionary()
        self._leaves: MutableMapping[Tensor, Value] = WeakIdKeyDictionary()
        self._curves: dict[Any, Curve | None] = {}
        # Whether the model has read numbers from activations: where they go is not seen.
        self._reads_numbers = False

    def call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], rectifier: bool = False) -> Any:
        """What a torch function gives, looked at; ``rectifier``: whether it is known to be one by its name."""
        self.settle(args)
        kind = pointwise(func) or self._choice(func, args)
        changes = changes_in_place(func, kwargs)
        if (
            kind is None
            or not args
            or torch.is_inference_mode_enabled()
            or (changes and args[0]._is_view() and (rectifier or not self._goes_back))
        ):
            return self._mixed(func, args, kwargs, changes)
        operands, call = self._slots(kind, func, args, kwargs, changes)
        if not operands:
            return func(*args, **kwargs)
        values = [self.value_of(tensor) for tensor in operands]
        source = common_origin(values)
        if source is None:
            return self._mixed(func, args, kwargs, changes)
        affine = len(values) == 1 and is_affine(kind, call)
        on_view = changes and args[0]._is_view()
        if affine and on_view:
            return self._mixed(func, args, kwargs, changes)
        places = self._places(operands, affine, changes)
        given = (args[0].clone(), *args[1:]) if on_view else args
        result = func(*given, **kwargs)
        if changes:
            result = given[0]
        if not isinstance(result, Tensor) or (result.shape != source.shape and kind is not _CHOICE):
            self._note_mixed(result, func, args, kwargs)
            return result
        value = Value(result.shape, version_of(result), call, tuple(values), places)
        if rectifier:
            value.start, value.rectified = source, True
        elif affine:
            value.start, value.rectified = source.start, source.rectified and scales_up(call)
            if value.rectified:
                mark(result, SCALED, call.name)
            if self._reads_numbers and call.name in ("mul", "div") and not call.constants:
                mark(result, PART, _NUMBER)
            if source.start is not None and (not result.requires_grad or (not source.rectified and flips(call))):
                result = self._complete(result, value, source.start)
        else:
            value.start = source.start or source
            result = self._complete(result, value, source)
        self._mark_choice(result, func, args)
        self._remember(result, value)
        return put_back(args[0], result) if on_view else result

    def stand_for(self, tensor: Tensor, result: Tensor) -> None:
        """Take a tensor, from here on, for the result that was copied over it."""
        node: Any = tensor.grad_fn
        node.metadata[COPIED] = result.grad_fn

    def value_of(self, tensor: Tensor) -> Value:
        """What is known of an activation."""
        version = version_of(tensor)
        if self._apart:
            apart = self._apart.get(tensor)
            if apart is not None:
                return apart if apart.version == version else self._remember(tensor, Value(tensor.shape, version))
        node: Any = tensor.grad_fn
        if node is None:
            return self._leaves.setdefault(tensor, Value(tensor.shape, version))
        return value_at(node, tensor.output_nr, tensor.shape, version)

    def settle(self, given: Any) -> None:
        """Finish rectifiers among some arguments that a function of autograd computed."""
        if not self._waiting:
            return
        for tensor in tensors_in(given):
            if tensor.requires_grad and tensor in self._waiting:
                value, place, curve = self._waiting.pop(tensor)
                self._apart.pop(tensor, None)
                # A function that says what it overwrites counts once more.
                if version_of(tensor) - value.version in (0, 1) and not tensor._is_view():
                    self._remember(self._end(tensor, value, place, curve, in_place=True), value)

    def note_mixed(self, result: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at what a function gave that does not work element by element."""
        if self._apart or not result.requires_grad:
            self._note_mixed(result, func, args, kwargs)

    def _complete(self, result: Tensor, value: Value, source: Value) -> Tensor:
        """The result of operations that are not affine, gone on with as a rectifier if they are one."""
        call = value.call
        assert call is not None
        for start in _starts(source):
            if start.shape != value.shape or (
                value.inputs == (start,) and torch.is_grad_enabled() and decides(call.func)
            ):
                continue
            curve = self._curve(value, start)
            place = self._find(value, start)
            if curve is None or (place is None and self._goes_back):
                continue
            if torch.is_grad_enabled() and result.requires_grad:
                value.start = start
                return self._end(result, value, place, curve, call.changes)
            self._waiting[result] = (value, place, curve)
            break
        else:
            if result.requires_grad and any(place is None for place in value.places):
                mark(result, DETACHED, call.name)
        return result

    def _end(self, result: Tensor, value: Value, place: Place | None, curve: Curve, in_place: bool) -> Tensor:
        value.rectified = True
        finished = self._finish(Composite(place, result, curve, in_place))
        value.version = version_of(finished)
        return finished

    def _curve(self, value: Value, start: Value) -> Curve | None:
        steps = between(value, start)
        key = signature(steps, start)
        if key is None:
            return curve_between(steps, start)
        if key not in self._curves:
            self._curves[key] = curve_between(steps, start)
        return self._curves[key]

    def _find(self, value: Value, wanted: Value) -> Place | None:
        """Where a value stood that another one was computed from, if that is still known."""
        for step in reversed(between(value, wanted)):
            for source, place in zip(step.inputs, step.places, strict=False):
                if source is wanted and isinstance(place, Place):
                    return place
                tensor = place() if isinstance(place, ref) else None
                if source is wanted and tensor is not None and self.value_of(tensor) is wanted:
                    return Place(tensor, get_gradient_edge(tensor))
        return None

    def _places(self, operands: Sequence[Tensor], affine: bool, changes: bool) -> tuple[Place | Lent | None, ...]:
        if not self._goes_back:
            return tuple(ref(one) if one.requires_grad else None for one in operands)
        if affine:
            return (None if changes or not operands[0].requires_grad else ref(operands[0]),)
        return tuple(anchor(one) if one.requires_grad else None for one in operands)

    def _choice(self, func: Any, args: tuple[Any, ...]) -> Pointwise | None:
        """Whether the elements of a tensor are chosen or set by a mask that was computed from the activations."""
        if getattr(func, "__name__", "") not in ("__getitem__", "__setitem__"):
            return None
        key = args[1]
        is_mask = isinstance(key, Tensor) and key.dtype == torch.bool and key.shape == args[0].shape
        return _CHOICE if is_mask and self._is_activation(key) else None

    def _is_activation(self, tensor: Tensor) -> bool:
        return tensor.requires_grad or (bool(self._apart) and tensor in self._apart)

    def _slots(
        self, kind: Pointwise, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], changes: bool
    ) -> tuple[list[Tensor], Call]:
        """The operands of a call, and the call with slots in their places."""
        if kind.name == "copy":
            # What it overwrites does not matter.
            kind, func, args, kwargs, changes = Pointwise("clone"), torch.clone, args[1:2], {}, False
        operands: list[Tensor] = []
        constants: list[Tensor] = []

        def place(tensor: Tensor) -> Any:
            if not self._is_activation(tensor):
                constants.append(tensor)
                return tensor
            operands.append(tensor)
            return Slot(len(operands) - 1)

        first, rest = replace_tensors(args[:1], place), args[1:]
        if kind.casts:
            slotted, named = (*first, *replace_tensors(rest, lambda one: one.new_empty(0))), kwargs
        else:
            slotted, named = (*first, *replace_tensors(rest, place)), replace_tensors(kwargs, place)
        return operands, Call(kind.name, func, slotted, named, changes, tuple(constants))

    def _remember(self, tensor: Tensor, value: Value) -> Value:
        self._forget(tensor, value)
        node: Any = tensor.grad_fn
        if node is not None and torch.is_grad_enabled():
            node.metadata[VALUE, tensor.output_nr] = value
            self._apart.pop(tensor, None)
        else:
            self._apart[tensor] = value
        return value

    def _forget(self, tensor: Tensor, value: Value | None = None) -> None:
        """A tensor that was overwritten is no rectifier any more."""
        if self._waiting and tensor in self._waiting and self._waiting[tensor][0] is not value:
            del self._waiting[tensor]

    def _mixed(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], changes: bool) -> Any:
        """What a function gives that does not work element by element on one value."""
        base = args[0]._base if changes else None
        result = func(*args, **kwargs)
        if changes:
            self._forget(args[0])
        elif not isinstance(result, (Tensor, tuple, list)):
            if isinstance(result, float):
                self._reads_numbers |= any(map(self._is_activation, tensors_in(args)))
            return result
        self._note_mixed(args[0] if changes else result, func, args, kwargs)
        if base is not None:
            self._forget(base)
            kind = pointwise(func)
            name = kind.name if kind else func.__name__.strip("_")
            affine = func is Tensor.__setitem__ or "dropout" in name or (kind is not None and bool(kind.affine))
            mark(base, PART, "" if affine else f"{name} of a part")
        elif changes and func is Tensor.__setitem__:
            mark(args[0], PART, "")
        else:
            self._mark_choice(result, func, args)
        return result

    def _mark_choice(self, result: Any, func: Any, args: tuple[Any, ...]) -> None:
        """A choice between values by a constant mask is linear in them."""
        if getattr(func, "__name__", "").strip("_") in ("where", "masked_fill") and isinstance(result, Tensor):
            masks = [one for one in tensors_in(args) if one.dtype == torch.bool]
            if not any(map(self._is_activation, masks)):
                mark(result, PART, "")

    def _note_mixed(self, result: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        led_back = torch.is_grad_enabled()
        if not self._apart and led_back and isinstance(result, Tensor) and result.requires_grad:
            return
        read = list(read_by(func, args, kwargs))
        detached = bool(self._apart) and any(not one.requires_grad and one in self._apart for one in read)
        for one in tensors_in(result):
            if not one.requires_grad or not led_back:
                if any(map(self._is_activation, read)):
                    self._apart[one] = Value(one.shape, version_of(one))
            elif detached:
                mark(one, DETACHED, getattr(func, "__name__", "").strip("_"))


def _starts(source: Value) -> Iterator[Value]:
    """Where a function that ends in an operation on a value may begin: there, or with what that was computed from."""
    start: Value | None = source
    while start is not None:
        yield start
        if start.call is not None and start.start is None and flips(start.call):
            # -f(-x)
            yield start.inputs[0]
        start = start.start
