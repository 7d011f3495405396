"""Working sizes: what is said to work runs, what is not said fails, and any size runs padded and cropped."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc
from unconv.errors import ModelError
from unconv.network import WorkingSizes

POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


class UNet(nn.Module):
    """So many levels, each halved by a pooling and doubled by a transposed convolution, and joined by sums."""

    def __init__(self, axes: int, levels: int, pool: Any = 2) -> None:
        super().__init__()
        convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
        transposed = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[axes]
        self.enter = convolution(1, 2, 3, padding=1)
        self.pool = POOL[axes](pool)
        self.up = transposed(2, 2, pool, stride=pool)
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        skips, x = [], self.enter(x)
        for _ in range(self.levels):
            skips.append(x)
            x = self.pool(x)
        for skip in reversed(skips):
            x = self.up(x) + skip
        return x


class Unpadded(nn.Module):
    """A U-Net without padding, as Ronneberger, Fischer & Brox drew it, that refuses skips it cannot crop evenly."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 3)
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for _ in range(self.levels):
            skips.append(self.convolution(self.convolution(x)))
            if any(size % 2 for size in skips[-1].shape[2:]):
                raise ValueError("an odd size cannot be halved")
            x = F.max_pool2d(skips[-1], 2)
        x = self.convolution(self.convolution(x))
        for skip in reversed(skips):
            x = F.interpolate(x, scale_factor=2)
            top, left = ((a - b) // 2 for a, b in zip(skip.shape[2:], x.shape[2:], strict=True))
            x = torch.cat([x, skip[..., top : top + x.shape[2], left : left + x.shape[3]]], 1).mean(1, keepdim=True)
            x = self.convolution(self.convolution(x))
        return x


class Windows(nn.Module):
    """Means of windows of 7×7, by a view."""

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, rows, columns = x.shape
        return x.view(batch, channels, rows // 7, 7, columns // 7, 7).mean((3, 5))


class Pair(nn.Module):
    """Two inputs that have to be alike."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.pixel_unshuffle(x, 4) + F.pixel_unshuffle(y, 4)


class Apart(nn.Module):
    """Two inputs that have nothing to do with each other's sizes."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.pixel_unshuffle(x, 2) * y.mean((2, 3), keepdim=True)


class Square(nn.Module):
    """A Gram matrix added to its picture."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ x.transpose(-1, -2) + x


def sixths(x: Tensor) -> Tensor:
    return F.interpolate(F.max_pool1d(F.max_pool1d(x, 3), 2), scale_factor=6) + x


class Sixths(nn.Module):
    forward = staticmethod(sixths)


CASES: dict[str, tuple[Callable[[], nn.Module], list[tuple[int, ...]], str]] = {
    "signal": (lambda: UNet(1, 3), [(1, 33)], "length 8n"),
    "picture": (lambda: UNet(2, 3), [(1, 33, 48)], "rows 8n, columns 8n"),
    "volume": (lambda: UNet(3, 2, (1, 2, 2)), [(1, 5, 12, 16)], "depth any, rows 4n, columns 4n"),
    "volume, unlike": (lambda: UNet(3, 1, (2, 8, 3)), [(1, 6, 16, 9)], "depth 2n, rows 8n, columns 3n"),
    "unpadded, 3 levels": (lambda: Unpadded(3), [(1, 100, 108)], "rows 92 + 8n, columns 92 + 8n"),
    "unpadded, not given": (lambda: Unpadded(1), [(1, 21, 21)], "rows 2n from 18 on, columns 2n from 18 on"),
    "windows by view": (Windows, [(1, 14, 28)], "rows 7n, columns 7n"),
    "thirds and halves": (Sixths, [(1, 36)], "length 6n"),
    "pair": (Pair, [(1, 16, 20), (1, 16, 20)], "rows of all inputs 4n, columns of all inputs 4n"),
    "square": (Square, [(1, 8, 8)], "rows and columns together any"),
    "fixed": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Flatten(), nn.Linear(2 * 15 * 15, 4)),
        [(1, 32, 32)],
        "rows 31 or 32 only, columns 31 or 32 only",
    ),
    "any": (lambda: nn.Conv2d(1, 4, 7, padding=1), [(1, 32, 32)], "rows n from 5 on, columns n from 5 on"),
    "features": (lambda: nn.Linear(10, 4), [(10,)], "no axes but channels"),
}


@cache
def found_of(name: str) -> tuple[nn.Module, WorkingSizes]:
    make, sizes, _ = CASES[name]
    model = make()
    return model, uc.working_sizes(model, sizes, seconds=100.0)


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_to_work_runs_and_nothing_else(name: str) -> None:
    model, found = found_of(name)
    assert found.told == CASES[name][2]
    assert found.complete
    draw = random.Random(0)
    for _ in range(12):
        tried = [list(size) for size in found.sizes]
        for axis in found.axes:
            side = draw.randrange(1, 2 * axis.starts[0] + 20)
            for given, place in axis.places:
                tried[given][1 + place] = side
        inputs = [torch.zeros(1, *size) for size in tried]
        if found.takes(tuple(map(tuple, tried))):
            model(*inputs)
        else:
            with pytest.raises((RuntimeError, ValueError)):
                model(*inputs)


def test_inputs_that_change_by_themselves_are_told_apart() -> None:
    found = uc.working_sizes(Apart(), [(1, 8, 8), (1, 8, 8)])
    assert found.told == "rows of input 1 2n, rows of input 2 any, columns of input 1 2n, columns of input 2 any"


@pytest.mark.parametrize("name", [name for name in CASES if name != "features"])
@pytest.mark.parametrize("more", [0, 1, 3])
def test_any_size_runs_padded_and_cropped(name: str, more: int) -> None:
    model, found = found_of(name)
    names: dict[str, Any] = {}
    exec(found.code, names)
    inputs = [torch.rand(2, size[0], *(side + 2 * more for side in size[1:])) for size in found.sizes]
    output = names["any_size"](model, *inputs)
    if name in ("signal", "picture", "volume", "volume, unlike", "thirds and halves"):
        assert output.shape[2:] == inputs[0].shape[2:]
    if found.takes(tuple(tuple(one.shape[1:]) for one in inputs)):
        torch.testing.assert_close(output, model(*inputs))


def test_what_the_code_returns_for_a_padded_picture_is_the_models_own() -> None:
    model = nn.Sequential(nn.PixelUnshuffle(4), nn.PixelShuffle(4))
    names: dict[str, Any] = {}
    exec(uc.working_sizes(model, (1, 16, 16)).code, names)
    x = torch.rand(1, 1, 13, 18)
    assert torch.equal(names["any_size"](model, x), x)


def test_the_result_is_plain_data_and_a_table() -> None:
    found = uc.working_sizes(UNet(2, 2), (1, 16, 16))
    assert list(found.to_dataframe().sizes) == ["4n", "4n"]
    assert found.to_dict()["axes"][0] == {"axis": "rows", "sizes": "4n", "multiple": 4, "starts": [4]}
    assert found.to_dict()["complete"]
    assert "rows     4n" in repr(found)


def test_what_is_not_tried_is_not_known() -> None:
    found = uc.working_sizes(UNet(2, 2), (1, 16, 16), seconds=0.0)
    assert not found.complete
    assert found.told == "rows not known, columns not known"
    assert not found.takes(((1, 16, 16),))
    assert "time was up" in repr(found)


def test_where_nothing_works_a_line_says_so() -> None:
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
            raise RuntimeError("never")

    with pytest.raises(ModelError, match=r"^working sizes: none is found near 1×8×8; .*never") as refusal:
        uc.working_sizes(Fails(), (1, 8, 8), seconds=1.0)
    assert "\n" not in str(refusal.value)


def test_whole_numbers_stay_such() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return F.avg_pool1d(self.embed(x).squeeze(1).transpose(1, 2), 2)

    assert uc.working_sizes(Tokens(), torch.zeros(1, 1, 9, dtype=torch.int64)).told == "length n from 2 on"
