"""ONNX files: read, checked by onnx, and taken apart into nodes, constants and inputs."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unconv.errors import MissingExtraError, ModelError, one_line, printable
from unconv.models.load.onnx_file.fixed_batch import FixedBatch, fixed_batch
from unconv.models.load.onnx_file.node import Node

# Before it, axes were broadcast by attributes.
OLDEST_OPSET = 7


@dataclass(frozen=True)
class FileInput:
    """One input of a file: its name, its axes (a name, or "" for one without, where a size is not fixed), its type."""

    name: str
    axes: tuple[int | str, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        axes = ", ".join(str(axis) or "?" for axis in self.axes)
        return f"{self.name} ({axes})"


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """What a file holds.

    Attributes:
        file: its name.
        nodes: in the order in which they run.
        constants: weights and other fixed values, by name.
        inputs: what it is given.
        outputs: names of the values that it returns.
        batch: how many examples it takes at once, where that is fixed to more than one.
    """

    file: str
    nodes: tuple[Node, ...]
    constants: dict[str, Any]
    inputs: tuple[FileInput, ...]
    outputs: tuple[str, ...]
    batch: FixedBatch | None = None


def read_onnx(path: Path) -> OnnxGraph:
    """Read a file and have onnx check it, sizes included; its weights may stand in files beside it.

    Raises ModelError, in one line, for a file that is none or that onnx refuses; MissingExtraError without onnx.
    """
    onnx = import_onnx()
    name = printable(path)
    if not path.is_file():
        raise ModelError(f"{name}: {'not a file' if path.exists() else 'no such file'}; name an ONNX file")
    try:
        # By path: models above 2 GB cannot be checked otherwise.
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.inliner.inline_local_functions(onnx.load(str(path)))
    except Exception as error:
        # onnx raises errors of its own, of protobuf's and of the file system.
        raise ModelError(f"{name}: onnx refuses the file: {_told(error)}") from error
    opsets = {one.domain or "ai.onnx": one.version for one in model.opset_import}
    if (version := opsets.get("ai.onnx", OLDEST_OPSET)) < OLDEST_OPSET:
        raise ModelError(
            f"{name}: opset {version} is older than {OLDEST_OPSET}; onnx.version_converter.convert_version brings "
            "the file up to date"
        )
    if version > (newest := onnx.defs.onnx_opset_version()):
        raise ModelError(f"{name}: opset {version} is newer than {newest}, the last that this onnx knows; upgrade onnx")
    graph = model.graph
    _check_names(graph, name)
    if graph.sparse_initializer:
        raise ModelError(f"{name}: sparse weights ({graph.sparse_initializer[0].values.name}) are not read")
    constants = {one.name: _array(one, path.parent, name) for one in graph.initializer}
    inputs = tuple(_input(one, name) for one in graph.input if one.name not in constants)
    nodes, outputs = tuple(_nodes(graph.node, opsets)), tuple(one.name for one in graph.output)
    batch = fixed_batch(onnx, model, [one.axes for one in inputs])
    return OnnxGraph(name, nodes, constants, inputs, outputs, batch)


def _check_names(graph: Any, file: str) -> None:
    """Refuse names that are no text, which protobuf hands on as bytes."""
    for node in graph.node:
        names = (node.name, node.op_type, node.domain, *node.input, *node.output, *(one.name for one in node.attribute))
        if bad := next((name for name in names if isinstance(name, bytes)), None):
            raise ModelError(f"{file}: node {node.name!r} holds the name {bad!r}, which is no text in UTF-8")
    for one in (*graph.initializer, *graph.input, *graph.output):
        if isinstance(one.name, bytes):
            raise ModelError(f"{file}: the name {one.name!r} is no text in UTF-8")


def _array(weight: Any, folder: Path, file: str) -> NDArray[Any]:
    """The values of a weight, which may stand in a file of that folder."""
    try:
        values: NDArray[Any] = import_onnx().numpy_helper.to_array(weight, str(folder))
    except Exception as error:
        # numpy's errors, and those of the file system.
        raise ModelError(f"{file}: weight {weight.name} cannot be read: {one_line(error)}") from error
    return values


def import_onnx() -> Any:
    """The package with the parts that are used here; raises MissingExtraError where it is not installed."""
    try:
        for part in ("checker", "defs", "helper", "inliner", "numpy_helper", "reference", "shape_inference"):
            importlib.import_module(f"onnx.{part}")
        return importlib.import_module("onnx")
    except ImportError as error:
        raise MissingExtraError("FILE.onnx", "onnx", "onnx") from error


def _told(error: Exception) -> str:
    """What onnx says, in one line: what it says below its first one names the node."""
    text = " ".join(str(error).split())
    return text.removeprefix("[ShapeInferenceError] ")[:300] or one_line(error)


def _input(given: Any, file: str) -> FileInput:
    if not given.type.HasField("tensor_type"):
        raise ModelError(f"{file}: input {given.name} is a {given.type.WhichOneof('value')}; tensors are read")
    tensor = given.type.tensor_type
    if tensor.elem_type == import_onnx().TensorProto.STRING:
        raise ModelError(f"{file}: input {given.name} holds text; numbers are read")
    axes = tuple(one.dim_value if one.HasField("dim_value") else one.dim_param for one in tensor.shape.dim)
    dtype: np.dtype[Any] = import_onnx().helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return FileInput(given.name, axes, dtype)


def _nodes(protos: Sequence[Any], opsets: dict[str, int]) -> Iterator[Node]:
    """Nodes with names that a module can have, each its own: the file's where it has one."""
    helper, taken = import_onnx().helper, set[str]()
    for position, proto in enumerate(protos):
        name = base = _module_name(proto.name) or f"{proto.op_type}_{position}"
        count = 1
        while any(one == name or one.startswith(f"{name}.") or name.startswith(f"{one}.") for one in taken):
            # Two of a name, or one inside another's.
            name = f"{base.replace('.', '_')}_{count}"
            count += 1
        taken.add(name)
        domain = proto.domain or "ai.onnx"
        operator = proto.op_type if domain == "ai.onnx" else f"{domain}:{proto.op_type}"
        attributes = {one.name: helper.get_attribute_value(one) for one in proto.attribute}
        ends, version = (tuple(proto.input), tuple(proto.output)), opsets.get(domain, 1)
        captures = tuple(sorted(name for graph in _graphs(proto) for name in _captured(graph)))
        yield Node(name, operator, attributes, *ends, version, captures, partial(_evaluate, proto, opsets))


