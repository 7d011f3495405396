"""The call made again, with shapes alone: the whole batch, the failure itself and no other, and no other kinds."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

import unconv as uc
from unconv.network.shapes.explain_shapes import ShapeError


class Net(nn.Module):
    """A forward of the values of layers."""

    def __init__(self, way: Any, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.way = way

    def forward(self, x: Tensor) -> object:
        return self.way(self, x)


def explained(model: nn.Module, x: Tensor) -> str:
    with pytest.raises(ShapeError) as told, uc.explain_shapes():
        model(x)
    return str(told.value)


def passed(model: nn.Module, x: Tensor) -> Exception:
    with pytest.raises((RuntimeError, ValueError)) as told, uc.explain_shapes():
        model(x)
    assert not isinstance(told.value, ShapeError)
    return told.value


def test_batch_norm_in_training_does_not_hide_what_fails_behind_it() -> None:
    pooled = [nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8), nn.Flatten()]
    message = explained(nn.Sequential(*pooled, nn.Linear(9, 2)).train(), torch.zeros(4, 3, 8, 8))
    assert message.startswith("4 takes 9 features and gets 8")
    assert nn.Sequential(*pooled, nn.Linear(8, 2)).train()(torch.rand(4, 3, 8, 8)).shape == (4, 2)


@given(batch=st.integers(2, 9))
@settings(max_examples=5, deadline=None)
def test_shapes_are_those_of_the_whole_batch(batch: int) -> None:
    shapes = "×".join(map(str, (batch, 8, 10, 10)))
    convolutions = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(16, 3, 3))
    assert f"({shapes}, batch first)" in explained(convolutions, torch.zeros(batch, 3, 12, 12))
    view = Net(lambda net, x: net.conv(x).view(-1, 8 * 12 * 12 + 1), conv=nn.Conv2d(3, 8, 3))
    assert shapes in explained(view, torch.zeros(batch, 3, 12, 12))


def test_failures_that_a_model_catches_are_not_explained() -> None:
    def way(net: Any, x: Tensor) -> Tensor:
        try:
            joined: Tensor = net.a(x) + x
            return joined
        except RuntimeError:
            pass
        raise ValueError("sizes that nobody knows")

    assert str(passed(Net(way, a=nn.Conv2d(3, 3, 3)), torch.zeros(2, 3, 9, 9))) == "sizes that nobody knows"


def test_a_failure_in_another_place_is_not_taken_for_the_first() -> None:
    # With shapes alone the condition cannot be known, and the second join fails where the first did.
    def way(net: Any, x: Tensor) -> Tensor:
        y = net.a(x)
        chosen: Tensor = net.b(y) if float(y.detach().sum()) > 1e9 else net.c(y)
        return chosen

    model = Net(way, a=nn.Conv2d(3, 8, 3), b=nn.Conv2d(9, 3, 3), c=nn.Conv2d(7, 3, 3))
    assert "to have 7 channels, but got 8" in str(passed(model, torch.zeros(2, 3, 9, 9)))


OTHER_KINDS: dict[str, tuple[nn.Module, Tensor]] = {
    "whole numbers": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(9, 3, 3)), torch.zeros(2, 3, 9, 9, dtype=torch.long)),
    "doubles": (nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 4)), torch.zeros(2, 4).double()),
    "half weights": (nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 4).half()), torch.zeros(2, 4)),
    "double weights": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8).half()), torch.zeros(2, 3, 9, 9).double()),
    "complex numbers": (nn.MaxPool2d(20), torch.zeros(2, 3, 9, 9, dtype=torch.complex64)),
    "complex weights": (nn.Conv2d(3, 8, 3), torch.zeros(2, 3, 9, 9, dtype=torch.complex64)),
    "another device": (Net(lambda _, x: x + torch.zeros(2, 3, 9, 9, device="meta")), torch.zeros(2, 3, 9, 9)),
    "numbers of words": (nn.Embedding(5, 3), torch.zeros(2, 3)),
    "truth values": (Net(lambda _, x: (x > 0) - (x > 0)), torch.zeros(2, 3, 9, 9)),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_types_and_devices_are_not_explained_as_sizes(name: str) -> None:
    model, x = OTHER_KINDS[name]
    with pytest.raises((RuntimeError, ValueError)) as plain:
        model(x)
    assert str(passed(model, x)) == str(plain.value)


def test_quantised_values_are_not_explained_as_sizes() -> None:
    with warnings.catch_warnings():
        # torch's own: they are to go.
        warnings.simplefilter("ignore")
        x = torch.quantize_per_tensor(torch.zeros(2, 3, 9, 9), 0.1, 0, torch.quint8)
        passed(nn.Conv2d(4, 8, 3), x)


def test_a_method_is_called_again_with_the_whole_batch() -> None:
    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4))

        @uc.explain_shapes
        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            loss: Tensor = ((self.net(batch[0]) + torch.zeros(1, 4, 3, 3)) - batch[1].relu()).square().mean()
            return loss

    with pytest.raises(ShapeError, match=r"comes to 2×2|comes to 3×3") as told:
        Step().train().training_step((torch.rand(4, 1, 8, 8), torch.rand(4, 4, 2, 2)))
    assert "more than 1 value" not in str(told.value)
