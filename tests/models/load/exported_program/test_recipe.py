"""``FILE.pt2`` as a MODEL: exported networks have the trace, the values and the projections of the torch module."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from typer.testing import CliRunner

import unconv as uc
from tests.models.load.exported_program.programs import export
from unconv.cli.main import app
from unconv.errors import ModelError
from unconv.network.trace.graph import Graph

ANY = torch.export.Dim.AUTO
# Expansion, channels, repetitions and stride of MobileNet's blocks.
BLOCKS = [[1, 16, 1, 1], [6, 24, 2, 2]]


class UNet(nn.Module):
    """Reflection, a ceiled pool, groups, a transposed layer, resizing to a size, parametrised weights, a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.deep = nn.Sequential(
            nn.Conv2d(8, 16, 3, padding="same"), nn.GroupNorm(4, 16), nn.BatchNorm2d(16), nn.SiLU()
        )
        self.up = nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.last = nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 2, 1))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        high = self.down(x)
        low = self.deep(self.pool(high))
        up = nn.functional.interpolate(self.up(low), size=high.shape[2:], mode="bilinear")
        return {"out": self.last(torch.cat([high, up], 1)), "scores": low.mean((2, 3))}


def rows(graph: Graph) -> list[tuple[Any, ...]]:
    return [(one.operator, one.output_shape, one.macs, one.parameters, one.receptive_field) for one in graph.layers]


@pytest.mark.parametrize(
    ("make", "sizes", "dynamic"),
    [
        (lambda: torchvision.models.resnet18(), [(3, 64, 64)], False),
        (lambda: torchvision.models.mobilenet_v2(inverted_residual_setting=BLOCKS), [(3, 64, 64)], False),
        (UNet, [(3, 24, 32)], False),
        (UNet, [(3, 24, 32), (3, 48, 17)], True),
    ],
    ids=["resnet18", "mobilenet", "unet", "dynamic"],
)
def test_an_exported_network_has_the_trace_and_the_values_of_torch(
    tmp_path: Path, make: Any, sizes: list[tuple[int, ...]], dynamic: bool
) -> None:
    model = make()
    shapes = {"dynamic_shapes": ({0: ANY, 2: ANY, 3: ANY},)} if dynamic else {}
    path = export(model, tmp_path / "net.pt2", torch.zeros(2 if dynamic else 1, *sizes[0]), **shapes)
    assert uc.trace(str(path)).input_sizes == (sizes[0],)
    network = uc.load_model(str(path)).module
    for size in sizes:
        by_file, by_torch = uc.trace(network, size), uc.trace(model, size)
        assert rows(by_file) == rows(by_torch)
        assert (by_file.macs, by_file.parameters) == (by_torch.macs, by_torch.parameters)
        images = torch.randn(3, *size)
        torch.testing.assert_close(network(images), model(images))
        torch.testing.assert_close(copy.deepcopy(network)(images), model(images))


def test_names_and_weights_are_those_of_the_model(tmp_path: Path) -> None:
    model = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
    path = export(model, tmp_path / "net.pt2", torch.zeros(1, 3, 64, 64))
    network = uc.load_model(str(path)).module
    assert [one.name for one in uc.trace(network).layers] == [one.name for one in uc.trace(model, 64).layers]
    ours, theirs = network.state_dict(), model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if not name.endswith("num_batches_tracked"))
    for name, module in model.named_modules():
        if not any(module.children()) and not isinstance(module, nn.Dropout):
            assert type(network.get_submodule(name)).__name__ == type(module).__name__


def test_projections_scans_and_layers_are_those_of_the_module(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU6()).double()
    path = export(model, tmp_path / "net.pt2", torch.zeros(1, 1, 16, 16).double())
    network, images = uc.load_model(str(path)).module, torch.rand(3, 1, 16, 16).double()
    for rule in ("deconvnet", "guided", "gradient"):
        made, wanted = (uc.project(one, images, "4", unit=2, rule=rule) for one in (network, model))
        torch.testing.assert_close(made.image, wanted.image)
        assert [str(one) for one in made.coverage.rectifiers] == [str(one) for one in wanted.coverage.rectifiers]
    ours, theirs = (uc.scan(one, images, ["0", "3"], top=2).values for one in (network, model))
    assert all(torch.equal(torch.as_tensor(ours[name]), torch.as_tensor(theirs[name])) for name in theirs)
    assert [(one.name, one.kind) for one in uc.list_layers(network)] == [
        (one.name, one.kind) for one in uc.list_layers(model, (1, 16, 16))
    ]


def test_the_audit_of_a_file_finds_what_that_of_the_module_finds(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 3, stride=2))
    path = export(model, tmp_path / "up.pt2", torch.zeros(1, 3, 16, 16))
    by_file, by_torch = uc.audit(str(path), measure=False), uc.audit(model, (3, 16, 16), measure=False)
    assert [(one.rule, one.layer) for one in by_file.findings] == [(one.rule, one.layer) for one in by_torch.findings]
    assert "uneven-overlap" in [one.rule for one in by_file.findings]
    ran = CliRunner().invoke(app, ["audit", str(path), "--no-measure", "--json"])
    assert json.loads(ran.stdout)["weights"] == f"those of {path}"
    assert ran.exit_code == 0


