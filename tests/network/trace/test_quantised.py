"""Statically quantised networks: sizes, multiply–accumulates and fields are those of the float network."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.ao.quantization as ao
import torchvision
from torch import Tensor, nn
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

import unconv as uc
from unconv.network.trace.graph import Graph


@pytest.fixture(autouse=True)
def _old() -> Iterator[None]:
    """torch's own warnings: eager and graph modes are to move to torchao."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Tower(nn.Module):
    """Between a quantisation and its end, any layers."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.begin, self.body, self.end = ao.QuantStub(), nn.Sequential(*layers), ao.DeQuantStub()

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(self.begin(x)))  # type: ignore[no-any-return]


class Joined(nn.Module):
    """Sums, products and concatenations, as quantised networks write them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.join = (
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Conv2d(4, 4, 5, 1, 2),
            nn.quantized.FloatFunctional(),
        )

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x), self.b(x)
        a = self.join.add_relu(a, self.join.mul(a, b))
        return self.join.cat([self.join.add_scalar(a, 1.0), b], 1)


def calibrated(model: nn.Module, x: Tensor, engine: str = "fbgemm") -> nn.Module:
    model = copy.deepcopy(model).eval()
    model.qconfig = ao.get_default_qconfig(engine)  # type: ignore[assignment]
    prepared = ao.prepare(model)
    prepared(x)
    return ao.convert(prepared)  # type: ignore[no-any-return]


def counted(graph: Graph) -> list[tuple[Any, ...]]:
    """The layers with multiply–accumulates, and what is known of them."""
    rows = ((one.operator, one.output_shape, one.macs, one.receptive_field, one.exact) for one in graph if one.macs)
    return list(rows)


LAYERS: dict[str, tuple[tuple[nn.Module, ...], tuple[int, ...]]] = {
    "images": (
        (nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, 1, 2, 2, groups=8)),
        (3, 33, 40),
    ),
    "waveforms": ((nn.Conv1d(2, 4, 5, 2, 2), nn.ReLU(), nn.Conv1d(4, 4, 3, dilation=3)), (2, 70)),
    "volumes": ((nn.Conv3d(1, 4, (1, 3, 3), (1, 2, 2)), nn.Conv3d(4, 4, 3, padding=1)), (1, 6, 12, 12)),
    "vectors": ((nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5)), (3, 9, 9)),
    "units": ((nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.LeakyReLU(), nn.ELU(), nn.Sigmoid(), nn.ReLU6()), (3, 9, 9)),
    "norms": (
        (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)),
        (3, 9, 9),
    ),
    "places": (
        (nn.Conv2d(3, 4, 3), nn.LayerNorm([4, 7, 7]), nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 1)),
        (3, 9, 9),
    ),
    "joins": ((nn.Conv2d(3, 4, 3), Joined(), nn.Conv2d(8, 2, 3)), (3, 16, 16)),
}


def test_functions_of_quantised_tensors() -> None:
    class Written(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)
            return torch.ops.quantized.add(x, torch.ops.quantized.relu6(x), 0.1, 0).dequantize()  # type: ignore[no-any-return]

    graph = uc.trace(Written(), (3, 8, 8))
    assert [(one.operator, one.output_shape) for one in graph] == [("hardtanh", (3, 8, 8)), ("add", (3, 8, 8))]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_those_of_the_float_network(name: str) -> None:
    layers, size = LAYERS[name]
    model = Tower(*layers).eval()
    x = torch.rand(1, *size)
    quantised = calibrated(model, x)
    graph, wanted = uc.trace(quantised, size), uc.trace(model, size)
    assert counted(graph) == counted(wanted)
    assert graph.macs == wanted.macs
    assert not graph.uncounted
    assert tuple(quantised(x).shape[1:]) == graph.layers[-1].output_shape


def test_transposed_layers() -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1, groups=2)
    model = Tower(*layers).eval()
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "qnnpack"
    try:
        quantised = calibrated(model, torch.rand(1, 3, 10, 10), "qnnpack")
    finally:
        torch.backends.quantized.engine = before
    assert counted(uc.trace(quantised, (3, 10, 10))) == counted(uc.trace(model, (3, 10, 10)))


def test_fused_layers_keep_their_names() -> None:
    model = Tower(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4), nn.ReLU()
    ).eval()
    fused = ao.fuse_modules(model, [["body.0", "body.1", "body.2"], ["body.4", "body.5"]])
    graph = uc.trace(calibrated(fused, torch.rand(1, 3, 8, 8)), (3, 8, 8))
    assert [(one.name, one.operator) for one in graph if one.operator != "flatten"] == [
        *(("body.0", "conv"), ("body.0.relu", "relu"), ("body.4", "linear"), ("body.4.relu", "relu"))
    ]


class Shortcut(nn.Module):
    """A functional network with a shortcut, as graphs of fx are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.b, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.norm(self.a(x)).relu(), 2)
        left, right = torch.cat([x + self.b(x), nn.functional.hardswish(x)], 1).chunk(2, 1)
        return self.head((left * right).mean((2, 3)))  # type: ignore[no-any-return]


def test_graphs_of_fx() -> None:
    model, x = Shortcut().eval(), torch.rand(1, 3, 20, 21)
    prepared = prepare_fx(model, ao.get_default_qconfig_mapping("fbgemm"), (x,))
    prepared(x)
    graph, wanted = uc.trace(convert_fx(prepared), (3, 20, 21)), uc.trace(model, (3, 20, 21))
    assert counted(graph) == counted(wanted)
    assert [
        one.severity for one in uc.audit(convert_fx(prepared), (3, 20, 21)).findings if one.severity == "error"
    ] == []


def test_networks_of_torchvision() -> None:
    model = torchvision.models.quantization.resnet18(quantize=True).eval()
    graph, wanted = uc.trace(model, (3, 33, 33)), uc.trace(torchvision.models.resnet18(), (3, 33, 33))
    assert counted(graph) == counted(wanted)
    assert {one.name for one in graph if one.macs} == {one.name for one in wanted if one.macs}
    assert {one.note for one in graph if one.macs} == {"its weights are whole numbers, which are no parameters"}


def test_dynamically_quantised_layers() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    graph, wanted = uc.trace(ao.quantize_dynamic(model, {nn.Linear}), (8,)), uc.trace(model, (8,))
    assert [(one.name, one.operator, one.macs) for one in graph] == [
        (one.name, one.operator, one.macs) for one in wanted
    ]
    assert "whole numbers" in graph["0"].note


def test_products_of_whole_numbers() -> None:
    """As torchao writes a linear layer: both sides rounded, their product scaled."""

    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.ones(8, 32, dtype=torch.int8))

        def forward(self, x: Tensor) -> Tensor:
            return torch._int_mm(x.mul(16).round().to(torch.int8), self.weight).float() / 16  # type: ignore[operator]

    graph, wanted = uc.trace(Rounded(), (8,)), uc.trace(nn.Linear(8, 32, bias=False), (8,))
    assert counted(graph) == counted(wanted)
    assert not graph.uncounted
