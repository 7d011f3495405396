"""The network of an exported program as a module: nodes are modules inside, named after those of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unconv.describe import by_size
from unconv.errors import ModelError
from unconv.models.load.exported_program.group_nodes import Group, group_nodes
from unconv.models.load.exported_program.layers import make_layer
from unconv.models.load.exported_program.operation import Operation, name_outputs, outer_values
from unconv.models.load.exported_program.program import Node, Program
from unconv.models.load.exported_program.sizes import ProgramInput, Varying, check_sizes, fits
from unconv.models.load.exported_program.values import Value, fill, values_in


@dataclass(frozen=True, eq=False)
class _Step:
    """A group of nodes, the module that runs it, the values that this takes and gives, and those of no use after it."""

    group: Group
    module: nn.Module | None
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    done: tuple[str, ...]

    @property
    def node(self) -> Node:
        """The node that messages name: the last one that computes something."""
        return next((node for node in reversed(self.group.nodes) if not node.of_sizes), self.group.nodes[-1])


class ExportedNetwork(nn.Module):
    """The network of a program of torch.export.

    Convolutions, batch norms and linear layers are torch's own, whatever else a module that calls torch's functions;
    names are those of the model that was exported. Arithmetic of sizes runs between them.
    """

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.file = program.file
        self._inputs, self._outputs, self._keys = program.inputs, program.outputs, program.keys
        self._sizes = program.sizes
        held = {
            name: nn.Parameter(tensor, requires_grad=tensor.is_floating_point() or tensor.is_complex())
            if known in program.parameters
            else tensor
            for name, (known, tensor) in program.held.items()
        }
        self._names = {name: known for name, (known, _) in program.held.items()}
        self._placed: dict[str, tuple[Any, nn.Module]] = {}
        self._steps = self._make(program, held)
        del self._placed
        # What the program returns as it stands in the file.
        for name in (name for name in values_in(list(self._outputs)) if name in held):
            self.register_buffer(_own_name(self._names[name]), held[name].detach())

    @property
    def input_sizes(self) -> tuple[tuple[int, ...], ...]:
        """(channels, *axes) of each input: fixed ones, and of others what they were when the program was exported."""
        sizes = []
        for one in self._inputs:
            axes = [axis.example if isinstance(axis, Varying) else axis for axis in one.axes[1:]]
            if not axes or not all(axes):
                told = tuple(axis or 224 for axis in axes) or (3, 224, 224)
                raise ModelError(
                    f"{self.file}: the size of input {one} is not fixed; say it: input_size={told}, on the command "
                    f"line --input-size {by_size(told)}"
                )
            sizes.append(tuple(int(axis) for axis in axes if axis is not None))
        return tuple(sizes)

    @property
    def input_dtypes(self) -> tuple[torch.dtype | None, ...]:
        """The type of each input; None for floats, which follow the parameters."""
        return tuple(None if one.dtype.is_floating_point else one.dtype for one in self._inputs)

    def _make(self, program: Program, held: Mapping[str, Tensor]) -> tuple[_Step, ...]:
        groups = group_nodes(program.nodes)
        takes = [outer_values(group.nodes, held) for group in groups]
        kept = set(values_in(list(program.outputs)))
        last = {name: position for position, names in enumerate(takes) for name in names}
        steps = []
        for position, group in enumerate(groups):
            own = [name for node in group.nodes for name in node.given]
            gives = tuple(name for name in own if name in last or name in kept)
            module = self._place(group, gives, held) if group.path else None
            if module is None and any(name in held for name in values_in(group.nodes[0].arguments)):
                raise ModelError(f"{program.file}: node {group.nodes[0].name}: sizes of weights are not computed")
            done = tuple(name for name in takes[position] if last[name] == position and name not in kept)
            steps.append(_Step(group, module, takes[position], gives, done))
        return tuple(steps)

    def _place(self, group: Group, gives: tuple[str, ...], held: Mapping[str, Tensor]) -> nn.Module:
        """The module of a group, under its name; that of an earlier call of the same, if it is the same."""
        same = _signature(group, gives, held)
        path, number = group.path, 1
        while path in self._placed:
            if self._placed[path][0] == same:
                return self._placed[path][1]
            path, number = f"{group.path}#{number}", number + 1
        first = group.nodes[0]
        module = make_layer(first, held) if len(group.nodes) == 1 else None
        if module is None:
            kind = first.kind if group.path == first.module and first.kind.isidentifier() else first.base
            module = type(kind, (Operation,), {})(group.nodes, gives, held, self._names, path)
        *above, own = path.split(".")
        parent: nn.Module = self
        for part in above:
            parent = parent._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
        # Past the check for names of attributes: these are looked up as modules alone.
        parent._modules[own] = module
        self._placed[path] = (same, module)
        return module

    def forward(self, *inputs: Tensor) -> Any:
        """The outputs of the program: one, a tuple, or a dict as the model returned it."""
        if len(inputs) != len(self._inputs):
            told = ", ".join(map(str, self._inputs))
            raise ModelError(f"{self.file}: {len(inputs)} inputs given; the program takes {len(self._inputs)}: {told}")
        check_sizes(self.file, self._inputs, [tuple(x.shape) for x in inputs])
        batch = next((int(x.shape[0]) for x, one in zip(inputs, self._inputs, strict=True) if not _takes(one, x)), None)
        values: dict[str, Any] = {one.name: x for one, x in zip(self._inputs, inputs, strict=True)}
        for step in self._steps:
            made = self._run(step, values, inputs[0].device, batch)
            if batch is not None:
                self._check_batch(step.node, made, batch)
            values.update(made)
            for name in step.done:
                values.pop(name, None)
        returned = tuple(self._returned(one, values) for one in self._outputs)
        if self._keys:
            return dict(zip(self._keys, returned, strict=True))
        return returned[0] if len(returned) == 1 else returned

    def _returned(self, output: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(output, Value):
            return values[output.name] if output.name in values else getattr(self, _own_name(self._names[output.name]))
        return output

    def _run(self, step: _Step, values: Mapping[str, Any], device: torch.device, batch: int | None) -> dict[str, Any]:
        if step.module is None:
            node = step.node
            made = node.run(*(fill(one, values, device) for one in node.arguments.values()))
            return name_outputs(node.outputs, made)
        given = [values[name] for name in step.takes]
        try:
            made = step.module(*given, **({"device": device} if isinstance(step.module, Operation) else {}))
        except RuntimeError as error:
            if batch is None:
                raise
            raise self._fixed_batch(step.node, batch) from error
        if len(step.gives) == 1:
            return {step.gives[0]: made}
        return dict(zip(step.gives, made, strict=True)) if step.gives else {}

    def _check_batch(self, node: Node, made: Mapping[str, Any], batch: int) -> None:
        """Refuse what would mix images: every value keeps the sizes of the file, its batch aside."""
        for name, value in made.items():
            known = self._sizes.get(name)
            if not isinstance(value, Tensor) or known is None:
                continue
            whole = len(known) == value.ndim and all(
                told in (None, size) for told, size in zip(known[1:], value.shape[1:], strict=True)
            )
            if not whole or (known and known[0] is not None and value.shape[0] not in (known[0], batch)):
                raise self._fixed_batch(node, batch)

    def _fixed_batch(self, node: Node, batch: int) -> ModelError:
        fixed = self._inputs[0].axes[0]
        return ModelError(
            f"{self.file}: a batch of {batch} does not go through node {node.name}: the file fixes {fixed}; give "
            f"batches of {fixed}, or export the program with dynamic_shapes whose first axis is Dim.DYNAMIC"
        )


def _takes(given: ProgramInput, x: Tensor) -> bool:
    """Whether the program was exported for the batch of an input."""
    return not given.axes or fits(x.shape[0], given.axes[0])


def _own_name(known: str) -> str:
    """The last part of a tensor's name in the model, which a module can have."""
    last = known.rpartition(".")[2]
    return last if last.isidentifier() and not hasattr(nn.Module, last) else f"tensor_{last}"


def _signature(group: Group, gives: tuple[str, ...], held: Mapping[str, Tensor]) -> tuple[Any, ...]:
    """What a group computes, whatever its values are called."""
    names = {name: name for name in held}
    for node in group.nodes:
        for name in (*values_in(node.arguments), *node.given):
            names.setdefault(name, str(len(names)))
    nodes = tuple(
        (node.operator, repr(_renamed(node.arguments, names)), tuple(names[name] for name in node.given))
        for node in group.nodes
    )
    return nodes, tuple(names[name] for name in gives)


def _renamed(arguments: Any, names: Mapping[str, str]) -> Any:
    """Arguments with other names for the values that they refer to."""
    if isinstance(arguments, Value):
        return Value(names[arguments.name])
    if isinstance(arguments, Mapping):
        return {key: _renamed(one, names) for key, one in arguments.items()}
    return [_renamed(one, names) for one in arguments] if isinstance(arguments, list) else arguments
