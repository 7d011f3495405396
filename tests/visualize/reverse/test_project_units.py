"""A unit's window gives what the whole image gives: in float64 equal, at borders and corners too."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.visualize.reference import network, relative_error
from unconv.errors import ModelError, UnconvError
from unconv.models.load.resolve import load_model
from unconv.network.trace.trace import trace
from unconv.network.windows import Windows, windows_of
from unconv.visualize.reverse.passage import Passage, run_forward
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.project_units import Pick, project_units


def images_of(size: tuple[int, int], count: int = 2) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def places(size: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Corners, borders and the middle."""
    rows, columns = ([0, 1, n // 2, n - 2, n - 1] for n in size)
    return sorted({(max(y, 0), max(x, 0)) for y, x in zip(rows * 2, [*columns, *reversed(columns)], strict=True)})


def check_layers(model: nn.Module, images: Tensor, layers: list[str], rule: str = "guided") -> list[bool]:
    """Windows of some units against the whole image; whether the windows are smaller than that."""
    graph = trace(model, tuple(images.shape[1:]))
    passage = run_forward(model, images, layers, rule)
    return [check_layer(model, images, windows_of(graph, layer), passage) for layer in layers]


def check_layer(model: nn.Module, images: Tensor, windows: Windows, passage: Passage) -> bool:
    layer, (units, *size) = windows.layer, windows.shape
    picks = [Pick(n % len(images), (7 * n) % units, place) for n, place in enumerate(places(tuple(size)))]
    found = project_units(model, images, windows, picks, passage.rule)
    for number, pick in enumerate(picks):
        signal = torch.zeros_like(passage.values[layer])
        at = (pick.image, pick.unit, *pick.position)
        signal[at] = 1
        whole = passage.back(layer, signal)[pick.image]
        torch.testing.assert_close(found.whole(number), whole, atol=1e-12, rtol=1e-9)
        torch.testing.assert_close(found.activation[number], passage.values[layer][at].detach(), atol=1e-12, rtol=1e-9)
    return not found.windows.whole


class UNet(nn.Module):
    """Down by pooling and by stride, up by transposed convolution and by factor, skips joined."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect")
        self.two = nn.Conv2d(6, 8, 3, padding=1)
        self.three = nn.Conv2d(8, 10, 3, stride=2, padding=1, padding_mode="replicate")
        self.up = nn.ConvTranspose2d(10, 8, 2, stride=2)
        self.four = nn.Conv2d(16, 6, 3, padding=1)
        self.five = nn.Conv2d(12, 4, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        high = F.relu(self.one(x))
        middle = torch.relu_(self.two(F.max_pool2d(high, 2)))
        low = self.three(middle).clamp(min=0)
        middle = F.relu(self.four(torch.cat([middle, self.up(low)], 1)))
        up = F.interpolate(middle, scale_factor=2, mode="nearest")
        return self.five(torch.cat([high, up], 1))


@pytest.mark.parametrize(
    ("name", "layers", "size"),
    [
        ("vgg16", ["features.0", "features.7", "features.14"], (224, 224)),
        ("vgg16", ["features.5", "features.19"], (131, 227)),
        ("resnet50", ["conv1", "layer1.0.conv2", "layer2.0.downsample.0", "layer2.1"], (225, 173)),
        ("googlenet", ["conv2.conv", "inception3a.branch2.1.conv", "inception3b"], (227, 163)),
        ("mnasnet1_0", ["layers.0", "layers.8.1.layers.3", "layers.9.0"], (225, 173)),
    ],
)
def test_window_equals_full_image(name: str, layers: list[str], size: tuple[int, int]) -> None:
    model = copy.deepcopy(network(name)).double()
    assert all(check_layers(model, images_of(size, 1), layers))


def test_window_equals_full_image_in_efficientnet_lite() -> None:
    model = load_model("efficientnet-lite0").module.double()
    graph = trace(model, (3, 227, 227))
    early = [layer.name for layer in graph if layer.operator == "conv" and layer.output_shape[-1] > 28]
    assert len(early) > 5
    assert all(check_layers(model, images_of((227, 227), 1), early[::4]))


class Picky(nn.Sequential):
    """Refuses images of less than 30 pixels."""

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[2:]) < 30:
            raise ValueError("too small")
        return super().forward(x)


def test_windows_grow_where_the_network_refuses_small_images() -> None:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2))
    model = Picky(*layers).double()
    images = images_of((64, 49), 1)
    windows = windows_of(trace(model, (3, 64, 49)), "2")
    assert windows.size == (6, 7)
    found = project_units(model, images, windows, [Pick(0, 1, (20, 11))])
    assert found.windows.size == (48, 49)
    with pytest.raises(ModelError, match="too small"):
        project_units(
            model,
            images[..., :29, :29],
            windows_of(trace(nn.Sequential(*layers), (3, 29, 29)), "2"),
            [Pick(0, 0, (0, 0))],
        )


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
@pytest.mark.parametrize("layer", ["one", "two", "three", "up", "four", "five"])
def test_window_equals_full_image_in_a_u_net(layer: str, rule: str) -> None:
    torch.manual_seed(0)
    assert all(check_layers(UNet().double().eval(), images_of((96, 128)), [layer], rule))


class Refusals(nn.Module):
    """Layers whose units depend on the whole image, or on where they are in it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        mode = "circular" if kind == "circular" else "zeros"
        self.first = nn.Conv2d(3, 4, 3, padding=1, padding_mode=mode)
        self.norm = nn.InstanceNorm2d(4)
        self.last = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.kind == "squeeze":
            x = x * x.mean((2, 3), keepdim=True).sigmoid()
        if self.kind == "norm":
            x = self.norm(x)
        if self.kind == "resize":
            x = F.interpolate(x, size=(64, 64), mode="bilinear")
        if self.kind == "corners":
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        if self.kind == "adaptive":
            x = F.adaptive_avg_pool2d(x, 8)
        return self.last(F.relu(x))


@pytest.mark.parametrize("kind", ["circular", "squeeze", "norm", "resize", "corners", "adaptive"])
def test_whole_image_where_units_need_it_and_it_is_said(kind: str) -> None:
    torch.manual_seed(0)
    model = Refusals(kind).double().eval()
    windows = windows_of(trace(model, (3, 40, 40)), "last")
    assert windows.whole
    assert "depends on the whole image or on places in it" in windows.reason
    assert check_layers(model, images_of((40, 40)), ["last"]) == [False]


def test_units_of_one_window_share_its_forward_pass() -> None:
    calls: list[int] = []
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    model[0].register_forward_hook(lambda _m, _i, output: calls.append(len(output)))
    windows = windows_of(trace(model, (3, 32, 32)), "2")
    picks = [Pick(image, unit, (9, 9)) for image in (1, 0) for unit in range(4)]
    calls.clear()
    project_units(model, torch.randn(2, 3, 32, 32), windows, picks)
    assert calls == [2]


def test_float32_flips_are_rare() -> None:
    """Kernels chosen by size round differently: a rectifier on a near-tie may fall the other way."""
    model, layer = network("alexnet"), "features.6"
    images = images_of((224, 224)).float()
    windows = windows_of(trace(model, (3, 224, 224)), layer)
    picks = [Pick(n % 2, n, place) for n, place in enumerate(places((13, 13)))]
    found = project_units(model, images, windows, picks, "guided")
    errors = [
        relative_error(
            found.whole(number),
            project(model, images[pick.image : pick.image + 1], layer, pick.unit, pick.position, "guided").image[0],
        )
        for number, pick in enumerate(picks)
    ]
    assert sum(error > 1e-4 for error in errors) <= 1


@pytest.mark.parametrize(
    ("picks", "told"),
    [
        ([], "empty list"),
        ([Pick(2, 0, (0, 0))], "image 2 of 2"),
        ([Pick(0, 9, (0, 0))], "unit 9"),
        ([Pick(0, 0, (40, 0))], "position"),
    ],
)
def test_picks_that_are_not_there_are_one_line(picks: list[Pick], told: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    windows = windows_of(trace(model, (3, 16, 16)), "0")
    with pytest.raises(UnconvError, match=told):
        project_units(model, torch.rand(2, 3, 16, 16), windows, picks)
    with pytest.raises(UnconvError, match="size"):
        project_units(model, torch.rand(2, 3, 18, 16), windows, [Pick(0, 0, (0, 0))])


def test_little_is_sent_back_for_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    images = torch.rand(40, 3, 32, 32)
    windows = windows_of(trace(model, (3, 32, 32)), "2")
    # Two images are looked at by three units each, the others by one, as in a data set with a few favourites.
    picks = [Pick(image, unit, (9, 9)) for image in range(40) for unit in range(3 if image in (5, 23) else 1)]
    rows = []

    @contextmanager
    def watch(_passage: Passage, signal: Tensor, placed: Mapping[int, tuple[int, ...]]) -> Iterator[None]:
        rows.append((len(signal), len(placed)))
        yield

    project_units(model, images, windows, picks, "guided", watch=watch)
    assert sum(used for _, used in rows) == len(picks)
    assert sum(sent for sent, _ in rows) <= 9 / 8 * len(picks)
    # And as many together as may be.
    assert len(rows) <= 5