def _graphs(node: Any) -> list[Any]:
    """The graphs inside a node."""
    return [graph for one in node.attribute for graph in (*([one.g] if one.HasField("g") else []), *one.graphs)]


def _captured(graph: Any) -> set[str]:
    """Names of the values that a graph inside a node reads from around it."""
    own = {one.name for one in (*graph.input, *graph.initializer)}
    own |= {name for node in graph.node for name in node.output}
    read = {name for node in graph.node for name in node.input} | {one.name for one in graph.output}
    return (read | {name for node in graph.node for inner in _graphs(node) for name in _captured(inner)}) - own - {""}


def _evaluate(proto: Any, opsets: dict[str, int], given: dict[str, Any]) -> list[Any]:
    """What onnx's reference makes of known inputs."""
    onnx = import_onnx()
    ends = [[onnx.ValueInfoProto(name=name) for name in names if name] for names in (proto.input, proto.output)]
    graph = onnx.helper.make_graph([proto], "node", *ends)
    versions = {"" if domain == "ai.onnx" else domain: version for domain, version in opsets.items()}
    feeds = {name: value for name, value in given.items() if name}
    made = iter(onnx.reference.ReferenceEvaluator(graph, opsets=versions).run(None, feeds))
    return [np.asarray(next(made)) if name else None for name in proto.output]


def _module_name(name: str) -> str:
    """The name as a path of modules, whose parts are joined by dots; none of these is empty."""
    return name if all(name.split(".")) else name.replace(".", "_")
