"""Groups of nodes as modules: they call torch's functions, with the tensors of the file as parameters and buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unconv.models.load.exported_program.program import Node
from unconv.models.load.exported_program.values import fill, values_in

# Where torch has a function for each operator, in this order; the operators themselves go past what watches functions.
_PLACES: tuple[Any, ...] = (torch._C._VariableFunctions, torch._C._nn, torch.Tensor)


class Operation(nn.Module):
    """Nodes without a layer of torch's own; each has a class of its own, named after the module or the operator.

    Args:
        nodes: in their order.
        gives: names of the values that others take; several are returned as a tuple.
        held: tensors of the file by the names that nodes have for them.
        names: the names of these in the model.
        path: that of the module, below which its tensors have their names.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        gives: tuple[str, ...],
        held: Mapping[str, Tensor],
        names: Mapping[str, str],
        path: str,
    ) -> None:
        super().__init__()
        self._takes, self._gives = outer_values(nodes, held), gives
        self._calls = [(_function(node), *_as_called(node), node.outputs) for node in nodes]
        self._held: dict[str, str] = {}
        for name in (name for node in nodes for name in values_in(node.arguments)):
            if name in held and name not in self._held:
                known = names[name]
                below = known.removeprefix(f"{path}.") if known.startswith(f"{path}.") else known.replace(".", "_")
                self._held[name] = _hold(self, below, held[name])

    def forward(self, *values: Any, device: torch.device | None = None) -> Any:
        """What others take of what the nodes give, of the values that they take."""
        known = dict(zip(self._takes, values, strict=True))
        known |= {name: _reach(self, below) for name, below in self._held.items()}
        for run, positional, named, outputs in self._calls:
            made = run(*fill(positional, known, device), **fill(named, known, device))
            known.update(name_outputs(outputs, made))
        given = tuple(known[name] for name in self._gives)
        return given[0] if len(given) == 1 else given


def outer_values(nodes: Sequence[Node], held: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The names of values that nodes take of others, in the order of their first use."""
    own = {name for node in nodes for name in node.given}
    names = (name for node in nodes for name in values_in(node.arguments))
    return tuple(dict.fromkeys(name for name in names if name not in held and name not in own))


def name_outputs(outputs: tuple[Any, ...], made: Any) -> dict[str, Any]:
    """What a node gives, by name."""
    if len(outputs) == 1 and not isinstance(outputs[0], list):
        return {outputs[0]: made} if outputs[0] is not None else {}
    several = outputs[0] if len(outputs) == 1 else outputs
    return {name: value for name, value in zip(several, made, strict=True) if name is not None}


def _function(node: Node) -> Callable[..., Any]:
    """torch's function for an operator, as a model would call it; the operator where that takes other arguments."""
    if node.of_sizes:
        return node.run
    name = node.operator.split(".")[3]
    function = nn.functional.pad if name == "pad" else None
    function = function or next((found for place in _PLACES if (found := getattr(place, name, None))), None)
    if function is None:
        return node.run

    def call(*positional: Any, **named: Any) -> Any:
        try:
            return function(*positional, **named)
        except TypeError:
            return node.run(*positional, **named)

    return call


def _as_called(node: Node) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by position and by name, without those that are as they are by default."""
    if node.of_sizes:
        return list(node.arguments.values()), {}
    schema = node.run._schema.arguments  # type: ignore[attr-defined]
    default = {one.name: one.has_default_value() and one.default_value == node.arguments[one.name] for one in schema}
    positional = [one.name for one in schema if not one.kwarg_only]
    while positional and default[positional[-1]]:
        positional.pop()
    named = {one.name: node.arguments[one.name] for one in schema if one.kwarg_only and not default[one.name]}
    return [node.arguments[name] for name in positional], named


def _hold(module: nn.Module, below: str, tensor: Tensor) -> str:
    """Give a module a tensor under a path, and return the path, whose last part a module can have."""
    *above, own = below.split(".")
    for part in above:
        module = module._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
    own = f"tensor_{own}" if not own.isidentifier() or hasattr(nn.Module, own) else own
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(own, tensor)
    else:
        module.register_buffer(own, tensor)
    return ".".join([*above, own])


def _reach(module: nn.Module, below: str) -> Any:
    *above, own = below.split(".")
    for part in above:
        module = module._modules[part]  # type: ignore[assignment]
    return getattr(module, own)
