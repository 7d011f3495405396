"""Phases of shuffles, however these are written and whatever lies before them: scores are patterns that come out."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unconv.network.audit.audit import audit
from unconv.network.audit.finding import Finding
from unconv.operators.checkerboard import stride_pattern
from unconv.upsample.change.patch import patch

COUNTS = {"c": 3, "p": 2, "q": 2}


class Shuffled(nn.Module):
    """A convolution of one cell, something behind it, and a shuffle whose channels are in some order."""

    def __init__(self, order: str = "cpq", between: nn.Module | None = None, spelling: str = "views") -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 1)
        self.between = between or nn.Identity()
        self.order, self.spelling = order, spelling

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.between(self.conv(x))
        batch, _, rows, columns = y.shape
        sizes = [COUNTS[name] for name in self.order]
        if self.spelling == "pixel_shuffle":
            return F.pixel_shuffle(y, 2)
        if self.spelling == "channels last":
            blocks = y.permute(0, 2, 3, 1).reshape(batch, rows, columns, *sizes)
            put = torch.einsum(f"bhw{self.order}->bhpwqc", blocks)
            return put.reshape(batch, 2 * rows, 2 * columns, 3).permute(0, 3, 1, 2)
        dims = ["b", *self.order, "h", "w"]
        return (
            y.view(batch, *sizes, rows, columns)
            .permute([dims.index(name) for name in "bchpwq"])
            .flatten(4)
            .flatten(2, 3)
        )

    def alike(self) -> Shuffled:
        """The same kernel in all phases: ICNR, of this order."""
        sizes = [COUNTS[name] if name == "c" else 1 for name in self.order]
        kernels = torch.randn(*sizes, 3, 1, 1).expand(*(COUNTS[name] for name in self.order), 3, 1, 1)
        self.conv.weight.data.copy_(kernels.reshape(12, 3, 1, 1))
        return self


class Patches(nn.Module):
    """A decoder's end as masked autoencoders have it: from tokens on a grid to patches of pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 48)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.head(self.patch(x).flatten(2).transpose(1, 2))
        side = int(tokens.shape[1] ** 0.5)
        blocks = tokens.reshape(len(x), side, side, 4, 4, 3)
        return torch.einsum("nhwpqc->nchpwq", blocks).reshape(len(x), 3, 4 * side, 4 * side)


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class Chosen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.1 * x)


class OverChannels(nn.Module):
    """A layer norm over channels, behind permutes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(12)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return y


class Gated(nn.Module):
    """A gate that is computed of all places."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(12, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))


class Residual(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + F.avg_pool2d(x, 3, 1, 1)


def drawn(layer: nn.Module) -> nn.Module:
    """With other numbers than those with which it starts."""
    for name, one in (*layer.named_parameters(), *layer.named_buffers()):
        if one.is_floating_point():
            one.data.copy_(0.5 + torch.rand_like(one) if name.endswith(("weight", "var")) else torch.randn_like(one))
    return layer


def phases_of(model: nn.Module, size: int = 8) -> list[Finding]:
    found = audit(model.eval(), (3, size, size), measure=False).findings
    return [one for one in found if one.rule == "unequal-phases"]


def score_of(finding: Finding) -> float:
    match = re.search(r"pattern score (\S+) behind a picture of ones", finding.message)
    assert match
    return float(match[1])


@pytest.mark.parametrize("spelling", ["views", "channels last"])
@pytest.mark.parametrize("order", ["".join(one) for one in permutations("cpq")])
def test_every_order_of_the_channels_is_read(order: str, spelling: str) -> None:
    torch.manual_seed(0)
    model = Shuffled(order, spelling=spelling)
    nn.init.zeros_(model.conv.bias)  # type: ignore[arg-type]
    (found,) = phases_of(model)
    with torch.no_grad():
        assert score_of(found) == pytest.approx(stride_pattern(model(torch.ones(1, 3, 8, 8)), 2), rel=0.06)
    assert found.layer == "conv"
    assert phases_of(Shuffled(order, spelling=spelling).alike()) == []


BETWEEN: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "slope": nn.PReLU,
    "swish by hand": Swish,
    "where": Chosen,
    "batch norm": lambda: nn.BatchNorm2d(12),
    "group norm": lambda: nn.GroupNorm(2, 12),
    "layer norm": OverChannels,
    "batch norm and relu": lambda: nn.Sequential(nn.BatchNorm2d(12), nn.ReLU(inplace=True)),
    "dropout": lambda: nn.Dropout2d(0.5),
    "hardswish": nn.Hardswish,
    "norm by hand": lambda: Calls(lambda x: x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt()),
    "root mean square": lambda: Calls(lambda x: F.rms_norm(x.permute(0, 2, 3, 1), (12,)).permute(0, 3, 1, 2)),
}


