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


class Turned(nn.Module):
    """A network of (channels, *places) that takes its input in another order, and may return it in that."""

    def __init__(self, inner: nn.Module, order: tuple[int, ...], back: bool) -> None:
        super().__init__()
        self.inner, self.order, self.back = inner, order, back

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x.permute(0, *(1 + n for n in self.order)))
        return y.permute(0, *(1 + self.order.index(n) for n in range(len(self.order)))) if self.back else y


class Waveform(nn.Module):
    """Halves a signal without channels, and doubles it; without ``whole`` it is left halved."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.halve, self.up, self.whole = nn.Conv1d(1, 2, 2, stride=2), nn.ConvTranspose1d(2, 1, 2, stride=2), whole

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.halve(x[:, None]))
        return (y + x[:, None])[:, 0] if self.whole else self.halve(y + x[:, None])


class Spectrogram(nn.Module):
    """Reads (frames, bands) as a picture, and returns a row for each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.halve, self.up = nn.Conv2d(1, 2, (2, 5), stride=(2, 1)), nn.ConvTranspose1d(32, 8, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.halve(x[:, None]).transpose(1, 2).flatten(2).transpose(1, 2)
        return x[..., :8] + self.up(y).transpose(1, 2)


class Unlike(nn.Module):
    """Two inputs that have to be alike, the second with its channels last."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.pixel_unshuffle(x, 2) + F.pixel_unshuffle(y.permute(0, 3, 1, 2), 2)


# The model, its inputs, what their axes are, what works, and the dimensions of the output that are as long.
ORDERS: dict[str, tuple[Callable[[], nn.Module], list[tuple[int, ...]], str, str, dict[int, int]]] = {
    "channels last": (
        lambda: Turned(UNet(2, 1, (2, 4)), (2, 0, 1), back=True),
        [(13, 18, 1)],
        "h w c",
        "h 2n, w 4n",
        {1: 1, 2: 2},
    ),
    "channels last, then first": (
        lambda: Turned(UNet(2, 1, (2, 4)), (2, 0, 1), back=False),
        [(13, 18, 1)],
        "HWC",
        "h 2n, w 4n",
        {2: 1, 3: 2},
    ),
    "columns first, then last": (
        lambda: Turned(UNet(2, 1, (2, 4)), (2, 1, 0), back=False),
        [(18, 13, 1)],
        "w h c",
        "w 4n, h 2n",
        {2: 2, 3: 1},
    ),
    "volume": (
        lambda: Turned(UNet(3, 1, (1, 2, 3)), (3, 0, 1, 2), back=True),
        [(5, 6, 8, 1)],
        "d h w c",
        "d any, h 2n, w 3n",
        {1: 1, 2: 2, 3: 3},
    ),
    "waveform": (lambda: Waveform(whole=True), [(99,)], "t", "t 2n", {1: 1}),
    "frames": (lambda: Turned(UNet(1, 2), (1, 0), back=True), [(33, 1)], "time features", "time 4n", {1: 1}),
    "frames of a picture": (Spectrogram, [(11, 20)], "t c", "t 2n", {1: 1}),
    "two orders": (Unlike, [(1, 6, 8), (6, 8, 1)], "c h w, h w c", "h of all inputs 2n, w of all inputs 2n", {}),
}


@pytest.mark.parametrize("name", ORDERS)
def test_sizes_are_told_along_the_axes_that_are_places(name: str) -> None:
    make, sizes, axes, told, dims = ORDERS[name]
    model = make()
    found = uc.working_sizes(model, sizes, axes=axes, seconds=100.0)
    assert found.told == told
    assert found.complete
    names: dict[str, Any] = {}
    exec(found.code, names)
    places = [axes.places for axes in found.order]
    for more in (0, 1, 2, 3):
        tried = [
            tuple(side + more if n in own else side for n, side in enumerate(size))
            for size, own in zip(sizes, places, strict=True)
        ]
        inputs = [torch.rand(2, *size) for size in tried]
        output = names["any_size"](model, *inputs)
        assert all(output.shape[out] == inputs[0].shape[dim] for out, dim in dims.items())
        if found.takes(tuple(tried)):
            torch.testing.assert_close(output, model(*inputs))
        else:
            with pytest.raises(RuntimeError):
                model(*inputs)


def test_an_output_is_cropped_by_what_belongs_to_the_input() -> None:
    found = uc.working_sizes(Waveform(whole=False), (98,), axes="t")
    names: dict[str, Any] = {}
    exec(found.code, names)
    assert names["any_size"](Waveform(whole=False), torch.rand(1, 97)).shape == (1, 2, 49)


def test_axes_that_are_fixed_are_resized_where_they_are() -> None:
    model = Turned(nn.Sequential(nn.Conv2d(3, 2, 4, stride=4), nn.Flatten(), nn.Linear(2 * 4 * 2, 4)), (2, 0, 1), False)
    found = uc.working_sizes(model, (16, 8, 3), axes="h w c")
    assert found.told == "h 16 or 17 or 18 or 19 only, w 8 or 9 or 10 or 11 only"
    names: dict[str, Any] = {}
    exec(found.code, names)
    x = torch.rand(2, 31, 30, 3)
    smaller = F.interpolate(x.permute(0, 3, 1, 2), size=(16, 8)).permute(0, 2, 3, 1)
    torch.testing.assert_close(names["any_size"](model, x), model(smaller))


def test_whole_numbers_are_padded_by_their_last() -> None:
    class Pairs(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.unflatten(1, (-1, 2)).flatten(1)

    names: dict[str, Any] = {}
    exec(uc.working_sizes(Pairs(), torch.zeros(8, dtype=torch.int64), axes="t").code, names)
    x = torch.arange(5)[None]
    assert torch.equal(names["any_size"](lambda y: y + 0, x), x)
    seen: list[Tensor] = []
    names["any_size"](lambda y: [seen.append(y), y][1], x)
    assert seen[0].tolist() == [[0, 1, 2, 3, 4, 4]]
