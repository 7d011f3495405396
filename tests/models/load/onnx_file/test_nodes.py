"""Nodes of ONNX files: values as onnxruntime computes them, sizes as a trace without values says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings, strategies as st
from onnx import TensorProto, helper, numpy_helper

from unconv.errors import ModelError
from unconv.models.load.onnx_file.network import OnnxNetwork
from unconv.models.load.onnx_file.read import read_onnx
from unconv.network.trace.trace import trace

RANDOM = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def whole(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


def write(
    folder: Path, nodes: Sequence[Any], shape: Sequence[int | str], constants: dict[str, Any], opset: int
) -> Path:
    """A file of nodes from x to y."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    known = {one.name: one for one in model.graph.output}
    if not known["y"].type.HasField("tensor_type"):
        known["y"].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


def check(folder: Path, operator: str, shape: Sequence[int], *constants: Any, opset: int = 18, **told: Any) -> None:
    """One node equals onnxruntime's, and its traced size is that of its values."""
    named = {f"c{n}": value for n, value in enumerate(constants) if value is not None}
    inputs = ["x", *(f"c{n}" if value is not None else "" for n, value in enumerate(constants))]
    node = helper.make_node(operator, inputs, ["made"], name="n.1/" + operator, **told)
    # What only moves cells is no layer of a trace: one follows.
    path = write(folder, [node, helper.make_node("Neg", ["made"], ["y"], name="last")], shape, named, opset)
    x = floats(*shape)
    (wanted,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["y"], {"x": x})
    network = OnnxNetwork(read_onnx(path)).eval()
    with torch.no_grad():
        made = network(torch.from_numpy(x))
    assert tuple(made.shape) == wanted.shape
    np.testing.assert_allclose(made.numpy(), wanted, rtol=1e-3, atol=1e-4)
    graph = trace(network)
    assert graph["last"].output_shape == wanted.shape[1:]
    assert all(layer.name == "last" or layer.name.startswith("n.1/") for layer in graph.layers)


PADS = st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])


