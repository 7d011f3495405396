"""Layers are spread over the depth and hold feature maps; units come strongest first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.visualize.reference import network, pictures
from unconv.errors import ModelError, UnconvError
from unconv.models.efficientnet_lite import EfficientNetLite0
from unconv.network.trace.trace import trace
from unconv.visualize.layers import choose_layers, list_feature_maps, strongest_units, view_network
from unconv.visualize.reverse.passage import run_forward
from unconv.visualize.watched_layers import FeatureMaps


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        # Before every pooling, as in the figures of Zeiler & Fergus.
        ("vgg16", ["features.3", "features.8", "features.15", "features.22", "features.29"]),
        ("alexnet", ["features.1", "features.4", "features.7", "features.9", "features.11"]),
        # The rectifier of a block is called twice: only its block's name says which call is meant.
        ("resnet18", ["relu", "layer1", "layer2", "layer3", "layer4"]),
        ("googlenet", ["conv1", "conv3", "inception3b", "inception4e", "inception5b"]),
        # ReLU6 is clipped: the layer before it.
        ("mobilenet_v2", [f"features.{n}.1" for n in ("2.conv.0", "4.conv.0", "7.conv.0", "14.conv.0", "18")]),
        # Tokens have their places on the grid of the patches.
        ("vit_b_32", [f"encoder.layers.encoder_layer_{n}.mlp.1" for n in (0, 2, 5, 8, 11)]),
        ("swin_t", [f"features.{n}.mlp.1" for n in ("1.1", "3.1", "5.2", "5.5", "7.1")]),
    ],
)
def test_layers_are_spread_over_the_depth(name: str, layers: list[str]) -> None:
    assert choose_layers(list_feature_maps(network(name), pictures())) == tuple(layers)


def test_clipped_rectifier_leads_to_the_layer_before_it() -> None:
    chosen = choose_layers(list_feature_maps(EfficientNetLite0().train(), pictures()))
    assert chosen[0] == "features.2.0.expand.norm"
    assert chosen[-1] == "features.8.norm"


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.mlp = nn.Linear(8, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.conv(x).permute(0, 2, 3, 1)).relu().mean((1, 2))


def test_channels_are_not_taken_for_an_axis() -> None:
    listed = list_feature_maps(ChannelsLast(), torch.randn(1, 3, 64, 48))
    assert [(maps.layer, maps.units, maps.size) for maps in listed] == [("conv", 8, (16, 12)), ("mlp", 32, (16, 12))]


def test_attention_is_not_taken_for_feature_maps() -> None:
    names = {maps.layer for maps in list_feature_maps(network("vit_b_32"), pictures())}
    assert "encoder.layers.encoder_layer_0.mlp.1" in names
    assert not [name for name in names if name.endswith(("self_attention.softmax", "dropout_attention"))]


def test_model_without_feature_maps_is_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    with pytest.raises(ModelError, match="no layer that returns feature maps; name the layers"):
        choose_layers(list_feature_maps(model, torch.randn(1, 3, 4, 4)))


def test_count_must_be_positive() -> None:
    with pytest.raises(UnconvError, match="0 layers were asked for"):
        choose_layers([FeatureMaps("a", 1, (2, 2), True)], count=0)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 40])
def test_as_many_layers_as_asked_for(count: int) -> None:
    maps = [FeatureMaps(str(n), 8, (64 >> n // 3,) * 2, rectified=n % 2 == 0) for n in range(18)]
    chosen = choose_layers(maps, count)
    assert len(chosen) == len(set(chosen)) == min(count, 9)
    assert [int(name) for name in chosen] == sorted(int(name) for name in chosen)
    assert all(int(name) % 2 == 0 for name in chosen)


def test_strongest_units_come_first() -> None:
    value = torch.randn(20, 5, 7)
    value[3, 4, 6] = value[9, 0, 0] = 50
    found = strongest_units(value, 6)
    assert found[:2] == [(3, (4, 6), 50.0), (9, (0, 0), 50.0)]
    assert [peak for *_, peak in found] == sorted(value.amax((1, 2)).tolist(), reverse=True)[:6]
    assert all(value[(unit, *place)] == peak for unit, place, peak in found)
    assert len(strongest_units(value, 100)) == 20


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize("make", [torch.jit.script, lambda model: torch.jit.trace(model, torch.ones(1, 1, 8, 8))])
def test_torchscript_is_refused_and_its_parts_are_passed_over(make: Callable[[nn.Module], nn.Module]) -> None:
    scripted, image = make(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())), torch.ones(1, 1, 8, 8)
    with pytest.raises(ModelError, match="model: is TorchScript, which cannot be watched inside; use the module"):
        list_feature_maps(scripted, image)
    with pytest.raises(ModelError, match="model: is TorchScript"):
        run_forward(scripted, image, ["0"], "guided")
    maps = list_feature_maps(nn.Sequential(scripted, nn.Conv2d(2, 3, 1), nn.ReLU()), image)
    assert [m.layer for m in maps][-2:] == ["1", "2"]


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_a_scripted_layer_is_refused_in_one_line() -> None:
    model = nn.Sequential(torch.jit.script(nn.Conv2d(1, 2, 3)), nn.ReLU())
    with pytest.raises(ModelError, match=r"^layer '0': is TorchScript.*choose a layer around it$"):
        run_forward(model, torch.ones(1, 1, 8, 8), ["0"], "guided")


class Odd(nn.Module):
    """Rectifiers in every spelling: in place, clipped, as bounds, as a maximum, of a view; one without gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if n == 0 else 6, 6, 3, padding=1) for n in range(8))
        self.clipped, self.off = nn.ReLU6(inplace=True), nn.ReLU()
        self.joined, self.tail = nn.Identity(), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        x = self.clipped(self.convs[0](x))
        x = self.convs[1](x).clamp(min=0)
        x = self.convs[2](torch.maximum(self.convs[7](x), torch.tensor(0.0)))
        x = nn.functional.hardtanh(self.convs[3](x), 0, 6, inplace=True)
        x = torch.cat([self.convs[4](x).relu(), nn.functional.max_pool2d(x, 3, 1, 1).relu_()], 1)
        x = self.joined(x)[:, :6]
        x = self.convs[5](nn.functional.hardswish(x))
        with torch.no_grad():
            self.off(x)
        half = self.convs[6](x)
        half[:, :3].relu_()
        pooled: Tensor = self.tail(half)
        return pooled


