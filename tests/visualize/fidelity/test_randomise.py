"""Randomised layers are as their own initialisation makes them, and the model's own are never touched."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.visualize.reference import network, pictures
from unconv.errors import ModelError
from unconv.visualize.fidelity.randomise import layers_below, randomise_layers, split_layers


def small() -> nn.Sequential:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.PReLU(), nn.Conv2d(4, 2, 1)
    ).eval()
    nn.init.normal_(model[1].running_mean)
    nn.init.normal_(model[1].weight)
    nn.init.constant_(model[4].weight, 0.7)
    return model


class Scaled(nn.Module):
    """Own parameters without an initialisation of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight)


@pytest.mark.parametrize("chosen", [["0", "1"], ["3", "5"], ["4"]])
def test_layers_are_as_their_own_initialisation_makes_them(chosen: list[str]) -> None:
    model, images = small(), torch.rand(2, 1, 9, 9)
    expected = copy.deepcopy(model)
    state = torch.get_rng_state()
    torch.manual_seed(7)
    for name in chosen:
        expected.get_submodule(name).reset_parameters()
    torch.set_rng_state(state)
    way = layers_below(model, images, "5")
    found = randomise_layers(model, {name: way[name] for name in chosen}, seed=7)
    assert torch.equal(found(images), expected(images))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(found(images), model(images))


def test_without_an_initialisation_weights_are_shuffled() -> None:
    found = randomise_layers(nn.Sequential(Scaled()), {"0": ["0.weight"]}, seed=1).replaced["0.weight"]
    assert found.shape == (2, 3, 1, 1)
    assert sorted(found.flatten().tolist()) == [0, 1, 2, 3, 4, 5]
    assert found.flatten().tolist() != [0, 1, 2, 3, 4, 5]


def test_model_is_as_before_when_it_fails() -> None:
    model = small()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    parameters = list(model.parameters())
    other = randomise_layers(model, layers_below(model, torch.rand(1, 1, 9, 9), "5"), seed=0)
    with pytest.raises(RuntimeError):
        other(torch.rand(1, 3, 9, 9))
    assert all(one is two for one, two in zip(parameters, model.parameters(), strict=True))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_way_ends_at_the_layer_and_is_halved_by_kernels() -> None:
    model, images = small(), torch.rand(1, 1, 9, 9)
    way = layers_below(model, images, "4")
    assert list(way) == ["0", "1", "3", "4"]
    assert split_layers(model, way) == (("0", "1"), ("3", "4"))
    assert split_layers(model, layers_below(model, images, "2")) == ((), ("0", "1"))
    vgg = network("vgg16")
    below, above = split_layers(vgg, layers_below(vgg, pictures(64), "features.14"))
    assert below == ("features.0", "features.2", "features.5")
    assert above == ("features.7", "features.10", "features.12", "features.14")


class Tied(nn.Module):
    """Attention, which reads its parts' weights itself, and a layer that shares its weights with another."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(8, 8)
        self.last.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return self.last(self.attention(y, y, y)[0])


def test_every_parameter_on_the_way_belongs_to_one_layer() -> None:
    model = Tied()
    images = torch.rand(1, 5, 8)
    way = layers_below(model, images, "last")
    assert list(way) == ["first", "attention", "last"]
    assert sorted(key for keys in way.values() for key in keys) == sorted(key for key, _ in model.named_parameters())
    other = randomise_layers(model, way, seed=0)
    assert not torch.allclose(other(images), model(images))


class Stubborn(nn.Linear):
    """Cannot be initialised again."""

    made = False

    def reset_parameters(self) -> None:
        if self.made:
            raise RuntimeError("no second time\nand more")
        self.made = True


def test_failing_initialisation_is_told_in_a_line() -> None:
    model = nn.Sequential(Stubborn(2, 2))
    with pytest.raises(ModelError) as refused:
        randomise_layers(model, {"0": ["0.weight"]}, seed=0)
    assert str(refused.value) == "randomise: layer '0' cannot be initialised: no second time"