@settings(max_examples=15, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose", "MaxPool", "AveragePool"])
def test_windows_equal_onnxruntime(
    operator: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    axes = data.draw(st.integers(1, 2))
    few = st.lists(st.integers(1, 3), min_size=axes, max_size=axes)
    kernel, strides = data.draw(few), data.draw(few)
    dilations = data.draw(few) if operator in ("Conv", "ConvTranspose") else [1] * axes
    auto = data.draw(PADS)
    attributes: dict[str, Any] = {"auto_pad": auto, "strides": strides, "kernel_shape": kernel}
    if operator != "AveragePool":
        attributes["dilations"] = dilations
    if auto.startswith("SAME"):
        # onnxruntime refuses dilation there, or has a rule of its own for windows below the stride.
        attributes.pop("dilations", None)
        kernel[:] = [max(pair) for pair in zip(kernel, strides, strict=True)]
    if auto == "NOTSET":
        ends = [data.draw(st.integers(0, k - 1)) for k in kernel * 2]
        attributes["pads"] = ends
    size = data.draw(st.lists(st.integers(7, 10), min_size=axes, max_size=axes))
    folder = tmp_path_factory.mktemp("net")
    if operator == "Conv":
        groups = data.draw(st.sampled_from([1, 2]))
        bias = data.draw(st.sampled_from([None, floats(6)]))
        check(folder, operator, (1, 4, *size), floats(6, 4 // groups, *kernel), bias, group=groups, **attributes)
    elif operator == "ConvTranspose":
        if auto == "NOTSET" and data.draw(st.booleans()):
            attributes["output_padding"] = [data.draw(st.integers(0, s - 1)) for s in strides]
        elif data.draw(st.booleans()) and auto != "VALID":
            attributes.pop("pads", None)
            attributes.pop("dilations", None)
            attributes["output_shape"] = [
                s * (n - 1) + k - data.draw(st.integers(0, k - 1))
                for n, k, s in zip(size, kernel, strides, strict=True)
            ]
        check(folder, operator, (1, 4, *size), floats(4, 3, *kernel), floats(6), group=2, **attributes)
    else:
        if auto == "NOTSET" and attributes["pads"][:axes] == attributes["pads"][axes:]:
            attributes["ceil_mode"] = data.draw(st.integers(0, 1))
            attributes["pads"] = [min(pad, k // 2) for pad, k in zip(attributes["pads"], kernel * 2, strict=True)]
        if operator == "AveragePool" and not attributes.get("ceil_mode"):
            attributes["count_include_pad"] = data.draw(st.integers(0, 1))
        check(folder, operator, (1, 3, *size), **attributes)


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("places", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"])
def test_nearest_resizing_picks_the_cells_of_onnxruntime(tmp_path: Path, places: str, rounding: str) -> None:
    for size in ((10, 14), (3, 4), (8, 11)):
        wanted, options = whole(1, 2, *size), {"coordinate_transformation_mode": places, "nearest_mode": rounding}
        check(tmp_path, "Resize", (1, 2, 5, 7), None, None, wanted, mode="nearest", **options)


@pytest.mark.parametrize(
    "places", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric"]
)
def test_linear_resizing_weighs_as_onnxruntime(tmp_path: Path, places: str) -> None:
    options = {"coordinate_transformation_mode": places, "mode": "linear"}
    for factor in (2.0, 1.7, 0.6):
        check(tmp_path, "Resize", (1, 2, 5, 7), None, np.array([1, 1, factor, factor], np.float32), opset=19, **options)
    check(tmp_path, "Resize", (1, 2, 5, 7), None, None, whole(1, 2, 9, 3), opset=19, **options)


def test_resizing_of_other_kinds(tmp_path: Path) -> None:
    check(tmp_path, "Resize", (1, 2, 5, 7), None, None, whole(1, 2, 10, 9), mode="cubic", cubic_coeff_a=-0.75)
    check(tmp_path, "Resize", (1, 2, 6, 8), None, None, whole(12, 4), axes=[2, 3])
    check(tmp_path, "Resize", (1, 5, 7, 2), None, None, whole(1, 10, 14, 2))
    check(tmp_path, "Upsample", (1, 2, 5, 7), np.array([1, 1, 2, 3], np.float32), mode="nearest", opset=9)
    check(tmp_path, "Upsample", (1, 2, 5, 7), np.array([1, 1, 2, 3], np.float32), mode="linear", opset=9)
    options = {"mode": "cubic", "coordinate_transformation_mode": "asymmetric"}
    with pytest.raises(ModelError, match=r"^node n.1/Resize \(Resize\): cubic resizing with asymmetric"):
        check(tmp_path, "Resize", (1, 2, 5, 7), None, None, whole(1, 2, 10, 9), **options)


UNARY = (
    *("Abs", "Neg", "Exp", "Floor", "Ceil", "Sign", "Sin", "Cos", "Erf", "Tanh", "Sigmoid", "Relu", "Softplus", "Mish"),
    *("Softsign", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "Selu", "ThresholdedRelu", "Identity", "Celu"),
    *("GlobalAveragePool", "GlobalMaxPool", "Softmax", "LogSoftmax", "Flatten", "Shape"),
)


@pytest.mark.parametrize("operator", UNARY)
def test_functions_of_one_value(tmp_path: Path, operator: str) -> None:
    if operator == "Shape":
        shape = helper.make_node("Shape", ["x"], ["s"])
        expand = helper.make_node("Expand", ["m", "s"], ["e"])
        mean = helper.make_node("GlobalAveragePool", ["x"], ["m"])
        path = write(tmp_path, [shape, mean, expand, helper.make_node("Sub", ["x", "e"], ["y"])], (1, 3, 4, 6), {}, 18)
        x = floats(1, 3, 4, 6)
        made = OnnxNetwork(read_onnx(path))(torch.from_numpy(x))
        np.testing.assert_allclose(made, x - x.mean((2, 3), keepdims=True), atol=1e-5)
        return
    check(tmp_path, operator, (1, 3, 4, 6))


@pytest.mark.parametrize(
    ("operator", "constants", "attributes"),
    [
        ("Add", [floats(1, 3, 1, 1)], {}),
        ("Div", [floats(4, 6) + 4], {}),
        ("Pow", [np.array(2.0, np.float32)], {}),
        ("Max", [floats(6)], {}),
        ("MatMul", [floats(6, 5)], {}),
        ("PRelu", [floats(3, 1, 1)], {}),
        ("PRelu", [floats(6)], {}),
        ("Clip", [np.array(-0.5, np.float32), np.array(0.5, np.float32)], {}),
        ("Clip", [None, np.array(0.5, np.float32)], {}),
        ("BatchNormalization", [floats(3), floats(3), floats(3), abs(floats(3))], {}),
        ("InstanceNormalization", [floats(3), floats(3)], {}),
        ("LayerNormalization", [floats(6), floats(6)], {"axis": -1}),
        ("LRN", [], {"size": 3}),
        ("LpNormalization", [], {"axis": 1}),
        ("ReduceMean", [whole(2, 3)], {}),
        ("ReduceMax", [whole(-1)], {"keepdims": 0}),
        ("ReduceL2", [whole(1)], {}),
        ("ReduceSumSquare", [whole(1, 3)], {}),
        ("ReduceLogSumExp", [whole(3)], {}),
        ("Reshape", [whole(0, -1, 6)], {}),
        ("Unsqueeze", [whole(1, -1)], {}),
        ("Tile", [whole(1, 2, 1, 3)], {}),
        ("Expand", [whole(1, 3, 4, 6)], {}),
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("Slice", [whole(1, 0), whole(3, 100), whole(2, 3), whole(1, 2)], {}),
        ("Slice", [whole(-1), whole(-100), whole(3), whole(-2)], {}),
        ("Slice", [whole(3), whole(0), whole(2), whole(-1)], {}),
        ("Gather", [whole(2, 0, -1)], {"axis": 3}),
        ("Gather", [np.array(1, np.int64)], {"axis": 2}),
        ("Gather", [np.array([[0, 1], [2, -1]], np.int64)], {"axis": 2}),
        ("GatherElements", [np.array([[[[1, -1]]]], np.int64)], {"axis": 3}),
        ("Pad", [whole(0, 0, 1, 2, 0, 0, 3, 0)], {}),
        ("Pad", [whole(0, 0, 1, 2, 0, 0, 3, 0), np.array(1.5, np.float32)], {}),
        ("Pad", [whole(0, 0, 1, -1, 0, 0, -2, 3)], {}),
        ("Pad", [whole(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "reflect"}),
        ("Pad", [whole(0, 0, 0, 2, 0, 0, 0, 1)], {"mode": "edge"}),
        ("Pad", [whole(0, 1, 1, 2, 0, 1, 1, 0)], {"mode": "edge"}),
        ("CumSum", [np.array(3, np.int64)], {}),
        ("Trilu", [np.array(1, np.int64)], {"upper": 0}),
        ("Einsum", [floats(6, 5)], {"equation": "nchw,wk->nckh"}),
    ],
)  # fmt: skip
def test_functions_with_settings_and_weights(
    tmp_path: Path, operator: str, constants: list[Any], attributes: dict[str, Any]
) -> None:
    check(tmp_path, operator, (1, 3, 4, 6), *constants, **attributes)


def test_adaptive_pooling_by_blocks_at_known_indices_has_bounds_of_fields(tmp_path: Path) -> None:
    # Dynamo writes pooling of 4 × 5 to 3 × 3 so: places in front, blocks of cells at indices, their sum.
    x, rows, columns = floats(1, 3, 4, 5), [[0, 1], [1, 2], [2, 3]], [[0, 1], [1, 3], [3, -1]]
    at = np.array([[[[[r, c] for c in pair] for r in cells] for pair in columns] for cells in rows], np.int64)
    nodes = [
        helper.make_node("Transpose", ["x"], ["front"], perm=[2, 3, 0, 1]),
        helper.make_node("GatherND", ["front", "at"], ["cells"], name="cells"),
        helper.make_node("ReduceMean", ["cells", "axes"], ["mean"], keepdims=0, name="mean"),
        helper.make_node("Transpose", ["mean"], ["back"], perm=[2, 3, 0, 1]),
        helper.make_node("Neg", ["back"], ["y"], name="last"),
    ]
    path = write(tmp_path, nodes, (1, 3, 4, 5), {"at": at, "axes": whole(2, 3)}, 18)
    (wanted,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["y"], {"x": x})
    network = OnnxNetwork(read_onnx(path))
    np.testing.assert_allclose(network(torch.from_numpy(x)).numpy(), wanted, rtol=1e-5)
    graph = trace(network)
    assert graph["last"].output_shape == (3, 3, 3)
    field = graph["last"].receptive_field
    assert field is not None
    assert field.covers_everything
    assert not graph["last"].exact


def test_cells_are_put_to_known_indices(tmp_path: Path) -> None:
    check(tmp_path, "ScatterND", (1, 3, 4, 6), np.array([[0, 2], [0, 0]], np.int64), floats(2, 4, 6))
    check(tmp_path, "ScatterND", (1, 3, 4, 6), np.array([[0, 2], [0, 2]], np.int64), floats(2, 4, 6), reduction="add")
    places = np.array([[[[1, -1]]]], np.int64)
    check(tmp_path, "ScatterElements", (1, 3, 4, 6), places, floats(1, 1, 1, 2), axis=3)
    check(tmp_path, "ScatterElements", (1, 3, 4, 6), places, floats(1, 1, 1, 2), axis=3, reduction="add")


def test_norms_of_windows_and_of_maps(tmp_path: Path) -> None:
    check(tmp_path, "LpPool", (1, 3, 7, 6), kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], p=3)
    check(tmp_path, "GlobalLpPool", (1, 3, 4, 6), p=1)
    check(tmp_path, "Shrink", (1, 3, 4, 6), bias=0.1, lambd=0.4)
    check(tmp_path, "Asinh", (1, 3, 4, 6))


def test_unpooling_puts_cells_back_to_their_places(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MaxPool", ["x"], ["low", "places"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MaxUnpool", ["low", "places"], ["made"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Neg", ["made"], ["y"], name="last"),
    ]
    path = write(tmp_path, nodes, (1, 3, 4, 6), {}, 18)
    x = floats(1, 3, 4, 6)
    (wanted,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["y"], {"x": x})
    network = OnnxNetwork(read_onnx(path))
    np.testing.assert_allclose(network(torch.from_numpy(x)).numpy(), wanted)
    assert trace(network)["last"].output_shape == (3, 4, 6)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_orders_channels_as_onnxruntime(tmp_path: Path, mode: str) -> None:
    check(tmp_path, "DepthToSpace", (1, 12, 3, 4), blocksize=2, mode=mode)
    check(tmp_path, "SpaceToDepth", (1, 3, 4, 6), blocksize=2)


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_recurrent_layers_equal_onnxruntime_and_count_their_products(
    tmp_path: Path, layer: str, direction: str
) -> None:
    gates, ways = {"LSTM": 4, "GRU": 3, "RNN": 1}[layer], 1 + (direction == "bidirectional")
    weights = floats(ways, gates * 5, 3), floats(ways, gates * 5, 5), floats(ways, gates * 10)
    options = {"linear_before_reset": 1} if layer == "GRU" else {}
    if direction == "bidirectional":
        options["activations"] = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}[
            layer
        ] * 2
    check(tmp_path, layer, (7, 2, 3), *weights, hidden_size=5, direction=direction, opset=14, **options)
    network = OnnxNetwork(read_onnx(tmp_path / "net.onnx"))
    # trace() gives one axis in front, here that of the steps.
    assert trace(network).macs == ways * gates * 5 * (3 + 5) * math.prod((1, 2))


def test_what_follows_from_sizes_alone_is_computed_by_onnx(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("ConstantOfShape", ["s"], ["zeros"]),
        helper.make_node("Add", ["x", "zeros"], ["made"]),
        helper.make_node("Neg", ["made"], ["y"], name="last"),
    ]
    network = OnnxNetwork(read_onnx(write(tmp_path, nodes, (1, 3, 4, 6), {}, 18)))
    x = torch.from_numpy(floats(1, 3, 4, 6))
    torch.testing.assert_close(network(x), -x)
    assert trace(network)["last"].output_shape == (3, 4, 6)


def test_axes_of_one_cell_are_dropped(tmp_path: Path) -> None:
    check(tmp_path, "Squeeze", (1, 3, 1, 6), whole(2))
    check(tmp_path, "Squeeze", (1, 3, 1, 6), axes=[-2], opset=11)


def test_gemm_with_factors_and_transposed_weights(tmp_path: Path) -> None:
    check(tmp_path, "Gemm", (1, 6), floats(4, 6), floats(4), transB=1)
    check(tmp_path, "Gemm", (1, 6), floats(6, 4), floats(4), alpha=0.5, beta=2.0)
    check(tmp_path, "Gemm", (1, 6), floats(6, 4), floats(1))
