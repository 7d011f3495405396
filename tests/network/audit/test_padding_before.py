"""Padding before a layer counts as the layer's own to the border rules, however it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

import unconv as uc
from unconv.network.audit.audit import audit
from unconv.network.audit.finding import Finding
from unconv.operators.geometry.conv import ConvGeometry


class PadsBefore(nn.Module):
    """Pads by hand before a layer, in some way."""

    def __init__(self, pad: Callable[[Tensor], Tensor], layer: nn.Module) -> None:
        super().__init__()
        self.pad, self.layer = pad, layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(self.pad(x))
        return y


def put_into_zeros(x: Tensor) -> Tensor:
    wide = x.new_zeros(1, 3, x.shape[2] + 2, x.shape[3] + 2)
    wide[:, :, 1:-1, 1:-1] = x
    return wide


def beside_zeros(x: Tensor) -> Tensor:
    column = x.new_zeros(1, 3, x.shape[2], 1)
    return F.pad(torch.cat([column, x, column], 3), (0, 0, 1, 1), value=0.5)


# One cell on every side, as people pad by hand; the layer behind them reads the last cell of the input.
PADS: dict[str, Callable[[Tensor], Tensor]] = {
    "zero": nn.ZeroPad2d(1),
    "constant": nn.ConstantPad2d(1, 0.5),
    "twice": nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), nn.ReLU(), nn.ZeroPad2d((0, 1, 0, 1))),
    "reflect": nn.ReflectionPad2d(1),
    "replicate": nn.ReplicationPad2d(1),
    "circular": nn.CircularPad2d(1),
    "in place": put_into_zeros,
    "beside zeros": beside_zeros,
    "channels last": lambda x: F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).permute(0, 3, 1, 2),
}


@pytest.mark.parametrize("pad", PADS)
def test_cells_padded_by_hand_are_not_dropped_cells_of_the_input(pad: str) -> None:
    rules = {one.rule for one in audit(PadsBefore(PADS[pad], nn.Conv2d(3, 4, 3, stride=2)), (3, 8, 8)).findings}
    assert "dropped-border" not in rules
    assert ("same-differs" in rules) == (pad not in ("reflect", "replicate", "circular"))
    (found,) = (
        one
        for one in audit(PadsBefore(PADS[pad], nn.Conv2d(3, 4, 4, stride=4)), (3, 16, 16)).findings
        if one.rule == "dropped-border"
    )
    assert "the last 1 of 16 cells" in found.message


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_count_as_padding(mode: str) -> None:
    model = nn.Conv2d(3, 4, 3, stride=2, padding=1, padding_mode=mode)
    assert "dropped-border" not in {one.rule for one in audit(model, (3, 8, 8)).findings}


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(3, 9),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    before=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    own=st.integers(0, 3),
)
def test_zeros_padded_before_a_layer_are_like_its_own(
    size: int, kernel: int, stride: int, before: tuple[int, int], own: int
) -> None:
    if size + sum(before) + 2 * own < kernel:
        return
    split = nn.Sequential(nn.ZeroPad1d(before), nn.Conv1d(3, 4, kernel, stride, own))
    joined = ConvGeometry(size, kernel, stride, ((before[0] + own, before[1] + own),))
    (walk,) = joined.walks
    messages = {one.rule: one.message for one in audit(split, (3, size), measure=False).findings}
    unread = sum(not walk.touching(cell) for cell in range(size))
    if "skipped-cells" not in messages:
        assert count_of(r"the last (\d+) of", messages.get("dropped-border")) == unread
    blind = sum(not walk.touched(unit) for unit in range(walk.output_size))
    assert count_of(r"(\d+) of", messages.get("only-padding")) == blind
    idle = sum(not walk.windows_with(tap) for tap in range(kernel))
    assert count_of(r"(\d+) of", messages.get("idle-taps")) == idle


@pytest.mark.parametrize(
    ("pad", "own", "told", "fix"),
    [
        ((0, 0), 3, "padding 3)", "padding=2 at most; padding=1 keeps the size"),
        ((3, 3), 1, "padding 4, 3 of it before the layer)", "at most 2 cells of padding at each end"),
        ((-1, 3), 0, "padding 0 in front and 3 behind, 0 and 3 of it before the layer)", "at most 2 cells"),
        ((0, 3), 0, "padding 0 in front and 3 behind, 0 and 3 of it before the layer)", "at most 2 cells"),
    ],
)
def test_what_sees_only_padding_is_told_with_all_of_it(pad: tuple[int, int], own: int, told: str, fix: str) -> None:
    model = nn.Sequential(nn.ZeroPad1d(pad), nn.Conv1d(3, 4, 3, padding=own))
    (found,) = (one for one in audit(model, (3, 12), measure=False).findings if one.rule == "only-padding")
    assert told in found.message
    assert found.fix.startswith(fix)


@pytest.mark.parametrize(
    ("pad", "own", "told"),
    [
        ((0, 0), 1, "pads 1 on both sides, where SAME pads 0 in front"),
        ((1, 0), 0, "pads 1 in front and 0 behind, where"),
    ],
)
def test_how_it_differs_from_same_is_told_of_both_ends(pad: tuple[int, int], own: int, told: str) -> None:
    model = nn.Sequential(nn.ZeroPad1d(pad), nn.Conv1d(3, 4, 3, stride=2, padding=own))
    (found,) = (one for one in audit(model, (3, 12), measure=False).findings if one.rule == "same-differs")
    assert told in found.message


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("torchvision:squeezenet1_1", ["features.0"]),
        ("timm:skresnet18", [f"layer{n}.0.conv1.paths.1.conv" for n in (2, 3, 4)]),
    ],
)
def test_known_networks_drop_borders_where_gradients_say_so(name: str, layers: list[str]) -> None:
    pytest.importorskip(name.partition(":")[0])
    model = uc.load_model(name, random_weights=True).module.eval()
    warned = uc.audit(model, (3, 224, 224), measure=False).at_least("warning")
    assert [(one.rule, one.layer) for one in warned] == [("dropped-border", layer) for layer in layers]
    for layer in layers:
        convolution: Any = model.get_submodule(layer)
        x = torch.rand(1, convolution.in_channels, *convolution_size(warned, layer), requires_grad=True)
        (gradient,) = torch.autograd.grad(convolution(x).square().sum(), x)
        assert not gradient[..., -1, :].any()
        assert gradient[..., -2, :].any()


def convolution_size(findings: Sequence[Finding], layer: str) -> tuple[int, int]:
    (size,) = (count_of(r"1 of (\d+) cells", one.message) for one in findings if one.layer == layer)
    return size, size


def count_of(pattern: str, message: str | None) -> int:
    match = re.search(pattern, message or "")
    return int(match[1]) if match else 0
