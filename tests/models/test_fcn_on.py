"""FCN on any backbone: sizes, alignment to the pixel, stages, names, and what every decoder has to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

import unconv as uc
from tests.models import decoding
from unconv.errors import ModelError
from unconv.models.compact import Compact
from unconv.models.fcn import FCN
from unconv.models.fcn_on import FCNOn
from unconv.models.load.resolve import load_model, untrained_model
from unconv.models.transfer_weights import carry_over


def made(stride: int, learned: bool = True) -> FCNOn:
    torch.manual_seed(0)
    model = FCNOn(Compact(10), 3, stride, learned=learned)
    decoding.randomise_scores(model)
    return model.eval()


def test_scores_have_the_size_of_the_picture() -> None:
    decoding.assert_meets(lambda: FCNOn(Compact(10), 5), 17, 5)


# VGG rounds down in five poolings: of fewer than 32 pixels nothing is left. Three has no factor in common with 32, so
# that every remainder occurs.
@pytest.mark.parametrize(("name", "least"), [("resnet18", 17), ("mobilenet_v2", 17), ("vgg11_bn", 32)])
def test_scores_have_the_size_of_the_picture_on_torchvisions_networks(name: str, least: int) -> None:
    decoding.assert_meets(lambda: FCNOn(getattr(models, name)(), 5), least, 5, step=3)


# Through these a picture of places stays one: each unit has the place of its middle as its value.
POOLS = {
    "odd": lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    "even": lambda: nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
    "unpadded": lambda: nn.AvgPool2d(3, 2),
    "wide": lambda: nn.AvgPool2d(4, 2, padding=1, count_include_pad=False),
    "uneven": lambda: nn.AvgPool2d((3, 2), 2, padding=(1, 0), count_include_pad=False),
}


@pytest.mark.parametrize("pool", POOLS)
def test_scores_lie_on_the_pixels_that_they_are_computed_from(pool: str) -> None:
    model = FCNOn(nn.Sequential(*(POOLS[pool]() for _ in range(5))), 2, in_channels=2).double().eval()
    for upscore in model.upscore.values():
        upscore.up.reset_parameters()
    rows, columns = torch.meshgrid(torch.arange(350.0), torch.arange(333.0), indexing="ij")
    picture = torch.stack([rows, columns])[None].double()
    inside = (..., slice(150, -150), slice(150, -150))
    for scored in ((32,), (16,), (8,), (32, 16, 8)):
        with torch.no_grad():
            for stride, score in model.score.items():
                score.weight.copy_((int(stride) in scored) * torch.eye(2)[:, :, None, None])
        found = model(picture)[inside] / len(scored)
        torch.testing.assert_close(found, picture[inside], rtol=0, atol=1e-9)


def test_stages_go_on_from_one_another() -> None:
    coarse, finer, finest = made(32), FCNOn(Compact(10), 3, 16).eval(), FCNOn(Compact(10), 3, 8).eval()
    x = torch.randn(1, 3, 96, 96)
    new = carry_over(finer, coarse.state_dict())
    assert {name.rpartition(".")[0] for name in new} == {"score.16", "upscore.32to16.up", "upscore.16to1.up"}
    assert float(((finer(x) - coarse(x)).norm() / coarse(x).norm()).detach()) < 0.1
    new = carry_over(finest, finer.state_dict())
    assert {name.rpartition(".")[0] for name in new} == {"score.8", "upscore.16to8.up", "upscore.8to1.up"}
    assert float(((finest(x) - finer(x)).norm() / finer(x).norm()).detach()) < 0.1


def test_begins_from_its_classifier() -> None:
    torch.manual_seed(1)
    classifier, model = models.resnet18().eval(), FCNOn(models.resnet18(), 3).eval()
    new = carry_over(model, classifier.state_dict())
    assert {name.partition(".")[0] for name in new} == {"score", "upscore"}
    x = torch.randn(1, 3, 64, 64)
    *_, coarse = create_feature_extractor(classifier, ["layer4"])(x).values()
    torch.testing.assert_close(model.backbone(x)[0], coarse)
    with pytest.raises(
        ModelError, match=r"tensors are not there \(backbone\.body\..*only layers that score or upscale"
    ):
        carry_over(model, Compact(10).state_dict())


@pytest.mark.parametrize(("stride", "learned"), [(32, True), (8, True), (8, False)])
def test_it_learns_and_is_one_graph(stride: int, learned: bool) -> None:
    model, x = made(stride, learned), torch.randn(2, 3, 65, 94)
    decoding.assert_one_graph(model, x)
    decoding.assert_trains(model, x, 3)
    assert learned or not any("upscore" in name for name, _ in model.named_parameters())


def test_on_a_residual_network_it_learns_and_is_one_graph() -> None:
    torch.manual_seed(0)
    model, x = FCNOn(models.resnet18(), 3), torch.randn(2, 3, 65, 94)
    decoding.randomise_scores(model)
    decoding.assert_one_graph(model, x)


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
def test_names_make_the_networks(name: str, tmp_path: Path) -> None:
    stride = int(name[3:-1])
    variants = {"compact": True, "compact,fixed": False} | ({"torchvision:resnet18": True} if stride == 8 else {})
    for variant, learned in variants.items():
        loaded = untrained_model(f"{name}:{variant}", 4)
        assert isinstance(loaded.module, FCNOn)
        assert (loaded.module.stride, loaded.name) == (stride, f"{name}:{variant}")
        assert all(one.up.learned is learned for one in loaded.module.upscore.values())
        found = uc.audit(loaded.module, loaded.input_size, measure=False)
        assert found.at_least("error") == ()
        assert loaded.module(torch.zeros(1, *loaded.input_size)).shape == (1, 4, *loaded.input_size[1:])
    # A file of another number of classes brings it along, also where the kernels have it twice.
    torch.save(untrained_model(f"{name}:compact", 6).module.state_dict(), tmp_path / "weights.pth")
    loaded = load_model(f"{name}:compact", weights=tmp_path / "weights.pth")
    assert loaded.module(torch.zeros(1, 3, 40, 50)).shape == (1, 6, 40, 50)


def test_seeds_reach_the_backbone() -> None:
    one, other = (untrained_model("fcn8s:compact", 4, seed=seed).module.backbone.body for seed in (1, 2))
    assert not torch.equal(one.features.conv1_1.weight, other.features.conv1_1.weight)


def test_the_published_networks_have_their_names() -> None:
    loaded = load_model("fcn8s", random_weights=True)
    assert isinstance(loaded.module, FCN)
    assert loaded.input_size == (3, 224, 224)
    found = uc.audit(loaded.module, loaded.input_size, measure=False)
    assert found.at_least("error") == ()
    assert found.layers[-1].output_shape[0] == 21
    with pytest.raises(
        ModelError, match=r"fcn8s: no trained weights come with it; .* unconv train segment --model fcn8s"
    ):
        load_model("fcn8s")
    with pytest.raises(ModelError, match=r"model 'compac': unknown; .* did you mean compact"):
        load_model("fcn8s:compac", random_weights=True)
    with pytest.raises(ModelError, match="SqueezeNet has no feature map at stride 32"):
        load_model("fcn8s:torchvision:squeezenet1_1", random_weights=True)
    with pytest.raises(ModelError, match="fcn: stride 4 is none of 32, 16, 8"):
        FCNOn(Compact(3), 3, 4)
