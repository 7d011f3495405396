"""Quantised ONNX files as onnxruntime writes them: its values, and the sizes, MACs and fields of the float network."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from torch import nn

import unconv as uc
from unconv.network.trace.graph import Graph

RANDOM = np.random.default_rng(0)
SIZE = (1, 3, 16, 16)


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Two random pictures."""

    def __init__(self) -> None:
        self.left = [{"x": RANDOM.standard_normal(SIZE).astype(np.float32)} for _ in range(2)]

    def get_next(self) -> Any:
        return self.left.pop() if self.left else None


class Network(nn.Module):
    """Convolutions with and without bias, groups, a join, a transposed one, poolings, linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.branch = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = self.stem(x)
        low = torch.cat([low, torch.sigmoid(self.branch(low) + low)], 1)[:, 4:12]
        output: torch.Tensor = self.head(self.up(nn.functional.max_pool2d(nn.functional.leaky_relu(low), 2)))
        return output


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Graph]:
    torch.manual_seed(0)
    model, path = Network().eval(), tmp_path_factory.mktemp("float") / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(SIZE),), str(path), dynamo=False, input_names=["x"])
    return path, uc.trace(str(path))


def products(graph: Graph, fields: bool = True) -> list[tuple[Any, ...]]:
    """Operator, size and MACs of all layers that multiply, and their fields."""
    layers = [layer for layer in graph.layers if layer.macs]
    return [
        (layer.operator, layer.output_shape, layer.macs, layer.receptive_field if fields else None) for layer in layers
    ]


def check(path: Path, tolerance: float) -> Graph:
    """The file's values are onnxruntime's."""
    x = RANDOM.standard_normal(SIZE).astype(np.float32)
    (wanted,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    with torch.no_grad():
        made = uc.load_model(str(path)).module.eval()(torch.from_numpy(x))
    np.testing.assert_allclose(made.numpy(), wanted, atol=tolerance)
    return uc.trace(str(path))


@pytest.mark.parametrize(
    ("form", "kind"), [(QuantFormat.QDQ, QuantType.QInt8), (QuantFormat.QOperator, QuantType.QUInt8)]
)
def test_statically_quantised_files_compute_and_count_as_the_float_network(
    network: tuple[Path, Graph], tmp_path: Path, form: QuantFormat, kind: QuantType
) -> None:
    path, graph = network
    told = {"activation_type": kind, "weight_type": QuantType.QInt8, "per_channel": form == QuantFormat.QDQ}
    quantize_static(str(path), str(tmp_path / "net.onnx"), Calibration(), quant_format=form, **told)
    # One step of the last scale: rounding differs where a value stands between two.
    traced = check(tmp_path / "net.onnx", 0.02)
    assert products(traced) == products(graph)
    assert traced.parameters == graph.parameters
    names = {node.name for node in onnx.load(tmp_path / "net.onnx").graph.node}
    assert all(layer.name in names for layer in traced.layers if layer.macs)


def test_dynamically_quantised_files_read_the_whole_input_for_its_scale(
    network: tuple[Path, Graph], tmp_path: Path
) -> None:
    path, graph = network
    quantize_dynamic(str(path), str(tmp_path / "net.onnx"), weight_type=QuantType.QUInt8)
    traced = check(tmp_path / "net.onnx", 1e-4)
    assert products(traced, fields=False) == products(graph, fields=False)
    assert traced.parameters == graph.parameters
    field = next(layer for layer in traced.layers if layer.macs).receptive_field
    assert field is not None
    assert field.covers_everything
