"""Multiply–accumulates against torch's own counter of what it runs, and totals that say what they leave out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from unconv.network.audit.audit import audit
from unconv.network.trace.trace import trace

sys.path.insert(0, str(Path(__file__).parent))
from connections import gradient_box


def counted_by_torch(model: nn.Module, *size: int) -> int:
    """In float64 torch runs recurrent layers as products of matrices, each of which it counts."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.double().eval()(torch.rand(1, *size, dtype=torch.float64))
    return int(counter.get_total_flops()) // 2


class Steps(nn.Module):
    """A recurrent layer along the last axis of (channels, steps)."""

    def __init__(self, layer: nn.RNNBase, returned: int | None = None) -> None:
        super().__init__()
        self.layer, self.returned = layer, returned

    def forward(self, x: Tensor) -> Any:
        steps = x.transpose(1, 2) if self.layer.batch_first else x.permute(2, 0, 1)
        output, state = self.layer(steps)
        return (output, state)[self.returned] if self.returned is not None else (output, state)


@st.composite
def recurrent_layers(draw: st.DrawFn) -> nn.RNNBase:
    kind = draw(st.sampled_from([nn.LSTM, nn.GRU, nn.RNN]))
    settings = {
        "num_layers": draw(st.integers(1, 3)),
        "bidirectional": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bias": draw(st.booleans()),
    }
    if kind is nn.LSTM:
        settings["proj_size"] = draw(st.integers(0, 2))
    if kind is nn.RNN:
        settings["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    layer: nn.RNNBase = kind(3, draw(st.integers(3, 5)), **settings)
    return layer


@settings(max_examples=25, deadline=None)
@given(recurrent_layers(), st.integers(1, 6), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_recurrent_layers_are_counted_alike_in_every_type(layer: nn.RNNBase, steps: int, dtype: torch.dtype) -> None:
    model = Steps(layer)
    graph = trace(model.to(dtype), (3, steps))
    (only,) = graph.layers
    assert only.name == "layer"
    assert only.parameters == graph.parameters
    assert only.exact
    assert graph.macs == counted_by_torch(model, 3, steps)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_step_sees_the_steps_before_it(kind: type[nn.RNNBase], bidirectional: bool) -> None:
    model = Steps(kind(2, 3, num_layers=2, bidirectional=bidirectional, batch_first=True), returned=0).double()
    graph = trace(model, (2, 6))
    image = torch.rand(1, 2, 6, dtype=torch.float64, requires_grad=True)
    output = model(image)[0].sum(1)
    for step in range(6):
        assert graph.field_box("layer", (step,)) == gradient_box(output[step], image)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_are_counted(cell: type[nn.RNNCellBase]) -> None:
    class Once(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell(3, 5)

        def forward(self, x: Tensor) -> Tensor:
            out = self.cell(x.flatten(1))
            return out[0] if isinstance(out, tuple) else out

    model = Once()
    graph = trace(model, (3, 1))
    assert graph.macs == counted_by_torch(model, 3, 1)


def test_cumulative_sums_see_what_is_before_them() -> None:
    class Running(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.cumsum(2)

    graph = trace(Running(), (1, 5))
    assert [graph.field_box("cumsum", (unit,)) for unit in range(5)] == [((0, unit + 1),) for unit in range(5)]


def test_bilinear_layers_use_each_weight_once_a_row() -> None:
    class Pairs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Bilinear(6, 6, 4)

        def forward(self, x: Tensor) -> Tensor:
            rows = x.flatten(1)
            out: Tensor = self.layer(rows, rows)
            return out

    graph = trace(Pairs(), (3, 2))
    assert graph.macs == 4 * 6 * 6
    assert graph["layer"].exact


@pytest.mark.parametrize("groups", [1, 2])
def test_deformable_convolutions_count_as_convolutions(groups: int) -> None:
    class Deformed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offsets = nn.Conv2d(4, 18, 3, padding=1)
            self.conv = torchvision.ops.DeformConv2d(4, 6, 3, padding=1, groups=groups)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv(x, self.offsets(x))
            return out

    graph = trace(Deformed(), (4, 8, 8))
    assert graph["conv"].macs == trace(nn.Conv2d(4, 6, 3, padding=1, groups=groups), (4, 8, 8)).macs
    assert not graph["conv"].exact
    assert graph.uncounted == ()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_layers_quantised_dynamically_count_as_before(dtype: torch.dtype) -> None:
    quantise = torch.ao.quantization.quantize_dynamic
    plain = nn.Sequential(nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 2))
    assert trace(quantise(plain, {nn.Linear}, dtype=dtype), (3, 8)).macs == trace(plain, (3, 8)).macs
    steps = Steps(nn.LSTM(3, 5, num_layers=2, batch_first=True))
    assert trace(quantise(steps, {nn.LSTM}, dtype=dtype), (3, 8)).macs == trace(steps, (3, 8)).macs


class Spectrum(nn.Module):
    """What a Fourier transform takes is not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft2(self.conv(x)).abs()


def test_totals_say_what_they_leave_out() -> None:
    found = audit(Spectrum(), (3, 8, 8), measure=False)
    told = "at least 3,888 MACs (1 layer not counted: fft_r2c)"
    assert told in repr(found)
    assert told in repr(found.graph)
    for text in (str(found), str(found.graph), found.graph.table()):
        assert "3,888 + ?" in text
        assert "not in the total: fft_r2c" in text
    assert "not in the total: fft_r2c" in found.graph._repr_html_()
    assert json.loads(json.dumps(found.to_dict()))["macs_not_counted"] == ["fft_r2c"]


def test_totals_that_leave_nothing_out_are_plain() -> None:
    graph = trace(nn.Conv2d(3, 4, 3), (3, 8, 8))
    assert repr(graph) == "Graph(1 layers, 112 parameters, 3,888 MACs)"
    assert graph.to_dict()["macs_not_counted"] == []
