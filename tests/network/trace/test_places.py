"""Cells that move: unpooling, shuffles by view and permute, sampling and folding have right fields, or a word."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from unconv.network.trace.trace import trace
from unconv.network.windows import windows_of

sys.path.insert(0, str(Path(__file__).parent))
from connections import boxes, positive, probes


class Unpools(nn.Module):
    def __init__(self, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool1d(kernel, stride, padding, return_indices=True)
        self.unpool = nn.MaxUnpool1d(kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        values, switches = self.pool(x)
        out: Tensor = self.unpool(values * 2, switches, output_size=x.shape[2:])
        return out


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(4, 8))
def test_an_unpooled_unit_sees_the_windows_that_it_may_come_from(
    kernel: int, stride: int, padding: int, size: int
) -> None:
    if padding > kernel // 2 or kernel == stride == 1:
        return
    model = Unpools(kernel, stride, padding)
    graph = trace(model, (1, size))
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((400, 1, size), generator=generator)
    reached = torch.zeros(size, size, dtype=torch.bool)
    for cell in range(size):
        other = x.clone()
        other[:, :, cell] = torch.rand((400, 1), generator=generator) * 2 - 0.5
        reached[cell] = (model(x) != model(other)).any(0)[0]
    for unit in range(size):
        cells = reached[:, unit].nonzero().flatten().tolist()
        ((start, stop),) = graph.field_box("unpool", (unit,))
        assert all(start <= cell < stop for cell in cells)
        # Where windows overlap, whichever of them writes to a unit here writes the same.
        if stride >= kernel:
            assert stop - start == len(cells)
    assert graph["unpool"].exact


def test_switches_from_elsewhere_are_not_followed() -> None:
    class Given(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.max_unpool2d(x, torch.zeros(1, 1, 4, 4, dtype=torch.int64), 2)

    (layer,) = trace(Given(), (1, 4, 4)).layers
    assert not layer.exact
    assert "depends on values" in layer.note


def shuffle(x: Tensor, r: int = 2) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, c // r**2, r, r, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, c // r**2, h * r, w * r)


def shuffle_in_six(x: Tensor, r: int = 2) -> Tensor:
    b, c, h, w = x.shape
    rows = x.unflatten(1, (c // r**2, r, r)).transpose(2, 4).transpose(3, 4).transpose(4, 5)
    return rows.reshape(b, c // r**2, h * r, w * r)


def unshuffle(x: Tensor, r: int = 2) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, c, h // r, r, w // r, r).permute(0, 1, 3, 5, 2, 4).reshape(b, c * r**2, h // r, w // r)


class Moves(nn.Module):
    """Moves cells between a convolution before and one after."""

    def __init__(self, move: Callable[[Tensor, int], Tensor], middle: int, after: int) -> None:
        super().__init__()
        self.move = move
        self.before, self.after = nn.Conv2d(2, middle, 3, padding=1), nn.Conv2d(after, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.after(self.move(self.before(x), 2).relu())
        return out


@pytest.mark.parametrize(("move", "channels"), [(shuffle, (8, 2)), (shuffle_in_six, (8, 2)), (unshuffle, (2, 8))])
def test_shuffles_by_view_and_permute_are_followed(
    move: Callable[[Tensor, int], Tensor], channels: tuple[int, int]
) -> None:
    size = (6, 8)
    model = positive(Moves(move, *channels))
    graph = trace(model, (2, *size))
    assert all(layer.exact for layer in graph)
    for unit, box in boxes(model(probes(2, size)), size).items():
        assert graph.field_box("after", unit) == box
    named = F.pixel_unshuffle if move is unshuffle else F.pixel_shuffle
    other = trace(Moves(named, *channels), (2, *size))
    assert graph["after"].receptive_field == other["after"].receptive_field
    assert windows_of(graph, "after").size == windows_of(other, "after").size


def test_a_shuffled_map_has_the_units_that_it_shows() -> None:
    graph = trace(nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), Shuffled()), (2, 6, 8))
    assert graph["1"].output_shape == (2, 12, 16)
    assert graph.field_box("1", (11, 15)) == graph.field_box("0", (5, 7))


class Shuffled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return shuffle(x).relu()


class Samples(nn.Module):
    """Samples a map where it, or a constant, says."""

    def __init__(self, learned: bool) -> None:
        super().__init__()
        self.places = nn.Conv2d(2, 2, 3, padding=1) if learned else None

    def forward(self, x: Tensor) -> Tensor:
        whole = F.affine_grid(torch.eye(2, 3)[None], (1, 2, 6, 8), align_corners=False)
        grid = whole if self.places is None else self.places(x).permute(0, 2, 3, 1)
        return F.grid_sample(x, grid, align_corners=False)


@pytest.mark.parametrize("learned", [False, True])
def test_sampling_says_that_its_places_are_not_followed(learned: bool) -> None:
    layer = trace(Samples(learned), (2, 6, 8)).layers[-1]
    assert layer.receptive_field.covers_everything
    assert not layer.exact
    assert "where its grid says" in layer.note
    assert layer.counted


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.integers(5, 7))
def test_folded_units_see_no_more_than_is_said(kernel: int, stride: int, padding: int, size: int) -> None:
    class Folds(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            columns = F.unfold(x, kernel, padding=padding, stride=stride)
            mixed = columns.sum(1, keepdim=True).expand_as(columns)
            return F.fold(mixed, (size, size), kernel, padding=padding, stride=stride)

    graph = trace(Folds(), (1, size, size))
    for unit, box in boxes(Folds()(probes(1, (size, size))), (size, size)).items():
        assert graph.field_box("fold", unit) == box
    assert graph["fold"].exact == (kernel == stride == 1)
