"""Forward passes that compute what is needed: exact, and whole where the network runs otherwise than it was traced."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from unconv.network.trace.trace import trace
from unconv.network.windows import windows_of
from unconv.visualize.cone.schedule import Needed, limit_convolutions
from unconv.visualize.cone.unit_cones import UnitCones
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.project_units import Pick, project_units


class Restless(nn.Module):
    """Runs its two convolutions of one shape in another order, or one of them twice, once it was traced."""

    def __init__(self, later: str) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, stride=2)
        self.later, self.traced = later, False

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.traced and self.later == "twice":
            x = self.one(x)
        x = self.two(self.one(x)).relu()
        return self.last(x)


def far_apart(model: nn.Module, images: Tensor, layer: str, position: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A projection by what is needed, and by everything."""
    windows = windows_of(trace(model, tuple(images.shape[1:])), layer)
    if isinstance(model, Restless):
        model.traced = True
    found = project_units(model, images, windows, [Pick(0, 1, position)], "guided").whole(0)
    return found, project(model, images[:1], layer, 1, position, "guided").image[0]


@pytest.mark.parametrize("later", ["twice", "same"])
def test_network_that_runs_otherwise_than_traced_is_run_whole(later: str) -> None:
    model = Restless(later).double()
    images = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    found, expected = far_apart(model, images, "last", (1, 3))
    torch.testing.assert_close(found, expected)


def test_course_is_kept_by_the_convolutions_expected_and_no_others() -> None:
    weight = torch.randn(4, 3, 3, 3)
    expected = Needed(4, (3, 3), ())
    for calls, kernels, kept in (
        (1, weight, True),
        (0, weight, False),
        (2, weight, False),
        (1, weight[:, :, 1:], False),
    ):
        with limit_convolutions([expected]) as schedule:
            for _ in range(calls):
                schedule.next(kernels)
        assert schedule.kept is kept


def test_units_that_share_a_window_are_all_served() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU()).double()
    images = torch.randn(1, 3, 20, 20, dtype=torch.float64)
    windows = windows_of(trace(model, (3, 20, 20)), "4")
    picks = [Pick(0, unit, (y, x)) for unit, (y, x) in enumerate([(0, 0), (0, 0), (6, 6), (3, 5), (0, 6)])]
    found = project_units(model, images, windows, picks, "gradient")
    for number, pick in enumerate(picks):
        expected = project(model, images, "4", pick.unit, pick.position, "gradient").image[0]
        torch.testing.assert_close(found.whole(number), expected)


def test_gate_that_reads_everything_makes_everything_needed() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x).relu()
            return x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()

    torch.manual_seed(0)
    model = nn.Sequential(Gated(), nn.Conv2d(4, 5, 3)).double()
    images = torch.randn(1, 3, 12, 12, dtype=torch.float64)
    windows = windows_of(trace(model, (3, 12, 12)), "1")
    boxes = [needed.boxes for needed in UnitCones(windows).needed([((0, 0), [(2, 3)])])]
    assert boxes == [(((0, 12), (0, 12)),), (((0, 1), (0, 1)),), (((2, 3), (3, 4)),)]
    found, expected = far_apart(model, images, "1", (2, 3))
    torch.testing.assert_close(found, expected)


def test_convolution_over_rows_and_columns_in_one_is_computed_whole() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.Conv1d(4, 4, 3, padding=1), nn.Unflatten(2, (6, 6)))
    model = model.append(nn.Conv2d(4, 2, 1)).double()
    images = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    windows = windows_of(trace(model, (3, 8, 8)), "4")
    assert [needed.boxes for needed in UnitCones(windows).needed([((0, 0), [(2, 3)])])][1] == ()
    found, expected = far_apart(model, images, "4", (2, 3))
    torch.testing.assert_close(found, expected)


def test_division_by_what_nobody_needs_does_no_harm() -> None:
    class Normed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / x.square().sum(1, keepdim=True).sqrt()

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Normed(), nn.MaxPool2d(4), nn.Conv2d(4, 5, 3)).double()
    images = torch.randn(1, 3, 34, 34, dtype=torch.float64)
    found, expected = far_apart(model, images, "3", (2, 3))
    assert expected.isfinite().all()
    torch.testing.assert_close(found, expected)
