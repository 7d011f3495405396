"""The network of an ONNX file as a module: every node is one inside, of its own name, and torch runs them in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unconv.describe import by_size
from unconv.errors import ModelError, UnconvError, one_line
from unconv.models.load.onnx_file.layers import LAYERS
from unconv.models.load.onnx_file.node import Node, as_tensor, to_tensor, torch_type
from unconv.models.load.onnx_file.operators import OPERATORS, Operator
from unconv.models.load.onnx_file.quantized import QUANTIZED_LAYERS, Quantized
from unconv.models.load.onnx_file.read import FileInput, OnnxGraph


@dataclass(frozen=True, eq=False)
class _Step:
    """A node, the module that runs it, and the names of the values that this takes; none where sizes alone decide."""

    node: Node
    module: nn.Module | None
    takes: tuple[str, ...]


class Operation(nn.Module):
    """A node without a layer of torch's own; weights and constants among its inputs are its parameters and buffers.

    Every operator has a class of its own, of its name.
    """

    def __init__(self, node: Node, operator: Operator, given: list[Any]) -> None:
        super().__init__()
        self._node, self._run = node, operator.run
        # By position: the name of a tensor held here, a setting, or None for what comes in.
        self._given: list[Any] = []
        for position, value in enumerate(given):
            held = f"input{position}"
            if value is None or position in operator.settings:
                self._given.append(value)
                continue
            tensor = to_tensor(value)
            if tensor.is_floating_point() and value.size > 1:
                self.register_parameter(held, nn.Parameter(tensor))
            else:
                self.register_buffer(held, tensor)
            self._given.append(held)

    def forward(self, *values: Any) -> Any:
        """The outputs of the node, one or several."""
        coming = iter(values)
        named = zip(self._node.inputs, self._given, strict=True)
        inputs = [self._value(held) if held is not None else next(coming) if name else None for name, held in named]
        return self._run(self._node, *inputs)

    def _value(self, held: Any) -> Any:
        return getattr(self, held) if isinstance(held, str) else held


class OnnxNetwork(nn.Module):
    """The network of an ONNX file.

    Convolutions, batch norms and linear layers are torch's own, whatever else a module that calls torch's functions;
    names are those of the file. What follows from constants and sizes alone is computed by onnx.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__()
        self.file = graph.file
        self._inputs, self._outputs = graph.inputs, graph.outputs
        self._constants = dict(graph.constants)
        self._batch = graph.batch
        self._steps = tuple(self._make(graph.nodes))
        read = {*graph.outputs, *(name for step in self._steps for name in (*step.node.inputs, *step.takes))}
        weights = {name for step in self._steps if step.module for name in step.node.inputs if name not in step.takes}
        weights -= {name for step in self._steps if step.module is None for name in step.node.inputs}
        self._constants = {
            name: value
            for name, value in self._constants.items()
            # What modules hold is not kept twice; numbers and indices may meet sizes.
            if name in read and (name not in weights or value.size <= 1 or value.dtype.kind in "iub")
        }

    @property
    def input_sizes(self) -> tuple[tuple[int, ...], ...]:
        """(channels, *axes) of each input; raises ModelError where the file leaves one open."""
        for one in self._inputs:
            if not all(isinstance(axis, int) and axis > 0 for axis in one.axes[1:]):
                raise ModelError(
                    f"{self.file}: the size of input {one} is not fixed; say it: input_size="
                    f"{_example(one)}, on the command line --input-size {by_size(_example(one))}"
                )
        return tuple(tuple(int(axis) for axis in one.axes[1:]) for one in self._inputs)

    @property
    def input_dtypes(self) -> tuple[torch.dtype | None, ...]:
        """The type of each input; None for floats, which follow the parameters."""
        kinds = [torch_type(one.dtype) for one in self._inputs]
        return tuple(None if kind.is_floating_point else kind for kind in kinds)

    def _make(self, nodes: tuple[Node, ...]) -> Iterator[_Step]:
        sized, shared = set[str](), dict[tuple[int, tuple[int, ...]], nn.Parameter]()
        for node in nodes:
            if node.captures:
                raise ModelError(
                    f"{self.file}: node {node.name}: {node.operator} is control flow, which is not known here; "
                    "onnxsim or onnxruntime's optimised file may have resolved it, else cut the network before it, "
                    "onnx.utils.extract_model(...), or give the torch module"
                )
            given = [self._constants.get(name) for name in node.inputs]
            if node.operator == "Identity" and given[0] is not None:
                self._constants[node.outputs[0]] = given[0]
                continue
            if all(value is not None or not name for name, value in zip(node.inputs, given, strict=True)):
                self._constants.update(node.evaluate(given))
                continue
            of_sizes = all(name in sized or name in self._constants or not name for name in node.inputs)
            if of_sizes or node.operator in ("Shape", "Size"):
                sized.update(node.outputs)
            if of_sizes:
                yield _Step(node, None, ())
                continue
            given = given if self._batch is None else self._batch.freed(node, given)
            module = _layer(node, given)
            takes = tuple(node.inputs[position] for position in getattr(module, "positions", (0,)))
            if module is None:
                operator = OPERATORS.get(node.operator)
                if operator is None:
                    raise ModelError(
                        f"{self.file}: node {node.name}: the operator {node.operator} is not known here; cut the "
                        "network before it, onnx.utils.extract_model(...), or give the torch module"
                    )
                module = type(node.operator, (Operation,), {})(node, operator, given)
                takes = tuple(name for name, value in zip(node.inputs, given, strict=True) if name and value is None)
            _share(module, given, shared)
            self._place(node.name, module)
            yield _Step(node, module, takes)

    def _place(self, name: str, module: nn.Module) -> None:
        *above, own = name.split(".")
        parent: nn.Module = self
        for part in above:
            parent = parent._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
        # Past the check for names of attributes: these are looked up as modules alone.
        parent._modules[own] = module

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The outputs of the file, a tuple of several."""
        if len(inputs) != len(self._inputs):
            told = ", ".join(map(str, self._inputs))
            raise ModelError(f"{self.file}: {len(inputs)} inputs given; the file takes {len(self._inputs)}: {told}")
        values: dict[str, Any] = {
            **self._constants,
            # A number comes as a batch of one.
            **{one.name: x if one.axes else x.reshape(()) for one, x in zip(self._inputs, inputs, strict=True)},
        }
        for step in self._steps:
            values.update(_run(step, values))
        outputs = tuple(as_tensor(values[name], inputs[0]) for name in self._outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def _layer(node: Node, given: list[Any]) -> nn.Module | None:
    """The layer of torch's own that a node is; None where it is none."""
    make = LAYERS.get(node.operator) or QUANTIZED_LAYERS.get(node.operator)
    try:
        return None if make is None else make(node, given)
    except (TypeError, ValueError, IndexError, RuntimeError, OverflowError) as error:
        if isinstance(error, UnconvError):
            raise
        # What torch's modules refuse, and weights and attributes that do not fit each other.
        node.refuse(f"its attributes and weights are none of a layer: {one_line(error)}")


