"""Every rule of the audit: faults that were planted are found, and near-misses are not reported."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unconv.network.audit.audit import audit
from unconv.network.audit.audit_rules import AUDIT_RULES
from unconv.operators.checkerboard import equalised

Size = tuple[int, ...]
Case = tuple[Callable[[], nn.Module], Size, str]


def even(layer: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    with torch.no_grad():
        layer.weight.copy_(equalised(layer.weight, layer.stride))
    return layer


def alike(layer: nn.Conv2d) -> nn.Conv2d:
    """All of its output channels are the same."""
    with torch.no_grad():
        layer.weight.copy_(layer.weight[:1].expand_as(layer.weight))
        layer.bias.fill_(1.0)  # type: ignore[union-attr]
    return layer


def opposed(layer: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    """Two input channels whose patterns cancel each other."""
    with torch.no_grad():
        layer.weight[1] = layer.weight[0].mean((1, 2), keepdim=True) * 2 - layer.weight[0]
    return layer


def icnr(out: int, factor: int) -> nn.Conv2d:
    layer = nn.Conv2d(3, out * factor**2, 3, padding=1)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(out, 3, 3, 3).repeat_interleave(factor**2, 0))
    return layer


class Decoder(nn.Module):
    """One step down, one up, and a skip connection that is added or concatenated."""

    def __init__(self, up: nn.Module, join: str = "add", down: nn.Module | None = None) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 8, 3, padding=1)
        self.down = down or nn.MaxPool2d(2)
        self.up = up
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        skip = self.enter(x)
        up = self.up(self.down(skip))
        return up + skip if self.join == "add" else torch.cat([up, skip], 1)


class Meets(Decoder):
    def forward(self, x: Tensor) -> Tensor:
        skip = self.enter(x)
        return F.interpolate(self.down(skip), size=skip.shape[2:]) + skip


class Forgotten(nn.Module):
    """Has parts that it does not use, or whose outputs it does not use."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.body = nn.Conv2d(3, 8, 3)
        self.side = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> object:
        y = self.body(x)
        if self.kind == "never called":
            return y
        side = self.side(y)
        if self.kind == "output dropped":
            return y.relu()
        if self.kind == "dropped in part":
            torch.sigmoid(side)
            return y + side
        if self.kind == "sum":
            return y + side.mean()
        return {"main": y, "side": [side]} if self.kind == "dict" else (y, side)


def shallow(layers: int, size: int) -> tuple[nn.Module, Size]:
    convolutions = [nn.Conv2d(3 if not n else 8, 8, 3, padding=1) for n in range(layers)]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)), (3, size, size)


def narrow(stride: int, count: int) -> nn.Module:
    """A network whose field grows with its strides."""
    layers = [nn.Conv2d(3 if not n else 4, 4, 3, stride=stride, padding=1) for n in range(count)]
    return nn.Sequential(*layers, nn.Conv2d(4, 4, 5, padding=2), nn.AdaptiveAvgPool2d(1))


