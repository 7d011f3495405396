"""Failed operations: what came in where a pass came to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from unconv.network.trace.values import Value


@dataclass(frozen=True)
class Operand:
    """A tensor that came into an operation."""

    shape: tuple[int, ...]
    value: int | None
    """None where it does not depend on the network's input."""
    name: str = ""
    """Of the parameter or buffer that it is, or of the one parameter that it was made of; "" of others."""


@dataclass(frozen=True)
class Failed:
    """The operation that failed: its name, and what came in."""

    operator: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    """Both with operands for tensors."""
    error: Exception

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The tensors that came in, in the order of the arguments."""
        return tuple(leaf for leaf in tree_leaves((self.args, self.kwargs)) if isinstance(leaf, Operand))

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of each tensor that came in."""
        return tuple(operand.shape for operand in self.operands)

    @property
    def values(self) -> tuple[int | None, ...]:
        """Of each tensor that came in; None where it does not depend on the network's input."""
        return tuple(operand.value for operand in self.operands)

    def bind(self, *names: str) -> dict[str, Any]:
        """The arguments by names, of which the first are those of the arguments by position."""
        return dict(zip(names, self.args, strict=False)) | self.kwargs


@runtime_checkable
@runtime_checkable
class Pass(Protocol):
    """A pass of a model, and what is known of its tensors."""

    model: nn.Module

    @property
    def held(self) -> Mapping[int, frozenset[int]]:
        """Of tensors that depend on no input, by their ids: the ids of the parameters that they were made of."""

    def value_of(self, tensor: Tensor) -> Value | None:
        """What is known of a tensor; None where it does not depend on the network's input."""


def describe_failure(
    operator: str, args: Sequence[Any], kwargs: dict[str, Any], error: Exception, made_in: Pass
) -> Failed:
    """An operation that failed, and what came into it."""

    def operand(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        value = made_in.value_of(leaf)
        if value is not None:
            return Operand(tuple(leaf.shape), value.index)
        held = made_in.held.get(id(leaf), frozenset())
        return Operand(tuple(leaf.shape), None, names.get(next(iter(held)) if len(held) == 1 else id(leaf), ""))

    weights = (*made_in.model.named_parameters(), *made_in.model.named_buffers())
    names = {id(one): name for name, one in weights}
    given, named = tree_map(operand, (tuple(args), dict(kwargs)))
    return Failed(operator, given, named, error)


def led_to(error: BaseException, failed: Failed) -> bool:
    """Whether an operation's failure is an error, or what that was raised of; others a model has dealt with.

    >>> first, last = ValueError("first"), RuntimeError("last")
    >>> last.__cause__ = first
    >>> led_to(last, Failed("add", (), {}, first)), led_to(first, Failed("add", (), {}, last))
    (True, False)
    """
    seen: set[int] = set()
    before: BaseException | None = error
    while before is not None and id(before) not in seen:
        seen.add(id(before))
        before = before.__cause__ or before.__context__
    return id(failed.error) in seen
