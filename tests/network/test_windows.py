"""Windows: where they begin, how large they are, and when the whole image is needed."""

from __future__ import annotations

import pytest
import torch
import torchvision
from hypothesis import given, settings, strategies as st
from torch import nn

from unconv.errors import ModelError
from unconv.network.trace.trace import trace
from unconv.network.windows import windows_of


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, int]]:
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 5))):
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        if draw(st.booleans()):
            layers.append(nn.MaxPool2d(kernel, stride, padding=kernel // 2, ceil_mode=draw(st.booleans())))
        else:
            mode = draw(st.sampled_from(["zeros", "reflect", "replicate"]))
            layers.append(nn.Conv2d(1, 1, kernel, stride, padding=draw(st.integers(0, kernel - 1)), padding_mode=mode))
    return nn.Sequential(*layers), (draw(st.integers(40, 90)), draw(st.integers(40, 90)))


@settings(deadline=None, max_examples=60)
@given(networks(), st.integers(0, 2**31))
def test_windows_hold_what_a_unit_sees_and_give_the_same_value(
    made: tuple[nn.Module, tuple[int, int]], seed: int
) -> None:
    model, size = made
    try:
        graph = trace(model, (1, *size))
    except ModelError:
        return  # the image is too small for so many steps
    name = str(len(model) - 1)
    windows = windows_of(graph, name)
    torch.manual_seed(seed)
    model = model.double()
    image = torch.randn(1, 1, *size, dtype=torch.float64)
    whole = model(image)[0, 0]
    for _ in range(4):
        position = tuple(int(torch.randint(n, ())) for n in whole.shape)
        start = windows.start(position)
        for first, length, step, total, (low, high) in zip(
            start, windows.size, windows.step, size, graph.field_box(name, position), strict=True
        ):
            assert 0 <= first <= total - length
            assert first % step == 0
            assert (total - length) % step == 0
            # A unit over nothing but padding sees no cell.
            assert low == high or first <= low < high <= first + length
        crop = image[..., start[0] : start[0] + windows.size[0], start[1] : start[1] + windows.size[1]]
        inside = windows.within(position, start)
        torch.testing.assert_close(model(crop)[0, 0][inside], whole[position])


def test_sizes_in_vgg_are_those_of_its_fields() -> None:
    graph = trace(torchvision.models.vgg16(weights=None), (3, 224, 224))
    sizes = {
        name: windows_of(graph, name).size[0] for name in ("features.2", "features.7", "features.14", "features.21")
    }
    assert sizes == {"features.2": 5, "features.7": 16, "features.14": 44, "features.21": 104}
    deep = windows_of(graph, "features.28")
    assert deep.whole
    assert deep.reason == "the field of its units is nearly as large as the image"


@pytest.mark.parametrize("layer", ["avgpool", "classifier.0"])
def test_layers_without_a_place_need_the_whole_image(layer: str) -> None:
    windows = windows_of(trace(torchvision.models.vgg16(weights=None), (3, 224, 224)), layer)
    assert windows.whole
    assert windows.reason
    assert windows.share == 1.0


def test_unknown_layers_are_refused() -> None:
    with pytest.raises(ModelError, match="no layer"):
        windows_of(trace(nn.Sequential(nn.Conv2d(3, 4, 3)), (3, 8, 8)), "7")