def test_sizes_that_the_file_fixes_are_said(tmp_path: Path) -> None:
    path = export(UNet(), tmp_path / "net.pt2", torch.zeros(1, 3, 24, 32))
    with pytest.raises(ModelError, match=r"net\.pt2: axis 2 of input x is fixed at 24, not 32; export the"):
        uc.trace(str(path), (3, 32, 32))
    wide = {3: 4 * torch.export.Dim("n", min=2, max=16)}
    path = export(nn.Conv2d(3, 4, 3), tmp_path / "wide.pt2", torch.zeros(1, 3, 24, 32), dynamic_shapes=(wide,))
    assert uc.trace(str(path), (3, 24, 64)).layers[0].output_shape == (4, 22, 62)
    for width in (30, 4, 128):
        with pytest.raises(ModelError, match=rf"axis 3 of input input has to be 4·\w+, \w+ 2 to 16, not {width}"):
            uc.trace(str(path), (3, 24, width))


def test_a_fixed_batch_is_any_batch_where_images_do_not_meet(tmp_path: Path) -> None:
    class Tokens(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.view(1, -1, 4).softmax(1)

    images = torch.randn(3, 3, 24, 32)
    model = UNet()
    network = uc.load_model(str(export(model, tmp_path / "net.pt2", images[:1]))).module
    torch.testing.assert_close(network(images), model(images))
    network = uc.load_model(str(export(Tokens(), tmp_path / "tokens.pt2", images[:1]))).module
    torch.testing.assert_close(network(images[:1]), Tokens()(images[:1]))
    with pytest.raises(ModelError, match="a batch of 3 does not go through node view: the file fixes 1"):
        network(images)


def test_a_decomposed_program_has_the_same_sizes_and_macs(tmp_path: Path) -> None:
    # Reflection is decomposed, too, into indices, whose fields are not as narrow.
    model, image = UNet().eval(), torch.zeros(1, 3, 24, 32)
    model.down[0].padding_mode = "zeros"
    torch.export.save(torch.export.export(model, (image,)).run_decompositions(), tmp_path / "net.pt2")
    by_file, by_torch = uc.trace(f"{tmp_path}/net.pt2"), uc.trace(model, (3, 24, 32))
    costly = [[row for row in rows(one) if row[2]] for one in (by_file, by_torch)]
    assert costly[0] == costly[1]
    torch.testing.assert_close(uc.load_model(f"{tmp_path}/net.pt2").module(image), model(image))


def test_attention_and_recurrent_layers_have_the_trace_of_the_module(tmp_path: Path) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 4, stride=4), nn.LayerNorm(8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.lstm = nn.LSTM(8, 4, batch_first=True, bidirectional=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.norm(self.conv(x).flatten(2).transpose(1, 2))
            return self.lstm(tokens + self.attention(tokens, tokens, tokens)[0])[0]

    model, image = Mixed(), torch.randn(1, 3, 16, 16)
    network = uc.load_model(str(export(model, tmp_path / "net.pt2", image))).module
    assert rows(uc.trace(network)) == rows(uc.trace(model, 16))
    assert network.state_dict().keys() == model.state_dict().keys()
    torch.testing.assert_close(network(image), model(image))


def test_training_mode_is_told_and_shared_weights_stay_shared(tmp_path: Path) -> None:
    path = export(nn.BatchNorm2d(3), tmp_path / "norm.pt2", torch.zeros(2, 3, 4, 4), training=True)
    assert uc.load_model(str(path)).notes[-1].startswith("the program was exported in training mode")
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    network = uc.load_model(str(export(model, tmp_path / "tied.pt2", torch.zeros(1, 4)))).module
    assert network.get_parameter("0.weight").data_ptr() == network.get_parameter("1.weight").data_ptr()


def test_several_inputs_and_tokens_have_their_sizes_and_types(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.words = nn.Conv2d(3, 4, 3), nn.Embedding(10, 4)

        def forward(self, image: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
            return self.conv(image) + self.words(words).mean(1)[:, :, None, None]

    model, inputs = Two(), (torch.randn(1, 3, 8, 8), torch.tensor([[1, 2, 3]]))
    path = export(model, tmp_path / "two.pt2", *inputs)
    network = uc.load_model(str(path)).module
    assert (network.input_sizes, network.input_dtypes) == (((3, 8, 8), (3,)), (None, torch.int64))
    torch.testing.assert_close(network(*inputs), model(*inputs))
    assert uc.trace(str(path)).macs == uc.trace(model, inputs=inputs).macs
    with pytest.raises(ModelError, match=r"1 inputs given; the program takes 2: image"):
        network(inputs[0])
