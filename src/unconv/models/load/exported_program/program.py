"""The program of an archive as nodes: operators of torch with their arguments, and the modules that they belong to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unconv.errors import ModelError, printable
from unconv.models.load.exported_program.archive import Archive
from unconv.models.load.exported_program.operators import ARITHMETIC, CHECKS, find_operator
from unconv.models.load.exported_program.sizes import ProgramInput, read_input
from unconv.models.load.exported_program.values import Value, read_argument


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
        name: its own, in the file.
        operator: as the file writes it, ``torch.ops.aten.relu.default``.
        run: the operator.
        arguments: by the names of its schema, defaults included; of arithmetic by position.
        outputs: the names of what it gives, None for what nobody takes; a list where it gives one.
        module: the path of the module that it belongs to, empty for the model itself.
        kind: the class of that module, by name.
        call: which call of that module it belongs to.
        axes: how many axes its first input has, None where that is no tensor.
    """

    name: str
    operator: str
    run: Callable[..., Any]
    arguments: Mapping[str, Any]
    outputs: tuple[Any, ...]
    module: str
    kind: str
    call: str
    axes: int | None = None

    @property
    def base(self) -> str:
        """The operator's name in short, ``relu`` of ``relu_`` too."""
        return self.operator.split(".")[-2].strip("_") if self.operator.startswith("torch.ops.") else self.name

    @property
    def given(self) -> tuple[str, ...]:
        """The names of all that it gives."""
        flat = [name for one in self.outputs for name in (one if isinstance(one, list) else [one])]
        return tuple(name for name in flat if name is not None)

    @property
    def of_sizes(self) -> bool:
        """Whether it is arithmetic of sizes."""
        return self.operator in ARITHMETIC


@dataclass(frozen=True, eq=False)
class Program:
    """What an archive says is computed.

    Attributes:
        file: its name.
        nodes: in the order in which they run.
        held: parameters, buffers and constants by the name that nodes have for them: name in the model, and tensor.
        parameters: which of them are parameters, by their names in the model.
        inputs: what it is given.
        outputs: what it returns: values and plain numbers.
        keys: the keys of its outputs where it returns a dict, else empty.
        sizes: what the file says of the shape of each tensor, an int or None an axis.
    """

    file: str
    nodes: tuple[Node, ...]
    held: Mapping[str, tuple[str, Tensor]]
    parameters: frozenset[str]
    inputs: tuple[ProgramInput, ...]
    outputs: tuple[Any, ...]
    keys: tuple[str, ...]
    sizes: Mapping[str, tuple[int | None, ...]]


def read_program(archive: Archive) -> Program:
    """The nodes of an archive; raises ModelError, with the node, for what cannot be run here."""
    module, ranges = archive.program["graph_module"], archive.program["range_constraints"]
    graph, signature = module["graph"], module["signature"]
    tensors = graph["tensor_values"]
    held, inputs = {}, []
    for spec in signature["input_specs"]:
        (kind, content), *_ = spec.items()
        if kind == "user_input" and "as_tensor" in content["arg"]:
            name = content["arg"]["as_tensor"]["name"]
            inputs.append(read_input(name, tensors[name], ranges))
        elif kind in ("parameter", "buffer"):
            known = content["parameter_name" if kind == "parameter" else "buffer_name"]
            where = archive.weights if known in archive.weights else archive.constants
            held[content["arg"]["name"]] = (known, where[known])
        elif kind == "tensor_constant":
            known = content["tensor_constant_name"]
            held[content["arg"]["name"]] = (known, archive.constants[known])
        elif kind != "constant_input" and not (kind == "user_input" and "as_none" in content["arg"]):
            raise ModelError(f"{archive.file}: takes {kind.replace('_', ' ')}s beside tensors; those alone are read")
    if not inputs:
        raise ModelError(f"{archive.file}: its program takes no tensor")
    returned = [
        read_argument(spec["user_output"]["arg"]) for spec in signature["output_specs"] if "user_output" in spec
    ]
    return Program(
        archive.file,
        tuple(_node(one, tensors, archive.file) for one in graph["nodes"] if one["target"] not in CHECKS),
        held,
        frozenset(content["parameter_name"] for spec in signature["input_specs"] if (content := spec.get("parameter"))),
        tuple(inputs),
        tuple(returned),
        _keys(module["module_call_graph"], len(returned)),
        {name: tuple(one.get("as_int") for one in meta["sizes"]) for name, meta in tensors.items()},
    )


def _node(content: Mapping[str, Any], tensors: Mapping[str, Any], file: str) -> Node:
    target, name = str(content["target"]), str(content.get("name") or content["target"])
    outputs = tuple(_output(one) for one in content["outputs"])
    try:
        run = find_operator(target)
        given = [(one["name"], read_argument(one["arg"])) for one in content["inputs"]]
    except ValueError as error:
        raise ModelError(
            f"{file}: node {printable(name)}: {printable(target)} {error}; give the torch module, or export to ONNX: "
            "torch.onnx.export(...)"
        ) from error
    stack = content["metadata"].get("nn_module_stack") or ""
    # One entry for each module around it: key, path, class; the key tells calls of one module apart.
    key, path, kind = ([*stack.split(";")[-1].split(","), "", "", ""])[:3]
    if not all(part.isidentifier() or part.isdigit() for part in path.split(".")):
        path, kind = "", ""
    arguments = dict(given) if target in ARITHMETIC else _by_schema(run, dict(given))
    first = next((one for _, one in given if isinstance(one, Value)), None)
    axes = len(tensors[first.name]["sizes"]) if first is not None and first.name in tensors else None
    return Node(name, target, run, arguments, outputs, path, kind.rpartition(".")[2], key, axes)


def _by_schema(run: Any, given: dict[str, Any]) -> dict[str, Any]:
    """All arguments of an operator by name, those that the file leaves out as they are by default."""
    known = {one.name: one for one in run._schema.arguments}
    if not given.keys() <= known.keys():
        raise ValueError(f"{run} has no argument {min(given.keys() - known.keys())}")
    arguments = {}
    for name, one in known.items():
        if name not in given and not one.has_default_value():
            raise ValueError(f"{run} lacks its argument {name}")
        arguments[name] = given.get(name, one.default_value)
    return arguments


def _output(content: Mapping[str, Any]) -> Any:
    (kind, value), *_ = content.items()
    if kind == "as_tensor":
        return value["name"]
    if kind == "as_tensors":
        return [one["name"] for one in value]
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return value.get("as_name")
    if kind == "as_none":
        return None
    raise ValueError(f"an output {kind.removeprefix('as_')}")


def _keys(calls: Any, count: int) -> tuple[str, ...]:
    """The keys of a dict that the model returned, of values that are no containers themselves."""
    try:
        _, spec = json.loads(calls[0]["signature"]["out_spec"])
        leaves = all(one["type"] is None for one in spec["children_spec"])
        keys = json.loads(spec["context"]) if spec["type"] in ("builtins.dict", "collections.OrderedDict") else ()
    except (KeyError, IndexError, TypeError, ValueError):
        return ()
    fits = leaves and isinstance(keys, list) and len(keys) == count and all(isinstance(key, str) for key in keys)
    return tuple(keys) if fits else ()


def trained(program: Program) -> bool:
    """Whether the program was exported in training mode, so that its norms use the batch."""
    return any(node.base == "batch_norm" and node.arguments.get("training") is True for node in program.nodes)
