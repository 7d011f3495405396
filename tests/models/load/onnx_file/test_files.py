"""ONNX files as people have them: old and new opsets, small types, weights beside the file, open sizes, damage."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import unconv as uc
from unconv.errors import ModelError

node, value = helper.make_node, helper.make_tensor_value_info
RANDOM = np.random.default_rng(0)
KERNELS = RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float32)
CONV = node("Conv", ["x", "w"], ["y"], name="conv")
PICTURE = (1, 3, 8, 8)


def save(
    folder: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any] = (),
    weights: Sequence[Any] = (),
    rank: int = 4,
    kind: int = TensorProto.FLOAT,
) -> Path:
    """A file of nodes to y; x is a picture of 8 × 8 unless inputs say otherwise, w are kernels of 3 × 3."""
    axes = [f"axis{n}" for n in range(rank)]
    held = [numpy_helper.from_array(KERNELS, "w"), *weights]
    graph = helper.make_graph(
        nodes, "net", list(inputs) or [value("x", kind, PICTURE)], [value("y", kind, axes)], held[bool(weights) :]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10), folder / "net.onnx")
    return folder / "net.onnx"


def edit(path: Path, change: Callable[[Any], Any]) -> Path:
    """The same file, with something of it changed."""
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def refused(path: Path, said: str, **options: Any) -> None:
    """A trace is refused in one line."""
    with pytest.raises(ModelError, match=said) as caught:
        uc.trace(str(path), **options)
    assert "\n" not in str(caught.value)


def test_a_network_is_the_same_from_opset_9_on(tmp_path: Path) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.ConvTranspose2d(4, 4, 2, 2), nn.Upsample(scale_factor=2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5), nn.Softmax(1),
    ).eval()  # fmt: skip
    wanted = [(one.output_shape, one.macs, one.receptive_field) for one in uc.trace(model, (3, 16, 16)).layers]
    for opset in (9, 13, 20):
        path = tmp_path / f"{opset}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(model, (torch.zeros(1, 3, 16, 16),), str(path), dynamo=False, opset_version=opset)
        layers = uc.trace(str(path)).layers
        assert [(one.output_shape, one.macs, one.receptive_field) for one in layers] == wanted


@pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"])
def test_weights_of_every_floating_type_are_read(tmp_path: Path, kind: str) -> None:
    number = getattr(TensorProto, kind)
    kernels = helper.make_tensor("w", number, KERNELS.shape, KERNELS.flatten().tolist())
    path = save(tmp_path, [CONV], weights=[kernels], kind=number)
    layer = uc.trace(str(path))["conv"]
    assert (layer.output_shape, layer.parameters, layer.macs, layer.receptive_field.size) == (
        (4, 6, 6),
        108,
        3888,
        (3, 3),
    )
    held = uc.load_model(str(path)).module.get_parameter("conv.weight")
    torch.testing.assert_close(held.detach().double(), torch.from_numpy(KERNELS).double(), atol=0, rtol=1e-2)


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT32", "INT4", "UINT4", "FLOAT8E4M3FN", "FLOAT8E5M2"])
def test_weights_of_small_types_are_scaled_before_the_layer(tmp_path: Path, kind: str) -> None:
    steps = RANDOM.integers(0, 7, KERNELS.size).tolist()
    kernels = helper.make_tensor("k", getattr(TensorProto, kind), KERNELS.shape, steps)
    scale = numpy_helper.from_array(np.array(0.5, np.float32), "s")
    path = save(tmp_path, [node("DequantizeLinear", ["k", "s"], ["w"], name="scale"), CONV], weights=[kernels, scale])
    layer = uc.trace(str(path))["conv"]
    assert (layer.output_shape, layer.parameters, layer.macs) == ((4, 6, 6), 108, 3888)
    held = uc.load_model(str(path)).module.get_parameter("conv.weight").detach()
    assert held.flatten().tolist() == [step / 2 for step in steps]


def test_weights_beside_the_file_are_read_from_its_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    path = save(folder, [CONV])
    options = {"save_as_external_data": True, "location": "net.data", "size_threshold": 0}
    onnx.save(onnx.load(path), str(path), **options)
    assert uc.trace(str(path)).parameters == 108
    (tmp_path / "net.data").write_bytes((folder / "net.data").read_bytes())

    def point(key: str, told: str) -> Path:
        def change(model: Any) -> None:
            (entry,) = [one for one in model.graph.initializer[0].external_data if one.key == key]
            entry.value = told

        return edit(path, change)

    refused(point("length", "4"), r"net\.onnx: weight w cannot be read: cannot reshape array of size 1")
    refused(point("location", "../net.data"), r"net\.onnx: onnx refuses the file: .*\.\./net\.data")
    refused(point("location", str(tmp_path / "net.data")), "onnx refuses the file: .*absolute path")
    refused(point("location", "no.data"), r"onnx refuses the file: .*no\.data")


def test_sizes_below_one_are_open(tmp_path: Path) -> None:
    path = save(tmp_path, [CONV], [value("x", TensorProto.FLOAT, (-1, 3, -1, -1))])
    refused(path, r"the size of input x \(-1, 3, -1, -1\) is not fixed; say it: input_size=\(3, 224, 224\)")
    assert uc.trace(str(path), (3, 20, 30))["conv"].output_shape == (4, 18, 28)
    path = save(tmp_path, [CONV], [value("x", TensorProto.FLOAT, ("n", "c", "h", "w"))])
    refused(path, r"input x \(n, c, h, w\) is not fixed; say it: input_size=\(3, 224, 224\)")


def test_several_inputs_are_told_apart(tmp_path: Path) -> None:
    nodes = [node("Conv", ["x", "w"], ["a"], name="conv"), node("Mul", ["a", "t"], ["b"], name="scale")]
    nodes += [node("Add", ["b", "z"], ["y"], name="join")]
    inputs = [value("x", TensorProto.FLOAT, PICTURE), value("t", TensorProto.FLOAT, ())]
    inputs += [value("z", TensorProto.FLOAT, (1, 4, 6, 6))]
    path = save(tmp_path, nodes, inputs)
    assert uc.trace(str(path))["join"].output_shape == (4, 6, 6)
    refused(path, r"trace: 1 size for 3 inputs; give \(channels, \*axes\) of each", input_size=(3, 8, 8))


def test_control_flow_is_named(tmp_path: Path) -> None:
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(kind, ["x"], ["b"])], name, [], [value("b", TensorProto.FLOAT, PICTURE)]
        )
        for name, kind in (("then", "Relu"), ("else", "Neg"))
    }
    inputs = [value("x", TensorProto.FLOAT, PICTURE), value("choice", TensorProto.BOOL, ())]
    path = save(tmp_path, [node("If", ["choice"], ["y"], name="either", **branches)], inputs)
    refused(path, r"net\.onnx: node either: If is control flow, which is not known here; ")


def test_what_onnx_does_not_see_is_refused_in_a_line(tmp_path: Path) -> None:
    text = save(tmp_path, [CONV], [value("x", TensorProto.FLOAT, PICTURE), value("t", TensorProto.STRING, (1,))])
    refused(text, "input t holds text; numbers are read")
    newer = edit(save(tmp_path, [CONV]), lambda model: setattr(model.opset_import[0], "version", 99))
    refused(newer, r"opset 99 is newer than \d+, the last that this onnx knows; upgrade onnx")
    path = save(tmp_path, [CONV])
    path.write_bytes(path.read_bytes().replace(b"conv", b"\xff\xfe\xfd\xfc"))
    refused(path, r"holds the name b'\\xff\\xfe\\xfd\\xfc', which is no text in UTF-8")
    odd = node("Conv", ["x", "w"], ["y"], name="odd", group=3)
    refused(
        save(tmp_path, [odd]), r"(onnx refuses the file: .*|node odd \(Conv\): its attributes and weights are none)"
    )


def test_steps_beyond_any_map_are_refused(tmp_path: Path) -> None:
    held = [numpy_helper.from_array(KERNELS[:3], "w")]
    path = save(tmp_path, [node("ConvTranspose", ["x", "w"], ["y"], name="up", strides=[2**40, 2])], weights=held)
    refused(
        path, r"node up \(ConvTranspose\): strides \[1099511627776, 2\] and dilations \[1, 1\] have to be from 1 to "
    )


def test_damaged_files_are_read_or_refused_in_a_line(tmp_path: Path) -> None:
    whole = save(tmp_path, [CONV]).read_bytes()
    path = tmp_path / "damaged.onnx"
    for _ in range(40):
        damaged = bytearray(whole[: RANDOM.integers(len(whole))] if RANDOM.random() < 0.2 else whole)
        for place in RANDOM.integers(0, max(len(damaged), 1), 3) if damaged else ():
            damaged[place] = RANDOM.integers(256)
        path.write_bytes(bytes(damaged))
        refusals = []
        try:
            uc.trace(str(path))
        except ModelError as error:
            refusals.append(str(error))
        assert "\n" not in "".join(refusals)


def test_weights_that_several_nodes_take_count_once(tmp_path: Path) -> None:
    square = numpy_helper.from_array(RANDOM.standard_normal((3, 3, 1, 1)).astype(np.float32), "k")
    nodes = [node("Conv", ["x", "k"], ["a"], name="first"), node("Identity", ["k"], ["again"])]
    nodes += [node("Conv", ["a", "k"], ["b"], name="second"), node("Conv", ["b", "again"], ["y"], name="third")]
    graph = uc.trace(str(save(tmp_path, nodes, weights=[square])))
    assert (graph.parameters, graph.macs) == (9, 3 * 9 * 64)


def test_a_file_for_batches_is_traced_for_one_example(tmp_path: Path) -> None:
    picture = [value("x", TensorProto.FLOAT, (4, 3, 8, 8))]
    for shape, rows in (([4, 144], 1), ([4, -1], 1), ([16, 36], 4), ([-1, 144], 1)):
        target = numpy_helper.from_array(np.array(shape), "s")
        matrix = numpy_helper.from_array(np.ones((144 // rows, 5), np.float32), "m")
        nodes = [node("Conv", ["x", "w"], ["a"], name="conv"), node("Reshape", ["a", "s"], ["b"], name="rows")]
        nodes += [node("MatMul", ["b", "m"], ["y"], name="head")]
        path = save(tmp_path, nodes, picture, [numpy_helper.from_array(KERNELS, "w"), target, matrix], rank=2)
        assert uc.trace(str(path)).macs == 3888 + 144 * 5
        network = uc.load_model(str(path)).module
        assert [network(torch.zeros(batch, 3, 8, 8)).shape for batch in (4, 1)] == [(4 * rows, 5), (rows, 5)]


def test_a_shape_that_is_fixed_to_another_size_says_so(tmp_path: Path) -> None:
    target = numpy_helper.from_array(np.array([1, 144]), "s")
    nodes = [node("Conv", ["x", "w"], ["a"], name="conv"), node("Reshape", ["a", "s"], ["y"], name="rows")]
    path = save(tmp_path, nodes, weights=[numpy_helper.from_array(KERNELS, "w"), target], rank=2)
    said = r"node rows \(Reshape\): the shape 1×144 is none of 1×4×18×18, the batch first; .* export it with dynamic"
    refused(path, said, input_size=(3, 20, 20))
