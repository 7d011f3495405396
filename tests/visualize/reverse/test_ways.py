"""Whatever the way, the answer is that of the whole image: in float64 equal, in float32 captum's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from torch import Tensor, nn

from tests.visualize.reference import captum_projection, network, pictures, relative_error
from unconv.errors import UnconvError
from unconv.visualize.reverse import ways
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.ways import Asked, send_back


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows also where they hardly pay."""
    monkeypatch.setattr(ways, "FEW_PIXELS", 0)
    monkeypatch.setattr(ways, "MANY", 1)
    monkeypatch.setattr(ways, "LARGE", 1.0)


def by_whole_images(
    model: nn.Module, images: Tensor, layer: str, units: tuple[int, ...], places: Any, rule: str
) -> Any:
    """One image at a time, as the network runs them."""
    found = [
        ways._by_whole_images(
            Asked(model, layer, units, rule),
            images[number : number + 1],
            None if places is None else tuple((row[number],) for row in places),
            "",
        )
        for number in range(len(images))
    ]
    return torch.cat([one.image for one in found], 1), torch.cat([one.activation for one in found], 1)


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Sequential, int]:
    """A stack of convolutions, rectifiers and poolings, and a layer of it."""
    layers: list[nn.Module] = []
    channels = 2
    for _ in range(draw(st.integers(1, 4))):
        kernel = draw(st.integers(1, 4))
        padding = draw(st.integers(0, kernel // 2))
        outputs = draw(st.integers(2, 4))
        layers.append(nn.Conv2d(channels, outputs, kernel, draw(st.integers(1, 2)), padding))
        channels = outputs
        if draw(st.booleans()):
            layers.append(nn.BatchNorm2d(channels))
        layers.append(draw(st.sampled_from([nn.ReLU(), nn.ReLU(inplace=True), nn.SiLU()])))
        if draw(st.booleans()):
            layers.append(nn.MaxPool2d(draw(st.integers(2, 3)), 2, ceil_mode=draw(st.booleans())))
    model = nn.Sequential(*layers).double().eval()
    return model, draw(st.integers(0, len(layers) - 1))


def fits(model: nn.Module, height: int, width: int) -> bool:
    """Whether no map of a network is smaller than the window that stands on it."""
    try:
        copy.deepcopy(model)(torch.zeros(1, 2, height, width, dtype=torch.float64))
    except RuntimeError:
        return False
    return True


@given(networks(), st.integers(40, 60), st.integers(40, 60), st.data())
@settings(max_examples=12, deadline=None)
@pytest.mark.usefixtures("eager")
def test_every_way_gives_what_whole_images_give(
    made: tuple[nn.Sequential, int], height: int, width: int, data: st.DataObject
) -> None:
    model, layer = made
    # All of the network runs, where it is traced: the last window has to fit as well.
    assume(fits(model, height, width))
    images = torch.randn(2, 2, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(layer))
    value = copy.deepcopy(model)[: layer + 1](images.clone())
    units = tuple(data.draw(st.lists(st.integers(0, value.shape[1] - 1), min_size=1, max_size=2, unique=True)))
    place = st.tuples(*(st.integers(0, size - 1) for size in value.shape[2:]))
    row = st.lists(place, min_size=2, max_size=2).map(tuple)
    places = data.draw(st.none() | st.tuples(*[row] * len(units)))
    rule = data.draw(st.sampled_from(["deconvnet", "guided", "gradient"]))
    sent = send_back(Asked(model, str(layer), units, rule), images, places)
    image, activation = by_whole_images(model, images, str(layer), units, sent.places, rule)
    torch.testing.assert_close(sent.image, image, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(sent.activation, activation, atol=1e-10, rtol=1e-9)
    if places is None:
        maps = value[:, list(units)].transpose(0, 1)
        torch.testing.assert_close(activation, maps.flatten(2).amax(2).detach(), atol=1e-10, rtol=1e-9)
    assert sent.way.startswith(("windows of", "whole images: "))


@pytest.mark.parametrize(
    ("name", "layer", "place", "way"),
    [
        ("vgg16", "7", (30, 41), "windows of"),
        ("resnet50", "layer1.2.conv2", (0, 30), "windows of"),
        ("googlenet", "inception3a", (11, 3), "windows of"),
        ("alexnet", "features.8", (4, 2), "whole images: the field of its units is nearly as large"),
    ],
)
def test_real_networks_in_float64(name: str, layer: str, place: tuple[int, int], way: str) -> None:
    model, images = (
        copy.deepcopy(network(name).features[:9] if name == "vgg16" else network(name)).double(),
        pictures(131 if name != "vgg16" else 96, 2).double(),
    )
    found = project(model, images, layer, 3, place, "guided")
    assert found.way.startswith(way)
    image, activation = by_whole_images(model, images, layer, (3,), ((place,) * 2,), "guided")
    assert relative_error(found.image, image[0]) < 1e-9
    torch.testing.assert_close(found.activation, activation[0])


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
def test_captum_gives_the_same_in_float32(rule: str) -> None:
    model, images = network("vgg16"), pictures(96)
    found = project(model, images, "features.10", 7, (11, 12), rule)
    assert found.way == "windows of 28×28 pixels: all that a unit sees"
    assert relative_error(found.image, captum_projection(model, images, "features.10", (7, 11, 12), rule)) < 1e-5


class Whole(nn.Module):
    """A path that depends on values, and units that see everything."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "values" and float(x.detach().sum()) > 1e9:
            x = -x
        if self.kind == "everything":
            x = x - x.mean((2, 3), keepdim=True)
        return self.conv(x).relu()


@pytest.mark.parametrize(
    ("kind", "size", "position", "told"),
    [
        ("values", 96, (3, 4), "windows are not known (trace"),
        ("everything", 96, (3, 4), "'adaptive_avg_pool' depends on the whole image or on places in it"),
        ("plain", 16, (3, 4), "images are small"),
        ("plain", 96, None, "for few images a network is not traced"),
    ],
)
def test_whole_images_where_windows_do_not_pay_and_it_is_said(
    kind: str, size: int, position: tuple[int, int] | None, told: str
) -> None:
    model, images = Whole(kind), torch.rand(1, 3, size, size)
    found = project(model, images, "conv", 2, position)
    assert told in found.way
    assert found.way.startswith("whole images: ")
    image, _ = by_whole_images(model, images, "conv", (2,), (found.position,), "deconvnet")
    assert torch.equal(found.image, image[0])


class Reused(nn.Module):
    """One rectifier behind every convolution: its value is that of its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, 3, 3) for _ in range(3))
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = self.act(conv(x))
        return x


def test_a_module_called_several_times_counts_with_its_first_call() -> None:
    torch.manual_seed(0)
    model, images = Reused().double(), torch.rand(2, 3, 80, 80, dtype=torch.float64)
    found = project(model, images, "act", 1, (70, 77))
    assert found.way.startswith("windows of 3×3 pixels")
    image, _ = by_whole_images(model, images, "act", (1,), found.position and (found.position,), "deconvnet")
    assert relative_error(found.image, image[0]) < 1e-12


def test_a_network_that_is_changed_is_not_looked_at_through_old_windows() -> None:
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)).double(), torch.rand(1, 3, 80, 80)
    images = images.double()
    before = project(model, images, "2", 1, (5, 6))
    model[0].dilation = (4, 4)
    after = project(model, images, "2", 1, (5, 6))
    assert before.way != after.way
    image, _ = by_whole_images(model, images, "2", (1,), (after.position,), "deconvnet")
    assert relative_error(after.image, image[0]) < 1e-12