UP = nn.ConvTranspose2d
FAULTS: dict[str, list[Case]] = {
    "uneven-overlap": [
        (lambda: UP(3, 8, 3, stride=2), (3, 9, 9), ""),
        (lambda: nn.Sequential(UP(3, 8, 5, stride=(2, 1), padding=2), nn.Conv2d(8, 3, 3)), (3, 12, 9), "0"),
        (lambda: nn.ConvTranspose1d(3, 8, 5, stride=3), (3, 30), ""),
    ],
    "unequal-phases": [
        (lambda: UP(3, 8, 4, stride=2, padding=1), (3, 9, 9), ""),
        (lambda: nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2)), (3, 9, 12), "0"),
        (lambda: nn.ConvTranspose1d(3, 3, 8, stride=4), (3, 20), ""),
    ],
    "sizes-do-not-meet": [
        (lambda: Decoder(UP(8, 8, 2, stride=2)), (3, 45, 44), "up"),
        (lambda: Decoder(nn.Upsample(scale_factor=2), "cat"), (3, 32, 33), "up"),
        (lambda: Decoder(UP(8, 8, 3, stride=2, padding=1)), (3, 32, 32), "up"),
    ],
    "only-some-sizes": [
        (lambda: Decoder(UP(8, 8, 2, stride=2)), (3, 44, 44), "up"),
        (lambda: Decoder(nn.Upsample(scale_factor=4), "cat", nn.MaxPool2d(4)), (3, 32, 32), "up"),
    ],
    "misses-input": [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), UP(4, 3, 3, 2, 1), nn.ReLU()), (3, 28, 28), "1"),
        (lambda: nn.Sequential(nn.Conv1d(3, 4, 4, 2, 2), nn.ConvTranspose1d(4, 3, 3, 2, 1)), (3, 28), "1"),
        (lambda: nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2)), (3, 29, 28), "1"),
    ],
    "misses-multiple": [
        (lambda: nn.ConvTranspose1d(3, 4, 10, stride=5, padding=2), (3, 16), ""),
        (lambda: nn.Sequential(UP(3, 4, (3, 4), stride=2, padding=1), nn.Conv2d(4, 4, 3)), (3, 9, 9), "0"),
    ],
    "dropped-border": [
        (lambda: nn.Conv2d(3, 4, 2, stride=2), (3, 9, 8), ""),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)), (3, 8, 15), "1"),
        (lambda: nn.Conv2d(3, 4, 4, stride=4), (3, 30, 32), ""),
        (lambda: nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(3, 4, 4, stride=4)), (3, 32, 32), "1"),
    ],
    "skipped-cells": [
        (lambda: nn.Conv2d(3, 4, 1, stride=2), (3, 8, 8), ""),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AvgPool2d(2, 3)), (3, 11, 11), "1"),
    ],
    "idle-taps": [
        (lambda: nn.Conv2d(3, 4, 3, padding=36, dilation=36), (3, 28, 28), ""),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=8, padding=1), nn.Conv2d(4, 4, 3, padding=1)), (3, 8, 8), "1"),
    ],
    "only-padding": [
        (lambda: nn.Conv2d(3, 4, 3, padding=3), (3, 12, 12), ""),
        (lambda: nn.Conv2d(3, 4, 1, padding=1), (3, 12, 12), ""),
        (lambda: nn.Sequential(nn.ZeroPad2d(4), nn.ReLU(), nn.Conv2d(3, 4, 3)), (3, 12, 12), "2"),
        (lambda: nn.Sequential(nn.ConstantPad2d(2, 0.5), nn.Conv2d(3, 4, 3, padding=1)), (3, 12, 12), "1"),
    ],
    "small-field": [
        (lambda: shallow(3, 64)[0], (3, 64, 64), "2"),
        (lambda: narrow(2, 2), (3, 96, 96), "2"),
    ],
    "large-field": [
        (lambda: narrow(2, 6), (3, 32, 32), "6"),
        (
            lambda: nn.Sequential(*(nn.Conv2d(3, 3, 9, padding=4) for _ in range(21)), nn.AdaptiveAvgPool2d(1)),
            (3, 16, 16),
            "20",
        ),
    ],
    "dead-end": [
        (lambda: Forgotten("output dropped"), (3, 12, 12), "side"),
        (lambda: Forgotten("dropped in part"), (3, 12, 12), "sigmoid"),
    ],
    "unused-parameters": [
        (lambda: Forgotten("never called"), (3, 12, 12), "side"),
        (lambda: nn.ModuleDict({"a": nn.Conv2d(3, 3, 1)}) and Unused(), (3, 12, 12), "scale"),
    ],
    "same-differs": [
        (lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 32, 32), ""),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(3, 2, padding=1)), (3, 12, 12), "1"),
        (lambda: UP(3, 4, 3, stride=2, padding=1, output_padding=1), (3, 12, 12), ""),
        (lambda: nn.ConvTranspose1d(3, 4, 10, stride=5, padding=3, output_padding=1), (3, 12), ""),
    ],
}


class Attentive(nn.Module):
    """Patches, attention among all of them, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        mixed: Tensor = self.mix(tokens, tokens, tokens, need_weights=False)[0]
        return mixed.transpose(1, 2).unflatten(2, (8, 8)).mean((2, 3))


class Unused(nn.Module):
    """A parameter of its own that the pass leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