@pytest.mark.parametrize(
    "name", ["alexnet", "resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "mobilenet_v3_small", "odd"]
)
def test_one_pass_on_shapes_tells_what_passes_with_numbers_tell(name: str) -> None:
    model = Odd() if name == "odd" else network(name)
    image = pictures(64)
    view = view_network(model, image)
    maps = list_feature_maps(model, image)
    assert view.feature_maps == maps
    assert view.graph is not None
    layers = [one.layer for one in maps]
    passage = run_forward(model, image, layers, "guided")
    assert {layer: view.outputs[layer].shape for layer in layers} == {
        layer: tuple(value.shape[1:]) for layer, value in passage.values.items()
    }
    for layer in (*layers[:2], *layers[-2:]):
        assert view.outputs[layer].switches == passage.coverage(layer).switches
    plain, seen = trace(model, (3, 64, 64)), view.graph
    assert [(one.name, one.operator, one.receptive_field) for one in seen.layers] == [
        (one.name, one.operator, one.receptive_field) for one in plain.layers
    ]


class ByValue(nn.Module):
    """Its path depends on values: only a pass with numbers tells what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fails = nn.Conv2d(3, 4, 3), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fails(self.conv(x)) if x.sum().item() < 1e9 else x


def test_where_shapes_do_not_tell_a_second_pass_ends_behind_the_layers() -> None:
    view = view_network(ByValue(), torch.zeros(1, 3, 9, 9), ["conv"])
    assert (view.graph, view.outputs["conv"].shape) == (None, (4, 7, 7))
    assert "conv" not in view.refusal
    assert view.refusal
