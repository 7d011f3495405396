"""Scans, reports, fidelity and experiments take layers as people name them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import googlenet, resnet18

import unconv as uc
from unconv.errors import ModelError, UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.network.run.name_layers import name_layers
from unconv.visualize.experiments.correspondence import correspondence
from unconv.visualize.experiments.evolution import evolution
from unconv.visualize.experiments.first_layer import first_layer
from unconv.visualize.experiments.invariance import invariance
from unconv.visualize.experiments.occlusion.sensitivity import occlusion
from unconv.visualize.experiments.transfer import transfer
from unconv.visualize.map_layers import name_map_layers

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return resnet18(num_classes=4).eval()


def test_a_scan_of_a_string_is_of_one_layer(resnet: nn.Module) -> None:
    assert uc.scan(resnet, IMAGES, "conv1", top=1).layers == ("conv1",)
    assert uc.scan(resnet, IMAGES, resnet.layer1[0].conv2, top=1).layers == ("layer1.0.conv2",)
    assert uc.scan(resnet, IMAGES, [resnet.conv1, "layer1"], top=1).layers == ("conv1", "layer1")


def test_a_scan_takes_the_convolutions_of_a_pattern_or_all_where_none_is_one(resnet: nn.Module) -> None:
    every = uc.scan(resnet, IMAGES, top=1).layers
    assert uc.scan(resnet, IMAGES, "*", top=1).layers == uc.scan(resnet, IMAGES, "all", top=1).layers == every
    assert uc.scan(resnet, IMAGES, resnet, top=1).layers == every
    inside = tuple(name for name in every if name.startswith("layer3."))
    assert uc.scan(resnet, IMAGES, "layer3.*", top=1).layers == inside
    assert uc.scan(resnet, IMAGES, "layer?", top=1).layers == ("layer1", "layer2", "layer3", "layer4")


def test_what_a_pattern_leads_to_need_not_be_called_and_what_is_named_must() -> None:
    model = googlenet(init_weights=False, aux_logits=True).eval()
    assert "aux1.conv.conv" in name_layers(model, "*aux1.*").names
    assert not any("aux1" in layer for layer in uc.scan(model, IMAGES, ["*aux1.*", "conv1"], top=1).layers)
    with pytest.raises(ModelError, match=r"aux1\.conv\.conv.*is not called"):
        uc.scan(model, IMAGES, ["aux1.conv.conv", "conv1"], top=1)


def test_of_patterns_the_layers_with_feature_maps_are_looked_into(resnet: nn.Module) -> None:
    found = name_map_layers(resnet, "*", IMAGES[:1].repeat(1, 1, 2, 2))
    assert "conv1" in found
    assert not {"fc", "avgpool"} & set(found)
    with pytest.raises(ModelError, match=r"'f\*' leads to 1 layer \(fc\), none of which can be looked into"):
        name_map_layers(resnet, "f*", IMAGES[:1])


def test_a_model_is_as_before_when_its_layers_are_named(resnet: nn.Module) -> None:
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    resnet.train()
    name_map_layers(resnet, "layer1.*", IMAGES[:1])
    assert resnet.training
    assert all(torch.equal(before[name], value) for name, value in resnet.state_dict().items())
    resnet.eval()


@pytest.mark.parametrize("layers", ["module", "pattern", "mixed"])
def test_reports_take_them(resnet: nn.Module, layers: str, tmp_path) -> None:
    given = {"module": resnet.layer2, "pattern": "layer2.0.conv?", "mixed": ["layer1.0.conv*", resnet.layer2]}[layers]
    named = {
        "module": ("layer2",),
        "pattern": ("layer2.0.conv1", "layer2.0.conv2"),
        "mixed": ("layer1.0.conv1", "layer1.0.conv2", "layer2"),
    }[layers]
    small = Preprocess(size=(32, 32), resize=(32, 32))
    report = uc.see(resnet, IMAGES, given, tmp_path / "out", units=[0], top=1, fidelity=0, transform=small)
    assert report.layers == named


def test_fidelity_and_experiments_take_them(resnet: nn.Module) -> None:
    found = uc.fidelity(resnet, IMAGES, resnet.layer1[0].conv1, [uc.visualize.Pick(0, 1, (2, 2))], others=1)
    assert found[1].layer == "layer1.0.conv1"
    parts = {"eye": [(2, 3, 6, 6)] * 2}
    assert correspondence(resnet, IMAGES, parts, "layer?", draws=1).layers == ("layer1", "layer2", "layer3")
    assert invariance(resnet, IMAGES, "rotation", [90], "conv1").layers == ("conv1",)
    assert transfer(resnet, IMAGES.repeat(2, 1, 1, 1), [0, 1, 0, 1], resnet.conv1, folds=2).layers == (
        "pixels",
        "conv1",
    )
    assert first_layer(resnet, layer=resnet.conv1).layer == "conv1"
    maps = occlusion(resnet, IMAGES[0], layer=resnet.layer1, square=16, stride=16)
    assert maps.layer == "layer1"
    checkpoints = {"one": resnet.state_dict()}
    assert evolution(resnet, checkpoints, IMAGES, resnet.conv1, units=[0]).layer == "conv1"


def test_an_empty_list_stays_refused(resnet: nn.Module, tmp_path) -> None:
    for enter in (
        lambda: uc.scan(resnet, IMAGES, []),
        lambda: uc.see(resnet, IMAGES, [], tmp_path / "out"),
        lambda: correspondence(resnet, IMAGES, {"eye": [(2, 3, 6, 6)] * 2}, []),
    ):
        with pytest.raises(UnconvError, match="empty"):
            enter()
