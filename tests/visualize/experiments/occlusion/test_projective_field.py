"""What a change reaches, against changing pixels and looking; stretches give what whole images give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from tests.visualize.reverse.test_project_units import UNet
from unconv.network.trace.trace import trace
from unconv.visualize.experiments.occlusion.projective_field import ProjectiveField
from unconv.visualize.experiments.occlusion.stops import find_cuts, plan_route
from unconv.visualize.experiments.occlusion.stretch import fields_from, stretch_between
from unconv.visualize.experiments.partial_forward import forward_values


def changed_by_trying(model: nn.Module, size: tuple[int, int], box: tuple[tuple[int, int], ...], layer: str) -> Tensor:
    """Where the layer differs when the pixels of a box do; random weights hide nothing."""
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    other = image.clone()
    (top, bottom), (left, right) = box
    other[:, :, top:bottom, left:right] += 1
    values = [forward_values(model, one, [layer])[0][layer] for one in (image, other)]
    return (values[0] != values[1]).any(1)[0]


@settings(max_examples=30, deadline=None)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    mode=st.sampled_from(["zeros", "reflect", "replicate"]),
    start=st.tuples(st.integers(0, 18), st.integers(0, 18)),
)
def test_field_of_a_convolution_holds_all_that_changes_and_no_more_than_the_hull(
    kernel: int, stride: int, padding: int, dilation: int, mode: str, start: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, kernel, stride, padding, dilation, padding_mode=mode), nn.Conv2d(4, 4, 3, padding=1)
    ).double()
    size, box = (21, 22), tuple((first, first + 3) for first in start)
    graph = trace(model, (3, *size))
    index = graph.value_of("1").index
    found = ProjectiveField(graph, tuple((interval,) for interval in box), index).changed[index]
    changed = changed_by_trying(model, size, box, "1")
    for axis in (0, 1):
        units = changed.any(1 - axis).nonzero().flatten()
        first, last = found[axis][0]
        if len(units):
            assert first <= int(units[0])
            assert int(units[-1]) < last
            if dilation == 1 and kernel >= stride:
                assert (first, last) == (int(units[0]), int(units[-1]) + 1)


def test_what_nothing_reads_changes_nothing() -> None:
    graph = trace(nn.Sequential(nn.Conv2d(1, 1, 1, stride=3)), (1, 9, 9))
    index = graph.value_of("0").index
    field = ProjectiveField(graph, (((1, 3), (3, 4)), ((0, 1),)), index)
    assert field.changed[index] == (((0, 0), (1, 2)), ((0, 1),))


def test_fields_from_the_image_are_those_of_the_graph() -> None:
    graph = trace(UNet(), (3, 32, 48))
    fields = fields_from(graph, 0, len(graph.values) - 1)
    assert all(fields[value.index] == value.field.axes for value in graph.values)


def test_pieces_are_on_the_step_and_leave_the_same_rest() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(2)
    )
    graph = trace(model, (3, 62, 50))
    index = graph.value_of("3").index
    stretch = stretch_between(graph, 0, index, fields_from(graph, 0, index), (((2, 4), (9, 11)), ((0, 2), (11, 12))))
    for axis, total in enumerate((62, 50)):
        assert (total - stretch.size[axis]) % 4 == 0
        assert all(start % 4 == 0 and 0 <= start <= total - stretch.size[axis] for start in stretch.starts[axis])
    assert stretch.shift(0, stretch.starts[0][1]) == stretch.starts[0][1] // 4
    assert stretch.share < 1


class Skip(nn.Module):
    """Every layer between the two ends is passed by."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.three(self.two(x) + x)


def test_only_layers_that_everything_passes_through_are_stopped_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unconv.visualize.experiments.occlusion.stops.LEAST", 0.0)
    model = Skip()
    graph = trace(model, (3, 16, 16))
    cuts, _ = find_cuts(model, graph, graph.value_of("three").index)
    assert [cut.layer for cut in cuts] == ["one", "three"]


class Twice(nn.Module):
    """A module with an operation of its own behind its convolution, and no child."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight, padding=1).relu()


def test_modules_that_return_something_else_than_bears_their_name_are_not_stopped_at() -> None:
    model = nn.Sequential(Twice(), nn.Conv2d(3, 3, 3))
    graph = trace(model, (3, 16, 16))
    cuts, _ = find_cuts(model, graph, graph.value_of("1").index)
    assert [cut.layer for cut in cuts] == ["1"]


def test_untraceable_networks_are_computed_whole() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if float(x.sum()) > 0 else -x

    route = plan_route(nn.Sequential(nn.Conv2d(3, 3, 3), Branching()), (3, 16, 16), (((0, 4),),) * 2, "0")
    assert route.note.startswith("whole images: ")
    assert len(route.cuts) == 1
