"""``FILE.onnx`` as a MODEL: the trace, the audit and the messages of exported networks."""

from __future__ import annotations

import copy
import json
import sys
import warnings
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from typer.testing import CliRunner

import unconv as uc
from unconv.cli.main import app
from unconv.errors import MissingExtraError, ModelError
from unconv.network.trace.graph import Graph


class Encoder(nn.Module):
    """A small U-shaped network: strides, groups, dilation, a transposed layer, resizing, a join, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 7, stride=2, padding=3, padding_mode="reflect")
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3)
        )
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.shuffle = nn.Sequential(nn.Conv2d(12, 12, 1), nn.PixelShuffle(2))
        self.head = nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = self.stem(x)
        up = self.up(nn.functional.pad(self.body(low), (1, 1, 1, 1)))
        x = self.shuffle(torch.cat([low, up], 1))
        return self.head(nn.functional.avg_pool2d(x, 2).mean((2, 3)))


def export(model: nn.Module, path: Path, size: tuple[int, ...], **options: object) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), (torch.zeros(1, *size),), str(path), dynamo=False, **options)  # type: ignore[arg-type]
    return path


def costly(graph: Graph) -> list[object]:
    """Operator, size, MACs and field of all layers that multiply."""
    return [(one.operator, one.output_shape, one.macs, one.receptive_field) for one in graph.layers if one.macs]


@pytest.mark.parametrize("size", [(3, 32, 48), (3, 64, 32)])
def test_an_exported_network_has_the_sizes_fields_and_macs_of_torch(tmp_path: Path, size: tuple[int, ...]) -> None:
    model = Encoder()
    axes = {"x": {0: "batch", 2: "height", 3: "width"}}
    path = export(model, tmp_path / "net.onnx", (3, 32, 32), input_names=["x"], dynamic_axes=axes)
    assert costly(uc.trace(str(path), size)) == costly(uc.trace(model, size))
    network, x = uc.load_model(str(path)).module, torch.randn(2, *size)
    torch.testing.assert_close(network(x), model(x), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(copy.deepcopy(network)(x), model(x), atol=1e-5, rtol=1e-4)


def test_layers_have_the_names_of_the_file_and_projections_their_weights(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3)).double()
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(1, 1, 16, 16).double(),), str(path), dynamo=False)
    assert [layer.name for layer in uc.trace(str(path)).layers] == [node.name for node in onnx.load(path).graph.node]
    network, images = uc.load_model(str(path)).module, torch.rand(1, 1, 16, 16).double()
    made = uc.project(network, images, "/3/Conv", unit=2)
    torch.testing.assert_close(made.image, uc.project(model, images, "3", unit=2).image)


def test_the_audit_of_a_file_finds_what_that_of_the_module_finds(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 3, stride=2))
    path = export(model, tmp_path / "up.onnx", (3, 16, 16))
    by_file, by_torch = uc.audit(str(path), measure=False), uc.audit(model, (3, 16, 16), measure=False)
    assert [one.rule for one in by_file.findings] == [one.rule for one in by_torch.findings]
    assert by_file.findings[0].rule == "uneven-overlap"
    assert (by_file.macs, by_file.parameters) == (by_torch.macs, by_torch.parameters)
    assert by_file.findings[0].layer == "/2/ConvTranspose"
    assert by_file.findings[0].location is None
    ran = CliRunner().invoke(app, ["audit", str(path), "--no-measure", "--json"])
    assert json.loads(ran.stdout)["weights"] == f"those of {path}"
    assert ran.exit_code == 0


def test_a_file_is_patched_and_found_again_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export(nn.Sequential(nn.ConvTranspose2d(3, 2, 3, stride=2)), Path("up.onnx"), (3, 8, 8))
    ran = CliRunner().invoke(app, ["audit", "up.onnx", "--no-measure", "--fix", "patched.py"])
    assert ran.exit_code == 0, ran.output
    monkeypatch.chdir("/")
    found = uc.audit(f"{tmp_path}/patched.py:build", (3, 8, 8), measure=False)
    assert "uneven-overlap" not in [one.rule for one in found.findings]


def test_sizes_that_a_file_leaves_open_are_asked_for(tmp_path: Path) -> None:
    axes = {"x": {2: "height", 3: "width"}}
    path = export(nn.Conv2d(3, 8, 3), tmp_path / "net.onnx", (3, 32, 32), input_names=["x"], dynamic_axes=axes)
    with pytest.raises(ModelError, match=r"the size of input x \(1, 3, height, width\) is not fixed; say it"):
        uc.trace(str(path))
    assert uc.trace(str(path), 40).layers[0].output_shape == (8, 38, 38)
    ran = CliRunner().invoke(app, ["audit", str(path), "--input-size", "3x20x30"])
    assert "8×18×28" in ran.stdout


def save(folder: Path, *nodes: onnx.NodeProto, domain: str = "") -> Path:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("x", "y")]
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:]), opset_imports=opsets, ir_version=8)
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def test_unknown_operators_are_refused_by_node_and_name(tmp_path: Path) -> None:
    path = save(tmp_path, helper.make_node("Fused", ["x"], ["y"], name="odd", domain="my.own"), domain="my.own")
    with pytest.raises(ModelError, match=r"net\.onnx: node odd: the operator my\.own:Fused is not known here; cut "):
        uc.trace(str(path))


def test_what_is_no_network_is_refused_in_a_line(tmp_path: Path) -> None:
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(b"no network")
    for path, said in ((torn, "torn.onnx: onnx refuses the file: "), (tmp_path / "none.onnx", "no such file")):
        with pytest.raises(ModelError, match=said) as caught:
            uc.trace(str(path))
        assert "\n" not in str(caught.value)
    wrong = save(tmp_path, helper.make_node("Concat", ["x", "x"], ["y"], name="join", axis=1))
    with pytest.raises(ModelError, match=r"onnx refuses the file: .*join"):
        uc.trace(str(wrong))


def test_names_that_repeat_or_are_missing_are_made_distinct(tmp_path: Path) -> None:
    nodes = [("", "x", "a"), ("same", "a", "b"), ("same", "b", "c"), ("same.in", "c", "d"), ("a..b", "d", "y")]
    path = save(tmp_path, *(helper.make_node("Relu", [given], [made], name=name) for name, given, made in nodes))
    names = [layer.name for layer in uc.trace(str(path)).layers]
    assert names == ["Relu_0", "same", "same_1", "same_in_1", "a__b"]


def test_without_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"FILE\.onnx: needs onnx; pip install 'unconv\[onnx\]'"):
        uc.trace(str(tmp_path / "net.onnx"))
