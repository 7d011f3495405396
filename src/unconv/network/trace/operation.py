"""Dispatched operations: arguments by name, and what the trace knows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn

from unconv.network.trace.value_graph import ValueGraph
from unconv.network.trace.values import Value
from unconv.operators.geometry.base import Geometry

# Losses of torch.nn.functional that compare two tensors of one size, element by element.
LOSSES = frozenset(
    {
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "soft_margin_loss",
        "kl_div",
        "poisson_nll_loss",
        "gaussian_nll_loss",
        "hinge_embedding_loss",
        "multilabel_soft_margin_loss",
    }
)
# Those whose targets are numbers of classes, by the names of functions and of what torch makes of them.
CLASS_LOSSES = frozenset({"cross_entropy", "nll_loss", "nll_loss_forward", "nll_loss2d_forward", "nll_loss_nd"})
# Operations whose tensors have to be of one size, but for axes of 1 and the one along which they are put together.
JOINS = LOSSES | {"add", "sub", "mul", "div", "cat", "stack", "maximum", "minimum", "where", "addcmul", "lerp"}


@dataclass
class ModuleCall:
    """One run of a module's forward."""

    path: str
    kind: str
    leaf: bool
    input_shapes: tuple[tuple[int, ...], ...]
    module: nn.Module
    input_values: tuple[int | None, ...] = ()
    """Of each tensor that came in; None where it does not depend on the network's input."""
    returned: Value | None = None


@dataclass(frozen=True)
class OperatorCall:
    """An operation with its arguments bound to the names of its schema, and its outputs."""

    name: str
    arguments: dict[str, Any]
    outputs: tuple[Tensor, ...]
    graph: ValueGraph
    value_of: Callable[[Tensor], Value | None]
    known: Callable[[Tensor], list[Any] | None]
    """The numbers in a tensor that does not depend on the network's input; None where they are not known."""

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: Any = None) -> Any:
        """An argument, or a default where the schema has none of that name."""
        return self.arguments.get(argument, default)

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensor arguments, lists of tensors included."""
        return tuple(tensors_in(self.arguments.values()))

    @property
    def first(self) -> Tensor:
        """The first tensor argument."""
        return self.tensors[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return tuple(self.outputs[0].shape)

    def value(self, argument: str) -> Value | None:
        """What is known of a tensor argument; None where it does not depend on the input."""
        tensor = self.arguments.get(argument)
        return self.value_of(tensor) if isinstance(tensor, Tensor) else None

    @property
    def values(self) -> tuple[Value, ...]:
        """The tensor arguments that depend on the input."""
        return tuple(value for tensor in self.tensors if (value := self.value_of(tensor)) is not None)


@dataclass(frozen=True)
class Outcome:
    """What a rule makes of a call: the values of its outputs, and how it appears among the layers."""

    operator: str
    values: tuple[Value, ...]
    visible: bool = True
    geometry: Geometry | None = None
    groups: int = 1
    macs: int = 0
    counted: bool = True
    """Whether these are all, as far as is known."""
    note: str = ""
    reads: tuple[Value, ...] = field(default=(), repr=False)


def tensors_in(arguments: Iterable[Any]) -> list[Tensor]:
    """The tensors among arguments of an operation, or among its results: themselves, or in lists.

    >>> len(tensors_in((torch.ones(2), [torch.ones(1), None], 3)))
    2
    """
    found: list[Tensor] = []
    for one in arguments:
        if isinstance(one, Tensor):
            found.append(one)
        elif isinstance(one, (list, tuple)):
            found.extend(item for item in one if isinstance(item, Tensor))
    return found


@cache
def base_name(func: torch._ops.OpOverload) -> str:
    """The operation without overload, in-place mark and leading underscore.

    >>> base_name(torch.ops.aten.relu_.default)
    'relu'
    """
    return func._schema.name.split("::")[1].strip("_")


def bind_arguments(func: torch._ops.OpOverload, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the schema, defaults filled in."""
    names, defaults = _schema(func)
    bound = dict(zip(names, args, strict=False))
    for name in names[len(args) :]:
        if name in kwargs:
            bound[name] = kwargs[name]
        elif name in defaults:
            bound[name] = defaults[name]
    return bound


@cache
def _schema(func: torch._ops.OpOverload) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The names of an operation's arguments, and the defaults of those that have one."""
    arguments = func._schema.arguments
    return (
        tuple(one.name for one in arguments),
        {one.name: one.default_value for one in arguments if one.has_default_value()},
    )


@cache
def written_arguments(func: torch._ops.OpOverload) -> tuple[tuple[int, str], ...]:
    """Which arguments of an operation it writes to: their places and names.

    >>> written_arguments(torch.ops.aten.add_.Tensor), written_arguments(torch.ops.aten.add.Tensor)
    (((0, 'self'),), ())
    """
    arguments = enumerate(func._schema.arguments)
    return tuple((n, one.name) for n, one in arguments if one.alias_info is not None and one.alias_info.is_write)


def exchanged(argument: Any, others: Mapping[int, Tensor]) -> Any:
    """An argument or a result of an operation with others in the place of some tensors, by their ids."""
    if isinstance(argument, (list, tuple)):
        return type(argument)([exchanged(one, others) for one in argument])
    return others.get(id(argument), argument)


@cache
def needs_values(func: torch._ops.OpOverload) -> bool:
    """Whether the result of an operation, or its size, depends on the values of tensors.

    >>> needs_values(torch.ops.aten.nonzero.default), needs_values(torch.ops.aten.relu.default)
    (True, False)
    """
    return torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags


def memory_of(tensor: Tensor) -> int:
    """The memory of a tensor, which others may share, as a number."""
    return int(tensor.untyped_storage()._cdata)
