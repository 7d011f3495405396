"""Do exported networks have the sizes, MACs, parameters and fields of the modules that they were exported from?

Every network is exported by ``torch.onnx.export``, the older way and by dynamo, and the file is traced without the
module. Compared in order are all convolutions, transposed ones, linear layers, products and poolings: their sizes,
their MACs, and their fields with stride, start and exactness; rows of a product count as one axis, since torch
flattens them. Attention is traced as its two products, as exporters write it; recurrent layers of a module are one
node each in a file, and are compared together. The MACs of all layers are compared too, and what the file computes.

Parameters of a file: what onnx counts in it, numbers of one cell apart. Exporters fold norms into convolutions, drop
zeros, write biases of positions out for every pair and norms of groups as norms of instances; a column says by how many
the module has more.

Networks of keras (its torch backend, its own exporter) are held against keras's count of parameters, less one number
a channel of each batch norm, whose factor and variance become one, and torch's counter of operations.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import tempfile
import warnings
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import unconv as uc
from benchmarks.harness import goal
from benchmarks.networks import count, inputs_of
from benchmarks.peers import exported
from benchmarks.peers.network import Network

COLUMNS = {
    "network": "network",
    "layers": "layers compared",
    "mmacs": "10⁶ MACs",
    "parameters": "parameters",
    "older": "older exporter",
    "older_fewer": "parameters less",
    "dynamo": "dynamo",
    "dynamo_fewer": "parameters less",
    "note": "note",
}
# Numbers that a file computes of fewer before anything comes in, which count as they enter a layer, and what they are.
COMPUTED = {
    ("torchvision:swin_t", "dynamo"): (
        30_625,
        "dynamo: attention masks of 9·49² + 4·49² are 588 numbers",
    ),
}
WINDOWS = ("conv", "conv_transpose", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool")
# Inputs of nodes that are settings, first states or moments, by their positions.
NO_WEIGHTS = {"Resize": (1, 2), "LSTM": (5, 6), "GRU": (5,), "BatchNormalization": (3, 4)}
RECURRENT = ("lstm", "gru", "rnn")


def run(quick: bool = False) -> dict[str, Any]:
    """All networks, one row each."""
    logging.getLogger("torch.onnx").setLevel(logging.CRITICAL)
    step = 6 if quick else 1
    names = [*list(exported.networks())[::step], *list(exported.keras_networks())[::step]]
    return summary([row(name) for name in names])


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows, and how many of their files are traced as the module."""
    files = [one[way] for one in rows for way in ("older", "dynamo") if way in one]
    return {
        "columns": COLUMNS,
        "rows": rows,
        "files": len(files),
        "exported by": ", ".join(f"{name} {version(name)}" for name in ("torch", "onnx", "onnxscript", "keras")),
        "goals": [
            goal("networks", len(rows), 20),
            goal("files whose trace differs", sum(said != "equal" for said in files), 0, False),
            goal("networks that fail", sum("failed" in one for one in rows), 0, False),
        ],
    }


def row(name: str) -> dict[str, Any]:
    """What is found of one network."""
    gc.collect()
    with_torch = exported.networks()
    examine = torch_row if name in with_torch else keras_row
    network = with_torch[name] if name in with_torch else exported.keras_networks()[name]
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            return {"network": name, **examine(name, network, Path(folder) / "net.onnx")}
    except Exception as error:
        return {"network": name, "failed": f"{type(error).__name__}: {str(error)[:300]}"}


def torch_row(name: str, network: Network, path: Path) -> dict[str, Any]:
    """A module, and its files of both exporters."""
    model = network.build().eval()
    exported.draw_weights(model)
    with sdpa_kernel(SDPBackend.MATH):
        graph = uc.trace(model, list(network.sizes))
    inputs = tuple(inputs_of(network.sizes, 0))
    result: dict[str, Any] = {"layers": len(facts(graph)), "mmacs": graph.macs / 1e6, "parameters": graph.parameters}
    for way in ("older", "dynamo"):
        with contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(model, inputs, str(path), dynamo=way == "dynamo", verbose=False)
        traced = uc.trace(str(path))
        computed, note = COMPUTED.get((name, way), (0, ""))
        result[way] = "; ".join(differences(graph, traced, model, inputs, path, computed)) or "equal"
        result[f"{way}_fewer"] = graph.parameters - traced.parameters
        result["note"] = note or result.get("note", "")
    return result