@pytest.mark.parametrize("spelling", ["views", "pixel_shuffle"])
@pytest.mark.parametrize("name", BETWEEN)
def test_what_lies_between_is_counted(name: str, spelling: str) -> None:
    torch.manual_seed(1)
    model = Shuffled(between=BETWEEN[name](), spelling=spelling)
    nn.init.zeros_(model.conv.bias)  # type: ignore[arg-type]
    (found,) = phases_of(model)
    with torch.no_grad():
        assert score_of(found) == pytest.approx(stride_pattern(model(torch.ones(1, 3, 8, 8)), 2), rel=0.06)
    # With the bias that torch draws.
    assert phases_of(Shuffled(between=BETWEEN[name](), spelling=spelling).alike()) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.BatchNorm2d(12),
        lambda: nn.InstanceNorm2d(12, affine=True),
        lambda: nn.GroupNorm(3, 12),
        OverChannels,
        lambda: nn.PReLU(12),
    ],
)
def test_norms_and_slopes_make_equal_phases_unequal(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = Shuffled(between=drawn(make())).alike()
    model.conv.weight.data.abs_().neg_()
    model.conv.bias.data.fill_(-0.1)  # type: ignore[union-attr]
    (found,) = phases_of(model)
    with torch.no_grad():
        assert score_of(found) == pytest.approx(stride_pattern(model(torch.ones(1, 3, 8, 8)), 2), rel=0.06)
    assert "of what lies between the same values in all phases" in found.fix


def test_what_a_norm_takes_out_is_not_found() -> None:
    torch.manual_seed(0)
    # Each channel has the mean 0 behind it.
    assert phases_of(Shuffled(between=nn.InstanceNorm2d(12))) == []
    assert phases_of(Shuffled(between=nn.InstanceNorm2d(12, affine=True), spelling="pixel_shuffle")) == []
    by_hand = Calls(lambda x: x - x.mean((2, 3), keepdim=True))
    assert phases_of(Shuffled(between=by_hand)) == []
    # Of equal kernels, whatever the bias: running means have seen that.
    model = Shuffled(between=nn.BatchNorm2d(12, momentum=1.0)).alike()
    model(torch.rand(64, 3, 8, 8))
    model.between.running_var.fill_(1.0)  # type: ignore[operator, union-attr]
    assert phases_of(model) == []


@pytest.mark.parametrize("make", [Gated, Residual])
def test_nothing_is_said_where_it_is_not_known(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    assert phases_of(Shuffled(between=make())) == []
    assert phases_of(Shuffled(between=make(), spelling="pixel_shuffle")) == []


def test_patches_on_a_known_grid_are_phases() -> None:
    torch.manual_seed(0)
    model = Patches()
    nn.init.zeros_(model.head.bias)
    (found,) = phases_of(model, 16)
    assert found.layer == "head"
    assert "makes the 16 phases" in found.message
    with torch.no_grad():
        assert score_of(found) == pytest.approx(stride_pattern(model(torch.ones(1, 3, 16, 16)), 4), rel=0.06)
    exec(found.fix, {"model": model})
    assert phases_of(model, 16) == []


def test_views_that_are_no_shuffles_are_not_found() -> None:
    class Repeated(nn.Module):
        """Resizes to the nearest by a view."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)
            return y.reshape(len(x), 4, 2 * x.shape[2], 2 * x.shape[3])

    torch.manual_seed(0)
    assert phases_of(Repeated()) == []
    assert phases_of(nn.Sequential(nn.Conv2d(3, 12, 1), nn.Flatten(), nn.Linear(12 * 64, 4))) == []
    assert phases_of(nn.Sequential(nn.Conv2d(3, 12, 1), nn.ChannelShuffle(3), nn.ReLU())) == []
    assert phases_of(nn.Sequential(nn.Conv2d(3, 12, 8), nn.PReLU(), nn.PixelShuffle(2))) == []


def along_rows(y: Tensor) -> Tensor:
    return y.view(len(y), 4, 2, *y.shape[2:]).permute(0, 1, 3, 2, 4).reshape(len(y), 4, 2 * y.shape[2], y.shape[3])


def of_signals(y: Tensor) -> Tensor:
    return y.view(len(y), 4, 2, -1).permute(0, 1, 3, 2).reshape(len(y), 4, -1)


def of_volumes(y: Tensor) -> Tensor:
    blocks = y.view(len(y), 1, 2, 2, 2, *y.shape[2:]).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return blocks.flatten(6).flatten(4, 5).flatten(2, 3)


def stacked(y: Tensor) -> Tensor:
    rows = [torch.stack([y[:, 2 * n :: 4], y[:, 2 * n + 1 :: 4]], -1) for n in (0, 1)]
    return torch.stack(rows, 3).reshape(len(y), 2, 2 * y.shape[2], 2 * y.shape[3])


def of_frames(y: Tensor) -> Tensor:
    """The channels are two frames, each with two channels of four phases, in another order."""
    return F.pixel_shuffle(y.view(len(y), 4, 2, *y.shape[2:]).transpose(1, 2), 2).flatten(1, 2)


class Behind(nn.Module):
    def __init__(self, conv: nn.Module, shuffle: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.shuffle = conv, shuffle

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.conv(x).relu())


@pytest.mark.parametrize(
    ("conv", "shuffle", "phases"),
    [(nn.Conv1d, of_signals, 2), (nn.Conv2d, along_rows, 2), (nn.Conv2d, stacked, 4), (nn.Conv3d, of_volumes, 8)],
)
def test_any_number_of_axes_and_any_factor_is_read_and_mended(
    conv: Callable[[int, int, int], nn.Module], shuffle: Callable[[Tensor], Tensor], phases: int
) -> None:
    torch.manual_seed(0)
    model = Behind(layer := conv(3, 8, 1), shuffle)
    size = (3, *(4 for _ in range(layer.weight.ndim - 2)))  # type: ignore[operator, union-attr]
    found = audit(model, size, measure=False)
    (finding,) = (one for one in found.findings if one.rule == "unequal-phases")
    assert f"makes the {phases} phases of a pixel shuffle behind relu, which" in finding.message
    patched = patch(found)
    assert [one.finding.rule for one in patched.changes] == ["unequal-phases"]
    assert "unequal-phases" not in {one.rule for one in patched.audit.findings}


def test_views_before_a_pixel_shuffle_turn_the_order() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(conv := nn.Conv2d(3, 8, 1), Calls(of_frames))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    (found,) = phases_of(model)
    with torch.no_grad():
        assert score_of(found) == pytest.approx(stride_pattern(model(torch.ones(1, 3, 8, 8)), 2), rel=0.06)
    exec(found.fix, {"model": model})
    assert phases_of(model) == []


def test_fixes_mend_what_can_be_and_say_what_cannot() -> None:
    torch.manual_seed(0)
    mended = patch(audit(Shuffled(between=nn.BatchNorm2d(12)).eval(), (3, 8, 8), measure=False))
    assert [one.finding.rule for one in mended.changes] == ["unequal-phases"]
    assert phases_of(mended.model) == []
    norm = patch(audit(Shuffled(between=drawn(nn.BatchNorm2d(12))).eval(), (3, 8, 8), measure=False))
    assert norm.changes == ()
    assert norm.refused[0].reason == "the audit of the result finds it again"
    turned = patch(audit(Shuffled("pqc").eval(), (3, 8, 8), measure=False))
    assert turned.changes == ()
    assert turned.refused[0].reason.startswith("its phases do not lie side by side, as nn.PixelShuffle takes them")
    (found,) = phases_of(model := Shuffled("pqc"))
    exec(found.fix, {"model": model})
    assert phases_of(model) == []