NEAR: dict[str, list[tuple[Callable[[], nn.Module], Size]]] = {
    "uneven-overlap": [
        (lambda: UP(3, 8, 3, stride=1), (3, 9, 9)),
        (lambda: UP(3, 8, 4, stride=2, padding=1), (3, 9, 9)),
        (lambda: even(UP(3, 8, 3, stride=2)), (3, 9, 9)),
        (lambda: UP(3, 8, (2, 3), stride=(2, 1)), (3, 9, 9)),
    ],
    "unequal-phases": [
        (lambda: even(UP(3, 8, 4, stride=2, padding=1)), (3, 9, 9)),
        # Each channel makes a pattern, and all of them together none.
        (lambda: nn.Sequential(alike(nn.Conv2d(3, 2, 1)), opposed(UP(2, 4, 2, stride=2))), (3, 9, 9)),
        (lambda: nn.Sequential(icnr(4, 2), nn.PixelShuffle(2)), (3, 9, 9)),
        (lambda: UP(3, 8, 3, stride=1), (3, 9, 9)),
    ],
    "sizes-do-not-meet": [
        (lambda: Decoder(UP(8, 8, 2, stride=2)), (3, 44, 44)),
        (lambda: Meets(nn.Identity()), (3, 45, 45)),
    ],
    "only-some-sizes": [
        (lambda: Meets(nn.Identity()), (3, 44, 44)),
        (lambda: Decoder(UP(8, 8, 3, padding=1), "cat", nn.Identity()), (3, 32, 32)),
    ],
    "misses-input": [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), UP(4, 3, 3, 2, 1, 1)), (3, 28, 28)),
        (lambda: nn.Conv2d(3, 4, 2), (3, 28, 28)),
        (lambda: UP(3, 4, 2, stride=2), (3, 8, 8)),
    ],
    "misses-multiple": [
        # Comes to the size from which it came down.
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), UP(4, 3, 3, 2, 1)), (3, 33, 33)),
        (lambda: UP(3, 4, 64, stride=32), (3, 4, 4)),
        (lambda: UP(3, 4, 5), (3, 4, 4)),
    ],
    "dropped-border": [
        (lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 8, 8)),
        (lambda: nn.MaxPool2d(2, ceil_mode=True), (3, 9, 9)),
        (lambda: nn.Conv2d(3, 4, 2, stride=2), (3, 8, 8)),
        (lambda: nn.Conv2d(3, 4, 1, stride=2), (3, 8, 8)),
    ],
    "skipped-cells": [
        (lambda: nn.Conv2d(3, 4, 1), (3, 8, 8)),
        (lambda: nn.Conv2d(3, 4, 2, stride=2), (3, 8, 8)),
        (lambda: nn.Conv2d(3, 4, 2, dilation=2), (3, 8, 8)),
    ],
    "idle-taps": [
        (lambda: nn.Conv2d(3, 4, 3, padding=24, dilation=24), (3, 28, 28)),
        (lambda: nn.Conv2d(3, 4, 3, padding=1), (3, 2, 2)),
    ],
    "only-padding": [
        (lambda: nn.Conv2d(3, 4, 3, padding=2), (3, 12, 12)),
        (lambda: nn.MaxPool2d(3, 2, padding=1), (3, 12, 12)),
        (lambda: nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(3, 4, 3)), (3, 12, 12)),
        (lambda: nn.Sequential(nn.ZeroPad2d(2), nn.Conv2d(3, 4, 3)), (3, 12, 12)),
    ],
    "small-field": [
        (lambda: shallow(3, 6)[0], (3, 6, 6)),
        # Attention, and no window, is what joins the patches.
        (lambda: Attentive(), (3, 32, 32)),
        (lambda: nn.Sequential(nn.Conv2d(3, 3, 3), nn.Flatten(), nn.Linear(3 * 30 * 30, 5)), (3, 32, 32)),
    ],
    "large-field": [
        (lambda: narrow(2, 4), (3, 32, 32)),
        (
            lambda: nn.Sequential(*(nn.Conv2d(3, 3, 9, padding=4) for _ in range(19)), nn.AdaptiveAvgPool2d(1)),
            (3, 16, 16),
        ),
    ],
    "dead-end": [
        (lambda: Forgotten("dict"), (3, 12, 12)),
        (lambda: Forgotten("tuple"), (3, 12, 12)),
        (lambda: Forgotten("sum"), (3, 12, 12)),
    ],
    "unused-parameters": [
        (lambda: Forgotten("dict"), (3, 12, 12)),
        (lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), (3, 12, 12)),
    ],
    "same-differs": [
        (lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 33, 33)),
        (lambda: nn.Conv2d(3, 4, 3, padding=1), (3, 32, 32)),
        (lambda: nn.Conv2d(3, 4, 3, stride=2), (3, 32, 32)),
        (lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, stride=2)), (3, 32, 32)),
        (lambda: UP(3, 4, 4, stride=2, padding=1), (3, 12, 12)),
        (lambda: UP(3, 4, 2, stride=3, output_padding=1), (3, 12, 12)),
        (lambda: UP(3, 4, 3, stride=2, padding=1), (3, 12, 12)),
    ],
}


@pytest.mark.parametrize(("rule", "number"), [(rule, n) for rule, cases in FAULTS.items() for n in range(len(cases))])
def test_planted_faults_are_found(rule: str, number: int) -> None:
    torch.manual_seed(0)
    make, size, layer = FAULTS[rule][number]
    found = [finding for finding in audit(make(), size).findings if finding.rule == rule]
    assert found, f"{rule} is not found"
    if layer:
        assert layer in {finding.layer for finding in found}
    for finding in found:
        assert "\n" not in finding.message
        assert finding.fix


@pytest.mark.parametrize(("rule", "number"), [(rule, n) for rule, cases in NEAR.items() for n in range(len(cases))])
def test_near_misses_are_not_reported(rule: str, number: int) -> None:
    torch.manual_seed(0)
    make, size = NEAR[rule][number]
    assert [finding.message for finding in audit(make(), size).findings if finding.rule == rule] == []


def test_every_rule_has_cases() -> None:
    assert set(FAULTS) | {"faster-form"} == set(AUDIT_RULES) == set(NEAR) | {"faster-form"}
    assert all(len(cases) >= 2 for cases in (*FAULTS.values(), *NEAR.values()))
