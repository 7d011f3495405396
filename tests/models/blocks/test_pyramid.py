"""Feature maps found in networks: which, where their units look, without the head, in copies and exports."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from tests.models.decoding import unwatched
from unconv.errors import ModelError
from unconv.models.blocks.pyramid import Pyramid, find_levels
from unconv.models.compact import Compact

HALF = Fraction(1, 2)
FOUND = {
    "resnet18": ("layer4", "layer3", "layer2"),
    "mobilenet_v2": ("features", "features.14.conv.0", "features.7.conv.0"),
    "mobilenet_v3_small": ("features", "features.9.block.0", "features.4.block.0"),
    "shufflenet_v2_x0_5": ("conv5", "stage3", "stage2"),
    "vgg11": ("features", "features.19", "features.14"),
}


@pytest.mark.parametrize("name", FOUND)
def test_the_last_maps_of_known_networks_are_found(name: str) -> None:
    with torch.device("meta"):
        levels = find_levels(getattr(models, name)(), (8, 16, 32))
    assert tuple(level.name for level in levels) == FOUND[name]
    # Odd kernels, padded alike, keep the middle; poolings of 2×2 move it by half a stride.
    expected = (16, 8, 4) if name == "vgg11" else (HALF,) * 3
    assert [level.middle for level in levels] == [(one, one) for one in expected]


def test_middles_are_where_a_network_looks() -> None:
    """A ramp through average poolings: each unit has the place of its middle as its value."""
    network = nn.Sequential(
        nn.AvgPool2d((3, 2), 2, padding=(1, 0), count_include_pad=False),
        nn.AvgPool2d(4, 2, padding=1, count_include_pad=False),
        nn.AvgPool2d(3, 2),
    )
    (level,) = find_levels(network, (8,), in_channels=1)
    for axis in (0, 1):
        ramp = torch.arange(256.0) + 0.5
        picture = ramp[:, None].expand(256, 256) if axis == 0 else ramp.expand(256, 256)
        maps = network(picture[None, None])[0, 0]
        values = maps[:, 8] if axis == 0 else maps[8]
        expected = float(level.middle[axis]) + 8 * torch.arange(len(values))
        torch.testing.assert_close(values[4:-4], expected[4:-4])


class Odd(nn.Module):
    """A network that is not a row of modules: branches, functions in between, a gate, and a shape asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 8, 7, stride=4, padding=3)
        self.one = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.other = nn.Conv2d(8, 8, 1, stride=2)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True))
        self.gate = nn.Conv2d(8, 8, 1)
        self.unused = nn.Linear(3, 3)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != 3:
            raise ValueError("three channels")
        x = torch.relu(self.enter(x))
        x = self.block(self.one(x) + self.other(x))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        y: Tensor = self.head(x.mean((2, 3)))
        return y


def test_any_way_of_writing_a_network_is_taken() -> None:
    network = Odd()
    pyramid, x = Pyramid(network, (4, 8)).eval(), torch.randn(2, 3, 50, 37)
    assert [(level.stride, level.name, level.middle[0]) for level in pyramid.levels] == [
        (8, "block", HALF),
        (4, "enter", HALF),
    ]
    coarse, fine = pyramid(x)
    torch.testing.assert_close(fine, network.enter(x))
    y = torch.relu(network.enter(x))
    torch.testing.assert_close(coarse, network.block(network.one(y) + network.other(y)))
    assert isinstance(pyramid.body.head, nn.Identity)
    assert isinstance(network.head, nn.Linear)
    assert not any(module._forward_hooks for module in network.modules())


def test_copies_pickles_exports_and_state_dicts_have_maps_of_their_own() -> None:
    torch.manual_seed(0)
    pyramid, x = Pyramid(Compact(10)).eval(), torch.randn(1, 3, 70, 41)
    expected = [one.clone() for one in pyramid(x)]
    twin = copy.deepcopy(pyramid)
    for parameter in twin.parameters():
        nn.init.zeros_(parameter)
    assert not any(bool(one.any()) for one in twin(x))
    other = Pyramid(Compact(3)).eval()
    other.load_state_dict(pyramid.state_dict())
    with unwatched():
        exported = torch.export.export(pyramid, (x,)).module()(x)
        compiled = torch.compile(copy.deepcopy(pyramid), fullgraph=True, backend="eager")(x)
    for found in (pyramid(x), pickle.loads(pickle.dumps(pyramid))(x), other(x), exported, compiled):
        for one, two in zip(found, expected, strict=True):
            torch.testing.assert_close(one, two)
    assert pyramid._keeper.kept == {}
    assert {name.split(".")[0] for name in pyramid.state_dict()} == {"body"}
    assert not any("classifier" in name for name in pyramid.state_dict())


class Twice(nn.Module):
    """The same module at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 3, 3, stride=2, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(self.down(x))
        return y


def test_what_has_no_such_maps_is_refused_in_a_line() -> None:
    with pytest.raises(ModelError, match="SqueezeNet has no feature map at stride 32; it has them at 2, 4, 8, 16"):
        find_levels(models.squeezenet1_1(), (8, 32))
    with pytest.raises(ModelError, match=r"VisionTransformer does not take a picture of 3x256x256: .* model.features"):
        find_levels(models.vit_b_16(), (16,))
    with pytest.raises(ModelError, match="Linear does not take a picture of 3x256x256"):
        Pyramid(nn.Linear(8, 2))
    with pytest.raises(ModelError, match="ReLU has no feature map at stride 8; it has them at 1"):
        Pyramid(nn.ReLU(), (8,))
    assert [level.name for level in find_levels(Twice(), (4,))] == [""]
