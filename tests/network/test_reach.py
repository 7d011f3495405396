"""What a unit needs of the tensors before it, against noise put everywhere else."""

from __future__ import annotations

import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from unconv.network.reach import cells_along, convolutions_before
from unconv.network.trace.trace import trace


@st.composite
def networks(draw: st.DrawFn) -> nn.Sequential:
    """Convolutions, poolings and padding in a row."""
    torch.manual_seed(draw(st.integers(0, 99)))
    layers: list[nn.Module] = [nn.Conv2d(1, 2, 3, padding=1)]
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["conv", "pool", "pad", "up"]))
        if kind == "conv":
            stride, dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))
            layers.append(nn.Conv2d(2, 2, 3, stride=stride, padding=draw(st.integers(0, 2)) + 1, dilation=dilation))
        elif kind == "pool":
            layers.append(nn.MaxPool2d(2, ceil_mode=draw(st.booleans())))
        elif kind == "pad":
            layers.append(nn.ReflectionPad2d(1))
        else:
            layers.append(nn.ConvTranspose2d(2, 2, draw(st.integers(2, 4)), stride=2))
    return nn.Sequential(*layers, nn.Conv2d(2, 1, 1))


@settings(deadline=None, max_examples=60)
@given(networks(), st.data())
def test_what_lies_outside_has_no_influence(model: nn.Sequential, data: st.DataObject) -> None:
    model = model.double().eval()
    image = torch.randn(1, 1, 11, 13, dtype=torch.float64)
    graph = trace(model, (1, 11, 13))
    last = graph.value_of(str(len(model) - 1)).index
    height, width = graph.values[last].shape[2:]
    at = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    expected = model(image)[(0, 0, *at)]
    rows, columns = (cells_along(graph, last, axis, unit) for axis, unit in enumerate(at))
    found = convolutions_before(graph, last)
    assert len(found) == sum(isinstance(layer, nn.Conv2d) for layer in model)
    convolutions = iter(found)
    value = image
    for layer in model:
        value = layer(value)
        if isinstance(layer, nn.Conv2d):
            index = next(convolutions).value
            value = disturbed(value, rows.get(index, (0, 0)), columns.get(index, (0, 0)))
    torch.testing.assert_close(value[(0, 0, *at)], expected)


def disturbed(value: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Noise outside of a box."""
    changed = 100 * torch.randn_like(value)
    changed[:, :, slice(*rows), slice(*columns)] = value[:, :, slice(*rows), slice(*columns)]
    return changed
