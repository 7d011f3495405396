"""Switches and gates that carry an image are those that change the picture when they are changed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from unconv.network.trace.trace import trace
from unconv.network.windows import windows_of
from unconv.visualize.fidelity.gate_counts import CountGates, GateCounts
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.project_units import Pick, project_units


def counted(model: nn.Module, images: Tensor, layer: str, picks: list[Pick], rule: str) -> list[GateCounts]:
    watch = CountGates(layer, len(picks))
    windows = windows_of(trace(model, tuple(images.shape[1:])), layer)
    project_units(model, images, windows, picks, rule, watch=watch)
    return watch.counts


def with_weights(conv: nn.Conv2d, weights: Tensor) -> nn.Conv2d:
    with torch.no_grad():
        conv.weight.copy_(weights.reshape(conv.weight.shape))
    return conv


def pooled(weights: list[float]) -> nn.Sequential:
    """Windows of 2×2 pixels, their maxima rectified, and four of those weighed."""
    return nn.Sequential(
        nn.MaxPool2d(2), nn.ReLU(), with_weights(nn.Conv2d(1, 1, 2, bias=False), torch.tensor(weights))
    )


@settings(max_examples=25, deadline=None)
@given(weights=st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=4, max_size=4).filter(any))
def test_switches_used_are_those_that_move_the_picture(weights: list[float]) -> None:
    image = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    model = pooled(weights)
    (found,) = counted(model, image, "2", [Pick(0, 0, (0, 0))], "deconvnet")
    before = project(model, image, "2", 0, (0, 0)).image
    moving = 0
    for y in (0, 2):
        for x in (0, 2):
            moved = image.clone()
            moved[..., y : y + 2, x : x + 2] = image[..., y : y + 2, x : x + 2].flip(-1, -2)
            moving += not torch.equal(project(model, moved, "2", 0, (0, 0)).image, before)
    assert found.switches_used == moving == sum(weight > 0 for weight in weights)
    assert found.switches == found.gates == sum(weight != 0 for weight in weights)
    assert found.gates_used == found.gates_changed == 0


@pytest.mark.parametrize(("rule", "used"), [("deconvnet", 0), ("guided", 2), ("gradient", 3)])
def test_gates_count_under_the_rules_that_ask_for_them(rule: str, used: int) -> None:
    image = torch.tensor([[[1.0, -1.0], [-2.0, 5.0]]])[None]
    model = nn.Sequential(nn.ReLU(), with_weights(nn.Conv2d(1, 1, 2, bias=False), torch.tensor([3.0, 1.0, -1.0, 0.0])))
    (found,) = counted(model, image, "1", [Pick(0, 0, (0, 0))], rule)
    # The gate of −2 meets the weight −1, which only the gradient lets pass; that of 5 meets nothing.
    assert found == GateCounts(gates=3, gates_used=used, gates_changed={0: 0, 2: 1, 3: 2}[used])


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    ceil_mode=st.booleans(),
    padded=st.booleans(),
    size=st.integers(8, 10),
    data=st.data(),
)
def test_cone_holds_all_cells_of_the_windows(
    kernel: int, stride: int, dilation: int, ceil_mode: bool, padded: bool, size: int, data: st.DataObject
) -> None:
    padding = kernel // 2 if padded else 0
    model = nn.Sequential(
        nn.ReLU(), nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode), nn.Conv2d(1, 1, 2)
    )
    image = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1))
    long = nn.Sequential(*model)(image).shape[-1]
    y, x = data.draw(st.tuples(st.integers(0, long - 1), st.integers(0, long - 1)))
    (found,) = counted(model, image, "2", [Pick(0, 0, (y, x))], "gradient")

    def reached(first: int) -> set[int]:
        cells = {out * stride - padding + dilation * tap for out in (first, first + 1) for tap in range(kernel)}
        return cells & set(range(size))

    assert found.gates == len(reached(y)) * len(reached(x))
    assert found.switches == found.switches_used == (4 if kernel > 1 else 0)


def test_paths_that_cancel_are_in_the_cone_all_the_same() -> None:
    laplace = with_weights(nn.Conv2d(1, 1, 3, bias=False), torch.tensor([0.0, 1, 0, 1, -4, 1, 0, 1, 0]))
    ones = with_weights(nn.Conv2d(1, 1, 3, bias=False), torch.ones(9))
    model = nn.Sequential(nn.ReLU(), laplace, nn.ReLU(), ones)
    (found,) = counted(model, torch.ones(1, 1, 5, 5), "3", [Pick(0, 0, (0, 0))], "guided")
    # All of 3×3, and of 5×5 all but the corners.
    assert found.gates == 9 + 21


def test_picks_of_a_batch_are_counted_each_by_itself() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(3, 4, 3, padding=1))
    images = torch.rand(3, 1, 20, 20)
    picks = [Pick(n % 3, n % 4, (n, 2 * n % 9)) for n in range(9)]
    together = counted(model, images, "3", picks, "guided")
    assert together == [counted(model, images, "3", [pick], "guided")[0] for pick in picks]
    assert len(set(together)) > 3


def test_sum_is_that_of_every_part() -> None:
    assert sum([GateCounts(1, 2, 3, 4, 5), GateCounts(10, 20, 30, 40, 50)], GateCounts()) == GateCounts(
        11, 22, 33, 44, 55
    )
    assert GateCounts(1, 2, 3, 4, 5).used == 6