def keras_row(_name: str, network: Network, path: Path) -> dict[str, Any]:
    """A network of keras, and its file."""
    model: Any = network.make()
    exported.draw_weights(model)
    with contextlib.redirect_stdout(io.StringIO()):
        model.export(str(path), format="onnx", verbose=False)
    sizes = list(network.sizes)
    graph = uc.trace(model, sizes, axes="h w c")
    traced = uc.trace(str(path), sizes, axes="h w c")
    said = differences(graph, traced, model, tuple(inputs_of(network.sizes, 0)), path)
    norms = sum(layer.gamma.shape[0] for layer in model.layers if type(layer).__name__ == "BatchNormalization")
    if traced.parameters != model.count_params() - norms:
        said.append(f"parameters {traced.parameters:,}, not {model.count_params() - norms:,}")
    if traced.macs != (counted := count(model, network.sizes)):
        said.append(f"MACs {traced.macs:,}, counted {counted:,}")
    return {
        "layers": len(facts(graph)),
        "mmacs": graph.macs / 1e6,
        "parameters": model.count_params(),
        "older": "; ".join(said) or "equal",
        "older_fewer": model.count_params() - traced.parameters,
        "note": "by the exporter of keras",
    }


def differences(
    graph: Any, traced: Any, model: nn.Module, inputs: tuple[Any, ...], path: Path, computed: int = 0
) -> list[str]:
    """In what a file's trace differs from its module's, in words; nothing where it does not."""
    said = []
    wanted, seen = facts(graph), facts(traced)
    if len(wanted) != len(seen):
        said.append(f"{len(seen)} layers, not {len(wanted)}")
    elif wanted != seen:
        first = next(n for n, pair in enumerate(zip(wanted, seen, strict=True)) if pair[0] != pair[1])
        said.append(f"layer {first}: {seen[first]}, not {wanted[first]}")
    if graph.macs != traced.macs:
        said.append(f"{traced.macs:,} MACs, not {graph.macs:,}")
    if traced.parameters != (held := parameters_of(path) + computed):
        said.append(f"{traced.parameters:,} parameters, {held:,} in the file")
    with torch.no_grad():
        outputs = (tensors(model(*inputs)), tensors(uc.load_model(str(path)).module.eval()(*inputs)))
    for wanted_values, values in zip(*outputs, strict=True):
        if not torch.allclose(wanted_values, values, atol=1e-3 * float(wanted_values.abs().max()), rtol=1e-3):
            said.append(f"values differ by up to {float((wanted_values - values).abs().max()):.2g}")
    return said


def facts(graph: Any) -> list[tuple[Any, ...]]:
    """Operator, size, MACs, field and its exactness of every layer that multiplies or pools, in order."""
    listed: list[tuple[Any, ...]] = []
    for layer in graph.layers:
        size, macs = layer.output_shape, layer.macs
        if layer.operator in RECURRENT:
            # The layers of one module follow each other; directions stand beside the units, or are an axis.
            size = (prod(size),)
            if listed and listed[-1][0] == layer.operator:
                macs += listed.pop()[2]
        elif layer.operator in ("linear", "matmul"):
            size = (prod(size[:-1]), size[-1])
        elif layer.operator not in WINDOWS and not macs:
            continue
        listed.append((layer.operator, size, macs, layer.receptive_field, layer.exact))
    return listed


def parameters_of(path: Path) -> int:
    """Numbers in the weights of a file: no single ones, no factors of resizing, first states and moments."""
    import onnx

    graph = onnx.load(str(path)).graph
    held = {one.name: one for one in graph.initializer}
    held |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    beside = set[str]()
    for node in reversed(graph.node):
        cut = node.op_type in ("Slice", "Expand") and node.output[0] in beside
        beside |= {name for n, name in enumerate(node.input) if cut or n in NO_WEIGHTS.get(node.op_type, ())}
    return sum(
        prod(one.dims)
        for name, one in held.items()
        if one.data_type == onnx.TensorProto.FLOAT and prod(one.dims) > 1 and name not in beside
    )


def tensors(output: Any) -> list[torch.Tensor]:
    """The tensors of an output, flat."""
    if isinstance(output, torch.Tensor):
        return [output]
    parts = output.values() if isinstance(output, dict) else output
    return [tensor for part in parts for tensor in tensors(part)]
