"""Axis roles: channels last, windows and tokens show the maps of a twin with its channels second."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

import unconv as uc
from unconv.errors import ModelError
from unconv.network.axis_roles import AxisRoles, read_axis_roles
from unconv.network.feature_maps import arrange_maps
from unconv.network.trace.trace import trace
from unconv.visualize.layers import choose_layers, list_feature_maps


class Block(nn.Module):
    """A ConvNeXt block (Liu et al. 2022), its linear layers on channels last, or as convolutions 1 × 1."""

    def __init__(self, channels: int, last: bool, axes: int = 2) -> None:
        super().__init__()
        conv: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
        self.depthwise = conv(channels, channels, 3, padding=1, groups=channels)
        self.wide = nn.Linear(channels, 3 * channels) if last else conv(channels, 3 * channels, 1)
        self.act = nn.ReLU()
        self.narrow = nn.Linear(3 * channels, channels) if last else conv(3 * channels, channels, 1)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x)
        if self.last:
            y = y.movedim(1, -1)
        y = self.narrow(self.act(self.wide(y)))
        return x + (y.movedim(-1, 1) if self.last else y)


def twins(axes: int, channels: int = 4) -> tuple[nn.Module, nn.Module]:
    """The same network twice: channels second, channels last."""
    conv: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    pair = [
        nn.Sequential(conv(2, channels, 3, 2), Block(channels, last, axes)).double().eval() for last in (False, True)
    ]
    weights = {
        name: value.reshape(value.shape[:2]) if ".wide.w" in name or ".narrow.w" in name else value
        for name, value in pair[0].state_dict().items()
    }
    pair[1].load_state_dict(weights)
    return pair[0], pair[1]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_twins_have_the_same_maps_places_and_projections(axes: int) -> None:
    torch.manual_seed(axes)
    second, last = twins(axes)
    images = torch.rand(3, 2, *(17, 14, 11)[:axes], dtype=torch.float64)
    kept: dict[int, Tensor] = {}
    for n, model in enumerate((second, last)):
        handle = model[1].act.register_forward_hook(lambda *given, n=n: kept.__setitem__(n, given[2]))  # type: ignore[index]
        model(images)
        handle.remove()
    assert torch.allclose(arrange_maps(last, "1.act", kept[1], images.shape)[0], kept[0], atol=1e-12)
    found = [uc.scan(model, images, ["1.act", "1.wide"], top=2) for model in (second, last)]
    for layer in ("1.act", "1.wide"):
        assert torch.allclose(found[0].values[layer], found[1].values[layer])
        assert torch.equal(found[0].positions[layer], found[1].positions[layer])
    assert "1.act: units along the last axis" in found[1].about["notes"]
    one, other = (uc.project(model, images, "1.act", [2, 7], rule="guided") for model in (second, last))
    assert other.way == "whole images: units along the last axis"
    assert one.position == other.position
    assert torch.allclose(one.image, other.image, atol=1e-12)
    assert torch.allclose(one.activation, other.activation)
    named = {
        maps.layer: (maps.units, maps.size, maps.rectified)
        for maps in list_feature_maps(last.float(), images[:1].float())
    }
    assert named == {
        maps.layer: (maps.units, maps.size, maps.rectified)
        for maps in list_feature_maps(second.float(), images[:1].float())
    }


class Attention(nn.Module):
    """A transformer of one block behind a patch embedding (Dosovitskiy et al. 2021), written out."""

    def __init__(self, before: int, behind: int = 0, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, 4, 4)
        self.tokens = nn.Parameter(torch.rand(1, before, width)) if before else None
        self.registers = nn.Parameter(torch.rand(1, behind, width)) if behind else None
        self.query, self.softmax, self.drop = nn.Linear(width, 3 * width), nn.Softmax(-1), nn.Dropout()
        self.wide, self.act = nn.Linear(width, 2 * width), nn.GELU()
        self.head = nn.Linear(2 * width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        extra = [one.expand(len(x), -1, -1) for one in (self.tokens, self.registers) if one is not None]
        if extra:
            x = torch.cat([extra[0], x, *extra[1:]], 1) if self.tokens is not None else torch.cat([x, *extra], 1)
        q, k, v = self.query(x).chunk(3, -1)
        weights = self.drop(self.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])))
        return self.head(self.act(self.wide(x + weights @ v)).mean(1))


@pytest.mark.parametrize(("before", "behind"), [(0, 0), (1, 0), (1, 4), (5, 0)])
def test_tokens_have_places_on_their_grid(before: int, behind: int) -> None:
    model = Attention(before, behind).eval()
    images = torch.rand(2, 3, 16, 24)
    kept: list[Tensor] = []
    model.act.register_forward_hook(lambda *given: kept.append(given[2].clone()))
    model(images)
    maps, _ = arrange_maps(model, "act", kept[0], images.shape)
    assert maps.shape == (2, 16, 4, 6)
    assert torch.equal(maps, kept[0][:, before : before + 24].transpose(1, 2).reshape(2, 16, 4, 6))
    found = uc.scan(model, images, ["act"], top=1)
    projected = uc.project(model, images, "act", 3, rule="guided")
    image = int(found.images["act"][3, 0])
    assert tuple(found.positions["act"][3, 0].tolist()) == projected.position[image]
    assert found.values["act"][3, 0] == pytest.approx(float(projected.activation[image]))
    assert "act" in choose_layers(list_feature_maps(model, images[:1]))


def test_layers_are_listed_with_their_units() -> None:
    rows = {row.name: row.units for row in uc.list_layers(Attention(1), (3, 16, 24))}
    assert (rows["embed"], rows["query"], rows["act"], rows["softmax"], rows["head"]) == (8, 24, 16, None, 5)


def test_numbers_of_pairs_are_no_feature_maps() -> None:
    model = Attention(0).eval()
    images = torch.rand(2, 3, 16, 24)
    for look in (lambda: uc.scan(model, images, ["softmax"]), lambda: uc.project(model, images, "softmax", 0)):
        with pytest.raises(
            ModelError, match="'softmax' holds numbers of pairs of places, 24×24: no feature maps"
        ) as told:
            look()
        assert "\n" not in str(told.value)
    assert not {"softmax", "drop"} & {maps.layer for maps in list_feature_maps(model, images[:1])}


class Windowed(nn.Module):
    """Windows in the batch, shifted, as in Swin (Liu et al. 2021)."""

    def __init__(self, window: int, shift: int) -> None:
        super().__init__()
        self.conv, self.mix = nn.Conv2d(3, 4, 2, 2), nn.Linear(4, 6)
        self.window, self.shift = window, shift

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).permute(0, 2, 3, 1).roll((-self.shift, -self.shift), (1, 2))
        b, h, w, c = x.shape
        n = self.window
        x = x.view(b, h // n, n, w // n, n, c).transpose(2, 3).reshape(-1, n * n, c)
        return self.mix(x)


@pytest.mark.parametrize("shift", [0, 1])
def test_windows_in_the_batch_are_put_together(shift: int) -> None:
    model = Windowed(3, shift).eval()
    images = torch.rand(2, 3, 12, 18)
    plain = F.linear(model.conv(images).movedim(1, -1), model.mix.weight, model.mix.bias).movedim(-1, 1)
    maps, _ = arrange_maps(model, "mix", model(images), images.shape)
    # The trace follows places through the turn: they stay those of the value, which begins later.
    assert torch.allclose(maps, plain.roll((-shift, -shift), (2, 3)), atol=1e-6)
    found = uc.scan(model, images, "mix", top=1)
    assert torch.allclose(found.values["mix"][:, 0], maps.transpose(0, 1).flatten(1).amax(1))


@settings(max_examples=40, deadline=None)
@given(st.permutations([1, 2, 3]), st.booleans(), st.integers(2, 4), st.integers(2, 5), st.integers(2, 5))
def test_any_order_of_axes_is_read(order: list[int], flat: bool, units: int, height: int, width: int) -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.same = nn.Conv2d(1, units, 1), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x).permute(0, *order)
            places = [order.index(axis) + 1 for axis in (2, 3)]
            if flat and places[1] == places[0] + 1:
                y = y.flatten(*places)
            return self.same(y + 0) * 1

    model, image = Turned(), torch.rand(2, 1, height, width)
    layer = "add"
    graph = trace(model, (1, height, width))
    roles = read_axis_roles(graph, layer)
    assert isinstance(roles, AxisRoles)
    kept: list[Tensor] = []
    model.same.register_forward_hook(lambda *given: kept.append(given[2]))
    model(image)
    assert torch.equal(roles.arrange(kept[0], 2), model.conv(image))


class Flattened(nn.Module):
    """A norm of all places of a batch as rows, as in LeViT (Graham et al. 2021), between channels and a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 2, 2), nn.BatchNorm1d(4)
        self.squeeze, self.act = nn.Conv2d(4, 2, 1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).flatten(2).transpose(1, 2)
        y = self.norm(y.flatten(0, 1)).view_as(y)
        gate = self.act(self.squeeze(y.transpose(1, 2)[..., None].mean((2, 3), keepdim=True)))
        return (y.sum(1) * gate.flatten(1).sum(1, keepdim=True)).sum(1)


def test_rows_of_all_places_and_values_of_one_place() -> None:
    model = Flattened().eval()
    images = torch.rand(3, 3, 8, 12)
    found = uc.scan(model, images, ["norm", "act"], top=1)
    projected = uc.project(model, images, "norm", 2)
    maps = model.conv(images) / math.sqrt(1 + model.norm.eps)
    assert torch.allclose(found.values["norm"][:, 0], maps.transpose(0, 1).flatten(1).amax(1), atol=1e-6)
    assert torch.allclose(projected.activation, maps[:, 2].flatten(1).amax(1), atol=1e-6)
    assert found.values["act"].shape == (2, 1)
    assert uc.project(model, images, "act", 1, (0, 0)).image.shape == images.shape
