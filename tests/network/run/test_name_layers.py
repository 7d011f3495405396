"""Layers by name, module, list, pattern and container; what is none of the model's is refused with what is near."""

from __future__ import annotations

import fnmatch

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from torchvision.models import resnet18, vgg11

from unconv.errors import ModelError
from unconv.network.run.name_layers import name_layer, name_layers

RESNET = resnet18()
NAMES = [name for name, _ in RESNET.named_modules() if name]
MODULES = dict(RESNET.named_modules())


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), nn.Conv2d(3, 3, 1)])
        self.heads = nn.ModuleDict({"a": nn.Conv2d(3, 1, 1)})


@given(st.sampled_from(NAMES))
def test_a_module_is_known_by_identity(name: str) -> None:
    assert name_layers(RESNET, MODULES[name]).names == name_layers(RESNET, name).names == (name,)
    assert name_layer(RESNET, MODULES[name]) == name_layer(RESNET, [name]) == name


@given(st.lists(st.sampled_from(NAMES), max_size=5))
def test_lists_keep_their_order_and_each_layer_once(names: list[str]) -> None:
    mixed = [MODULES[name] if number % 2 else name for number, name in enumerate(names)]
    found = name_layers(RESNET, mixed)
    assert found.names == found.required == tuple(dict.fromkeys(names))
    assert name_layers(RESNET, (name for name in names)).names == found.names
    assert name_layers(RESNET, nn.ModuleList([MODULES[name] for name in names]).children()).names == found.names


@given(st.sampled_from(["layer?", "layer3.*", "*.conv?", "*relu*", "layer[12].*.bn1", "*"]))
def test_patterns_are_those_of_fnmatch(pattern: str) -> None:
    matching = fnmatch.filter(NAMES, pattern)
    found = name_layers(RESNET, pattern)
    assert found.required == ()
    assert set(found.names) <= set(matching)
    for name in set(matching) - set(found.names):
        assert any(other.startswith(f"{name}.") for other in found.names)
    for name in found.names:
        assert not any(other.startswith(f"{name}.") for other in matching)


def test_a_string_is_one_layer() -> None:
    assert name_layers(RESNET, "conv1").names == ("conv1",)
    assert name_layers(RESNET, "layer1").names == ("layer1",)


def test_a_sequential_is_a_layer_and_a_list_of_modules_is_what_it_holds() -> None:
    vgg = vgg11()
    assert name_layers(vgg, vgg.features).names == ("features",)
    assert len(name_layers(vgg, "features.*").names) == len(vgg.features)
    model = Listed()
    assert (
        name_layers(model, "blocks").names
        == name_layers(model, model.blocks).names
        == ("blocks.0.0", "blocks.0.1", "blocks.1")
    )
    assert name_layers(model, ["heads", "blocks.1"]).names == ("heads.a", "blocks.1")
    assert name_layers(model, ["heads", "blocks.1"]).required == ("blocks.1",)
    assert name_layers(model, model).names == ("blocks.0.0", "blocks.0.1", "blocks.1", "heads.a")


def test_the_names_of_a_compiled_model_are_the_model_s() -> None:
    compiled = torch.compile(RESNET)
    assert name_layers(compiled, ["layer1", compiled.layer2, RESNET.layer3]).names == ("layer1", "layer2", "layer3")
    assert name_layer(nn.Sequential(compiled), compiled) == "0"


def test_what_is_kept_is_asked_for_patterns_alone() -> None:
    asked = []

    def keep(names):
        asked.append(tuple(names))
        return [name for name in names if name.endswith("conv1")]

    assert name_layers(RESNET, ["fc", "layer1.*"], keep).names == ("fc", "layer1.0.conv1", "layer1.1.conv1")
    assert len(asked) == 1
    with pytest.raises(ModelError, match=r"'\*bn1' leads to 9 layers \(bn1, .*, …\), none of which can be looked into"):
        name_layers(RESNET, "*bn1", keep)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("conv", "layer 'conv': ResNet has no layer of that name; the nearest names are conv1"),
        (["conv1", "layr2"], "layer 'layr2': ResNet has no layer of that name; the nearest names are layer2"),
        ("conv1, fc", "layer 'conv1, fc': a string is one layer; several are a list: ['conv1', 'fc']"),
        ([None], "layer None: ResNet has no layer of that name"),
        ([3], "layer 3: ResNet has no layer of that name"),
        (3, "layers: 3 is no layer; give a name, a module of the model, or a list of these"),
        (nn.Conv2d, "layers: the class Conv2d is no layer; give a name"),
        ("layer9.*", "layers: no layer of ResNet matches the pattern 'layer9.*'; its names are like conv1, bn1, relu"),
        (
            nn.Linear(2, 2),
            "layer Linear(in_features=2, out_features=2, bias=True): is not one of ResNet's own modules; "
            "give one of these, such as fc, not a copy",
        ),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(layers: object, message: str) -> None:
    with pytest.raises(ModelError) as refused:
        # As users call it, without the types that tests check.
        name_layers.__wrapped__(RESNET, layers)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer?", r"layer: 'layer\?' leads to 4 layers \(layer1, layer2, layer3, …\); name one of them"),
        (["conv1", "fc"], r"layer: \['conv1', 'fc'\] is not one layer"),
        (None, "layer: None is not one layer; give a name or a module of the model"),
    ],
)
def test_one_layer_is_one(layer: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        name_layer(RESNET, layer)