class Counting(nn.Module):
    """Gives another number of units than its trace tells: what it reads from elsewhere is not compared."""

    stride = 1

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.last = nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.nn.functional.conv2d(x, self.conv.weight, self.conv.bias, stride=Counting.stride))


def test_a_trace_that_tells_another_network_is_found_out_by_its_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, images = Counting().double(), torch.rand(8, 3, 64, 64, dtype=torch.float64)
    assert project(model, images, "last", 1).way.startswith("windows of")
    monkeypatch.setattr(Counting, "stride", 2)
    found = project(model, images, "last", 1)
    assert found.way == "whole images: the trace of the network tells other shapes"
    image, _ = by_whole_images(model, images, "last", (1,), (found.position,), "deconvnet")
    assert relative_error(found.image, image[0]) < 1e-12


@pytest.mark.parametrize("size", [12, 96])
def test_units_and_places_outside_are_refused_alike_on_every_way(size: int) -> None:
    model, images = Whole("plain"), torch.rand(2, 3, size, size)
    with pytest.raises(UnconvError, match="unit: 4 is not in layer 'conv', which has units 0 to 3"):
        project(model, images, "conv", 4, (0, 0))
    with pytest.raises(
        UnconvError, match=rf"position: \({size}, 0\) is not in a feature map of layer 'conv', whose size"
    ):
        project(model, images, "conv", 1, (size, 0))
