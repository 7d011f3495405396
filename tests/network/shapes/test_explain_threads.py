"""The mismatches of public threads: the models and sizes that people had, each answered, and each answer applied.

Two threads on output padding are no mismatches: torch 8816 asks about its values (it adds no zeros), torch 8826 which
are allowed (see the tests of ``reachable_sizes``).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

import unconv as uc
from unconv.network.near_sizes import sizes_near


class Unet(nn.Module):
    """Segmentation models' U-Net: doubled to the nearest and concatenated, from a backbone of torchvision."""

    def __init__(self, stages: list[nn.Module], resized: bool = False) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.resized = resized

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        for skip in reversed(skips[:-1]):
            up = F.interpolate(x, size=skip.shape[2:]) if self.resized else F.interpolate(x, scale_factor=2)
            x = torch.cat([up, skip], 1)
        return x


def resnet() -> list[nn.Module]:
    net = torchvision.models.resnet18()
    first = nn.Sequential(net.conv1, net.bn1, net.relu)
    return [first, nn.Sequential(net.maxpool, net.layer1), net.layer2, net.layer3, net.layer4]


def efficientnet() -> list[nn.Module]:
    parts = torchvision.models.efficientnet_b2().features
    return [parts[:2], parts[2:3], parts[3:4], parts[4:6], parts[6:8]]


class Keras(nn.Module):
    """The U-Net of keras 19964: three levels, and transposed convolutions of kernel 3 with stride 2, SAME."""

    def __init__(self, told: bool = False) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(1 if not n else 4 * n, 4 * (n + 1), 3, padding=1) for n in range(4)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(4 * (n + 2), 4 * (n + 1), 3, 2, 1, 1) for n in range(3)])
        self.mix = nn.ModuleList([nn.Conv2d(8 * (n + 1), 4 * (n + 1), 1) for n in range(3)])
        if told:
            self.up = nn.ModuleList(
                [uc.upsample.ConvTransposeTo2d(4 * (n + 2), 4 * (n + 1), 3, 2, 1) for n in range(3)]
            )
        self.told = told

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for n, down in enumerate(self.down):
            x = down(F.max_pool2d(x, 2) if n else x)
            skips.append(x)
        for n in (2, 1, 0):
            x = self.up[n](x, skips[n]) if self.told else self.up[n](x)
            x = self.mix[n](torch.cat([x, skips[n]], 1))
        return x


THREADS: dict[str, tuple[Callable[..., nn.Module], tuple[int, int], tuple[str, str]]] = {
    "smp 57: 350×525": (lambda **more: Unet(resnet(), **more), (350, 525), ("22×34", "22×33")),
    "smp 57: 160×240": (lambda **more: Unet(resnet(), **more), (160, 240), ("10×16", "10×15")),
    "smp 93: EfficientNet-B2, 350×525": (lambda **more: Unet(efficientnet(), **more), (350, 525), ("22×34", "22×33")),
    # The sizes that the thread shows, 14×20, 28×40 and so on, are those of a picture of 222×320.
    "smp 548: the fifth stage": (lambda **more: Unet(resnet(), **more), (222, 320), ("112×160", "111×160")),
}


@pytest.mark.parametrize("name", THREADS)
def test_decoders_of_segmentation_models(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is found within the limit depends on what else the machine does; here it is all that is to be found.
    explaining = importlib.import_module("unconv.network.shapes.explain_shapes")
    monkeypatch.setattr(explaining, "sizes_near", partial(sizes_near, seconds=60.0))
    make, size, (up, skip) = THREADS[name]
    with torch.device("meta"):
        model, x = make().eval(), torch.zeros(1, 3, *size)
        other = make(resized=True).eval()
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        model(x)
    with pytest.raises(uc.network.ShapeError) as answer, uc.explain_shapes():
        model(x)
    error = answer.value
    assert re.search(f"interpolate\\S* comes to {up} and stages\\.\\S+ to {skip}", str(error))
    assert "the input: " in error.story[1]
    assert not any(": 1 to " in line for line in error.story)
    # Both ways out: another input, and a resize to the size of the skip connection.
    assert error.input_sizes
    for (works,) in error.input_sizes:
        assert all(side % 32 == 0 for side in works[1:])
        model(torch.zeros(1, *works, device="meta"))
    assert "F.interpolate(x, size=skip.shape[2:])" in error.fix
    assert other(x).shape[2:] == tuple(-(-side // 2) for side in size)


def test_unet_of_keras_19964() -> None:
    # 358 is halved to 179, 89 and 44: back again 88 meets 89.
    x = torch.zeros(1, 1, 358, 358)
    with pytest.raises(uc.network.ShapeError) as answer, uc.explain_shapes():
        Keras()(x)
    error = answer.value
    assert "up.2 comes to 88×88 and down.2 to 89×89" in str(error)
    assert "no output_padding of it comes to 89×89" in error.fix
    for (works,) in error.input_sizes:
        Keras()(torch.zeros(1, *works))
    # Where the skip connection tells the size, and the padding leaves 89 in reach: no.
    with pytest.raises(uc.errors.GeometryError, match="87 to 88 can"):
        Keras(told=True)(x)


def answered(layer: nn.Module, x: Tensor) -> uc.network.ShapeError:
    with pytest.raises(RuntimeError) as plain:
        layer(x)
    with pytest.raises(uc.network.ShapeError) as answer, uc.explain_shapes():
        layer(x)
    assert str(answer.value.__cause__) == str(plain.value)
    return answer.value


def test_output_padding_of_torch_56328() -> None:
    error = answered(nn.ConvTranspose1d(3, 4, kernel_size=3, output_padding=1), torch.rand(2, 3, 3))
    assert "must be smaller than stride 1 or dilation 1" in str(error)
    assert error.fix == "output_padding=0"
    assert nn.ConvTranspose1d(3, 4, kernel_size=3, output_padding=0)(torch.rand(2, 3, 3)).shape[2] == 5


@pytest.mark.parametrize("others", [{}, {"groups": 2}, {"bias": False}])
@pytest.mark.parametrize(("kernel", "padding"), [(4, 2), (6, 3)])
def test_output_padding_of_torch_106450(kernel: int, padding: int, others: dict[str, Any]) -> None:
    # An even kernel with stride 1, whose output is to have the size of its input.
    layer, x = nn.ConvTranspose1d(8, 4, kernel, 1, padding, output_padding=1, **others), torch.rand(2, 8, 64)
    error = answered(layer, x)
    code = re.search(r"uc\.upsample\.\w+\(.*\)$", error.fix)
    assert code is not None
    made: Any = eval(code[0], {"uc": uc})
    assert made(x).shape[2] == 64
    # The same numbers as torch's, and the cell that it would add.
    made.load_state_dict(layer.state_dict())
    layer.output_padding = (0,)
    torch.testing.assert_close(made(x)[..., :-1], layer(x))


def test_output_padding_of_torch_8816_adds_no_zeros() -> None:
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1)
    y = uc.conv_transpose(torch.ones(1, 1, 1, 1), layer.weight, layer.bias, 2, 1, 1)
    torch.testing.assert_close(y[0, 0], layer.weight[0, 0, 1:, 1:] + layer.bias)
