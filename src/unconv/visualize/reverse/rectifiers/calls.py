"""Calls of torch functions apart from the tensors that they were made with, to be made again with others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unconv.visualize.reverse.rectifiers.pointwise import Pointwise


@dataclass(frozen=True)
class Slot:
    """The place of an operand among the arguments of a call."""

    index: int


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a torch function, with slots for its operands.

    Attributes:
        name: the operation.
        func: the function.
        args: its arguments, with slots.
        kwargs: its keyword arguments, with slots.
        changes: whether it overwrites its first argument.
        constants: the tensors among its arguments that are no operands.
    """

    name: str
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    changes: bool = False
    constants: tuple[Tensor, ...] = ()

    def run(self, operands: Sequence[Tensor]) -> Tensor:
        """What it gives for other operands."""
        given = [operands[0].clone(), *operands[1:]] if self.changes else list(operands)
        args, kwargs = _fill((self.args, self.kwargs), given)
        result = self.func(*args, **kwargs)
        if isinstance(result, Tensor):
            return result
        changed: Tensor = args[0]
        return changed

    def key(self) -> Any:
        """What tells it from other calls; None where constants do."""
        return None if self.constants else (self.func, self.args, tuple(self.kwargs.items()))


def is_affine(kind: Pointwise, call: Call) -> bool:
    """Whether a call of a kind is affine in its one operand."""
    if call.kwargs.get("rounding_mode") is not None:
        return False
    named = dict(zip(("input", "other"), (0, 1), strict=True))
    where = {count for count, one in enumerate(call.args) if isinstance(one, Slot)}
    where |= {named.get(name, 2) for name, one in call.kwargs.items() if isinstance(one, Slot)}
    return where <= kind.affine


def flips(call: Call) -> bool:
    """Whether a call turns the sign of what it is affine in."""
    if call.name in ("mul", "div"):
        return any(isinstance(one, (int, float)) and one < 0 for one in call.args)
    slot_second = len(call.args) > 1 and isinstance(call.args[1], Slot)
    return call.name == "neg" or (call.name == "sub" and slot_second) or call.name == "rsub"


def scales_up(call: Call) -> bool:
    """Whether a call multiplies by a positive number, or changes nothing."""
    if call.name in ("mul", "div"):
        return any(isinstance(one, (int, float)) and one > 0 for one in call.args)
    return call.name not in ("add", "sub", "rsub", "neg")


def replace_tensors(given: Any, change: Callable[[Tensor], Any]) -> Any:
    """Arguments with something in place of their tensors."""
    if isinstance(given, Tensor):
        return change(given)
    if isinstance(given, (tuple, list)):
        return type(given)([replace_tensors(one, change) for one in given])
    if isinstance(given, dict):
        return {name: replace_tensors(one, change) for name, one in given.items()}
    return given


def _fill(given: Any, operands: Sequence[Tensor]) -> Any:
    if isinstance(given, Slot):
        return operands[given.index]
    if isinstance(given, (tuple, list)):
        return type(given)([_fill(one, operands) for one in given])
    if isinstance(given, dict):
        return {name: _fill(one, operands) for name, one in given.items()}
    return given
