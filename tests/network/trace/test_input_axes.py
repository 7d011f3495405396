"""Fields of networks whose inputs are not (channels, *places): waveforms, frames of features, channels at the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

import unconv as uc
from unconv.errors import ModelError
from unconv.network.trace.graph import Graph

sys.path.insert(0, str(Path(__file__).parent))
from connections import positive


class Turned(nn.Module):
    """A network of (batch, channels, *places) whose input has its axes in another order, or no channels."""

    def __init__(self, body: nn.Module, order: tuple[int, ...]) -> None:
        super().__init__()
        self.body, self.order = body, order

    def forward(self, x: Tensor) -> Tensor:
        turned: Tensor = self.body(x.permute(self.order) if len(self.order) == x.dim() else x[:, None])
        return turned


class Patches(nn.Module):
    """Frames of a waveform by a view, and a linear layer of each."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.embed(x.view(len(x), -1, 16))
        return embedded


class Frames(nn.Module):
    """A recurrent layer over frames of features."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.steps = nn.Linear(6, 4), nn.GRU(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.steps(self.mix(x))[0]
        return states


@st.composite
def bodies(draw: st.DrawFn, places: int) -> nn.Sequential:
    """Convolutions, poolings and rectifiers, three channels in."""
    conv = {1: nn.Conv1d, 2: nn.Conv2d}[places]
    pool = {1: nn.AvgPool1d, 2: nn.AvgPool2d}[places]
    layers, channels = [], 3
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.integers(0, 3)):
            kernel, stride, dilation = (draw(st.integers(1, most)) for most in (3, 2, 2))
            layers.append(conv(channels, 2, kernel, stride, padding=draw(st.integers(0, 1)), dilation=dilation))
            channels = 2
        else:
            layers.append(pool(2, ceil_mode=draw(st.booleans())))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def rows(graph: Graph) -> list[tuple[object, ...]]:
    """What does not depend on the order of an input's axes."""
    return [(one.operator, one.output_shape, one.macs, one.receptive_field, one.exact) for one in graph]


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_channels_at_the_end_change_no_field(data: st.DataObject) -> None:
    places = data.draw(st.integers(1, 2))
    body, size = data.draw(bodies(places)), (17, 14)[:places]
    last = Turned(body, (0, 1 + places, *range(1, 1 + places)))
    try:
        expected = uc.trace(body, (3, *size))
    except ModelError:
        return
    found = uc.trace(last, (*size, 3), axes=" ".join(("h", "w")[:places]) + " c")
    assert rows(found) == rows(expected)
    assert found.image_size == size


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_fields_of_waveforms_are_what_gradients_reach(data: st.DataObject) -> None:
    kernels = data.draw(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 3)), min_size=1, max_size=3))
    body = nn.Sequential(*(nn.Conv1d(1, 1, kernel, stride) for kernel, stride in kernels))
    model = positive(Turned(body, (0,)))
    image = torch.rand(1, 150, dtype=torch.float64, requires_grad=True)
    output = model(image)[0, 0]
    graph = uc.trace(model, 150, axes="t")
    name = graph.layers[-1].name
    assert graph[name].exact
    for unit in {0, len(output) // 2, len(output) - 1}:
        (gradient,) = torch.autograd.grad(output[unit], image, retain_graph=True)
        cells = gradient[0].nonzero()
        assert graph.field_box(name, (unit,)) == ((int(cells.min()), int(cells.max()) + 1),)


@pytest.mark.parametrize(
    ("model", "size", "axes", "layer", "field"),
    [
        (Turned(nn.Conv1d(1, 4, 10), (0, 2, 1)), (160, 1), "t c", "body", (10,)),
        (Turned(nn.Conv1d(6, 4, 10), (0, 2, 1)), (40, 6), "t c", "body", (10,)),
        (Turned(nn.Conv2d(3, 4, 5), (0, 3, 1, 2)), (32, 24, 3), "hwc", "body", (5, 5)),
        (Turned(nn.MaxPool2d(3), (0, 3, 1, 2)), (32, 24, 3), "hwc", "body", (3, 3)),
        (Patches(), (64,), "t", "embed", (16,)),
        (Frames(), (12, 6), "t c", "steps", (12,)),
    ],
)
def test_what_steps_along_an_axis_that_nobody_told_is_never_exact(
    model: nn.Module, size: tuple[int, ...], axes: str, layer: str, field: tuple[int, ...]
) -> None:
    guessed = uc.trace(model, size)
    assert not guessed[layer].exact
    assert "axes" in guessed[layer].note
    assert "axes" in str(guessed)
    told = uc.trace(model, size, axes=axes)
    assert told[layer].exact
    assert told[layer].receptive_field.size == field
    assert told.to_dict()["axes_told"]
    assert not guessed.to_dict()["axes_told"]


def test_channels_that_are_mixed_or_chosen_need_no_word() -> None:
    class Chosen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            red, green, _ = x.flip(1).unbind(1)
            turned: Tensor = self.conv(red[:, None] + green[:, None] + x[:, :1])
            return turned

    generator = nn.Sequential(nn.Linear(8, 32), nn.Unflatten(1, (2, 4, 4)), nn.ConvTranspose2d(2, 3, 4, 2))
    for model, size in ((Chosen(), (3, 9, 9)), (generator, (8,))):
        graph = uc.trace(model, size)
        assert all(layer.exact for layer in graph)
        assert "axes" not in str(graph)


def test_inputs_share_places_by_name() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(1, 4, 5, padding=2)

        def forward(self, image: Tensor, mask: Tensor) -> Tensor:
            return self.one(image.permute(0, 3, 1, 2)) + self.two(mask)

    graph = uc.trace(Two(), [(16, 12, 3), (1, 16, 12)], axes="h w c, c h w")
    assert (graph["add"].receptive_field.size, graph["add"].exact) == ((5, 5), True)
    apart = uc.trace(Two(), [(16, 12, 3), (1, 16, 12)], axes="h w c, c y x")
    assert not apart["add"].exact


def test_windows_and_audit_know_the_axes() -> None:
    model = Turned(nn.Sequential(nn.Conv1d(1, 4, 10, 5), nn.ReLU(), nn.Conv1d(4, 4, 3)), (0,))
    windows = uc.network.windows_of(model, "body.2", 1600, axes="t")
    assert (windows.image_size, windows.field.size, windows.whole) == ((1600,), (20,), False)
    with pytest.raises(ModelError, match="axes"):
        uc.network.windows_of(uc.trace(model, 1600, axes="t"), "body.2", axes="t")
    found = uc.audit(model, 1600, axes="t", measure=False)
    assert found.graph["body.2"].receptive_field.size == (20,)


@pytest.mark.parametrize(
    ("size", "axes", "why"),
    [
        ((32, 32), "hwc", "one number for each axis"),
        ((1, 1, 32, 32, 3), "hwc", "one number for each axis"),
        ("32x32", "t", None),
        ("32xa", "t c", "whole numbers"),
        (16.5, "t", "one number for each axis"),
        ([(32, 32, 3)], "hwc, t", "axes of 2 inputs for sizes of 1"),
    ],
)
def test_sizes_that_do_not_fit_the_axes_are_refused(size: object, axes: str, why: str | None) -> None:
    model = Turned(nn.Conv1d(1, 4, 10), (0,))
    if why is None:
        assert uc.trace(model, size, axes=axes).input_sizes == ((32,),)
        return
    with pytest.raises(ModelError, match=why):
        uc.trace(model, size, axes=axes)


def test_failures_tell_of_channels_that_were_added() -> None:
    model = Turned(nn.Conv1d(1, 4, 10), (0,))
    model.forward = lambda x: model.body(x[:, None])  # type: ignore[method-assign]
    for run in (uc.trace, uc.audit):
        for size in (1600, (1600,), "1600", [(1600,)]):
            with pytest.raises(ModelError, match=r"counted as 1×1600.*axes='t'"):
                run(model, size)  # type: ignore[operator]