def _share(module: nn.Module, given: list[Any], shared: dict[tuple[int, tuple[int, ...]], nn.Parameter]) -> None:
    """Let nodes that take the same weights of the file hold the same parameters."""
    if isinstance(module, (nn.RNNBase, Quantized)):
        # Their parameters are made of several values of the file.
        return
    for name, parameter in module.named_parameters(recurse=False):
        position = {"weight": 1, "bias": 2}.get(name)
        value = given[int(name.removeprefix("input")) if position is None else position]
        one = shared.setdefault((id(value), tuple(parameter.shape)), parameter)
        if torch.equal(one, parameter):
            setattr(module, name, one)


def _run(step: _Step, values: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a node by name: by onnx where no tensor goes in, by the module else."""
    node = step.node
    if step.module is None or not any(isinstance(values.get(name), Tensor) for name in step.takes):
        return node.evaluate([values.get(name) for name in node.inputs])
    made = step.module(*(values[name] for name in step.takes))
    outputs = made if isinstance(made, (tuple, list)) else (made,)
    return dict(zip(node.outputs, outputs, strict=False))


def _example(given: FileInput) -> tuple[int, ...]:
    """A size with numbers where the file has none."""
    sizes = [axis if isinstance(axis, int) and axis > 0 else 224 for axis in given.axes[1:]]
    pictures = len(sizes) > 1 and all(axis == 224 for axis in sizes)
    return (3, *sizes[1:]) if pictures else tuple(sizes)
