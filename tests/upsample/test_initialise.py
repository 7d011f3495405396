"""Initialisers against torch's interpolation, and against what a fresh layer returns."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unconv.errors import GeometryError, UnconvError
from unconv.operators.checkerboard import checkerboard_score
from unconv.upsample.initialise import bilinear_, bilinear_geometry, equalised_, icnr_

LAYERS = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("groups", [1, 3])
def test_bilinear_equals_torchs_interpolation_away_from_borders(axes: int, stride: int, groups: int) -> None:
    kernel, padding = bilinear_geometry(stride)
    layer = LAYERS[axes](3, 3, kernel, stride, padding, bias=False, groups=groups).double()
    bilinear_(layer.weight, groups=groups)
    x = torch.randn(2, 3, *(7, 6, 5)[:axes], dtype=torch.float64)
    expected = F.interpolate(x, scale_factor=stride, mode=MODES[axes], align_corners=False)
    shown = layer(x)
    assert shown.shape == expected.shape
    inside = (slice(None), slice(None), *(slice(stride, -stride),) * axes)
    torch.testing.assert_close(shown[inside], expected[inside], rtol=1e-12, atol=1e-12)


def test_bilinear_wants_as_many_channels_out_as_in() -> None:
    with pytest.raises(UnconvError, match="4 channels in, 3 out, in 1 groups"):
        bilinear_(torch.empty(4, 3, 4, 4))


@pytest.mark.parametrize("axes", [1, 2])
def test_fresh_icnr_layer_is_a_convolution_resized_to_the_nearest(axes: int) -> None:
    torch.manual_seed(0)
    convolve, shuffle = (F.conv1d, F.pixel_shuffle) if axes == 1 else (F.conv2d, F.pixel_shuffle)
    weight = icnr_(torch.empty(5 * 3**axes, 4, *(3,) * axes, dtype=torch.float64), scale_factor=3)
    x = torch.randn(2, 4, *(6,) * axes, dtype=torch.float64)
    maps = convolve(x, weight, padding=1)
    shown = shuffle(maps, 3) if axes == 2 else maps.unflatten(1, (5, 3)).transpose(2, 3).flatten(2)
    expected = F.interpolate(convolve(x, weight[:: 3**axes], padding=1), scale_factor=3, mode="nearest")
    torch.testing.assert_close(shown, expected)


def test_icnr_takes_any_initialiser_and_refuses_channels_that_do_not_fit() -> None:
    assert bool((icnr_(torch.empty(8, 1, 3, 3), (2, 2), nn.init.ones_) == 1).all())
    with pytest.raises(GeometryError, match="6 output channels are no multiple of the 4 phases"):
        icnr_(torch.empty(6, 1, 3, 3), 2)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_equalised_layers_start_without_a_pattern(kernel: int) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(8, 4, kernel, stride=2)
    assert checkerboard_score(layer.weight, 2) > 0.1
    assert equalised_(layer.weight, 2) is layer.weight
    assert checkerboard_score(layer.weight, 2) <= 1e-6
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf
    equalised_(layer.weight, 2, initialise=nn.init.zeros_)
    assert not bool(layer.weight.any())
