"""Checkerboard measures of layers: those of their weights, and what the layers make of a constant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unconv as uc
from unconv.errors import UnconvError
from unconv.operators import checkerboard as of_weights
from unconv.upsample import checkerboard_score, equalised_, overlap, stride_pattern

# Even kernels make torch say that it copies.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same.:UserWarning")

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "torch's": lambda: nn.ConvTranspose2d(6, 4, 3, 2, 1, 1),
    "torch's, one axis": lambda: nn.ConvTranspose1d(6, 4, 5, 3),
    "torch's, grouped": lambda: nn.ConvTranspose2d(6, 4, 3, 2, groups=2),
    "torch's, dilated": lambda: nn.ConvTranspose2d(6, 4, 4, 2, dilation=3),
    "as torch's": lambda: uc.upsample.ConvTranspose2d(6, 4, 3, 2),
    "to a size": lambda: uc.upsample.ConvTransposeTo2d(6, 4, 3, 2),
    "sub-pixel": lambda: uc.upsample.upsampler("sub-pixel", 6, 4),
    "sub-pixel, even": lambda: fresh(uc.upsample.SubPixel2d(6, 4, kernel_size=2)),
    "sub-pixel form": lambda: uc.upsample.convert(nn.ConvTranspose2d(6, 4, 3, 2, 1), "sub-pixel"),
    "zeros between": lambda: uc.upsample.convert(nn.ConvTranspose2d(6, 4, 3, 2, groups=2), "zero-insertion"),
    "by name": lambda: uc.upsample.upsampler("transposed-k3", 6, 4),
}
INTERPOLATED: dict[str, Callable[[], nn.Module]] = {
    "resize": lambda: uc.upsample.upsampler("resize", 6, 4),
    "bilinear": lambda: uc.upsample.upsampler("bilinear", 6, 4),
    "linear": lambda: uc.upsample.ResizeConv2d(6, 4, mode="linear"),
    "torch's": lambda: nn.Upsample(scale_factor=2),
}


def fresh(layer: Any) -> nn.Module:
    nn.init.normal_(layer.conv.weight)
    nn.init.normal_(layer.conv.bias)
    return layer


def constant(layer: nn.Module, means: Tensor) -> Tensor:
    """What a layer makes of a constant, away from the borders, without its bias."""
    axes = 1 if isinstance(layer, nn.ConvTranspose1d) else 2
    x = means.reshape(1, -1, *[1] * axes).expand(1, -1, *[18] * axes)
    with torch.no_grad():
        y = layer(x) - layer(torch.zeros_like(x))
    return y[(..., *[slice(10, 28)] * axes)]


@pytest.mark.parametrize("name", LAYERS)
def test_the_score_of_a_layer_foretells_the_pattern_of_a_constant(name: str) -> None:
    torch.manual_seed(0)
    layer, means = LAYERS[name](), torch.rand(6)
    stride = 3 if "one axis" in name else 2
    measured = stride_pattern(constant(layer, means), stride)
    assert measured > 0.01
    assert checkerboard_score(layer, inputs=means) == pytest.approx(measured, abs=1e-4)
    assert equalised_(layer) is layer
    assert checkerboard_score(layer) < 1e-5
    assert stride_pattern(constant(layer, means), stride) < 1e-5


@pytest.mark.parametrize("name", INTERPOLATED)
def test_layers_that_interpolate_have_no_pattern_and_nothing_to_equalise(name: str) -> None:
    layer = INTERPOLATED[name]()
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    assert checkerboard_score(layer) == 0.0
    equalised_(layer)
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    assert stride_pattern(constant(layer, torch.rand(6)), 2) < 1e-6
    with pytest.raises(UnconvError, match="all cells have the same taps"):
        overlap(layer)


def test_weights_are_taken_as_before() -> None:
    layer = nn.ConvTranspose2d(6, 4, 3, 2, dilation=3)
    assert checkerboard_score(layer.weight, 2, 3) == checkerboard_score(layer)
    assert checkerboard_score(layer.weight, 2, 3) == of_weights.checkerboard_score(layer.weight, 2, 3)
    assert equalised_(layer.weight, 2, 3, nn.init.ones_) is layer.weight
    assert checkerboard_score(uc.upsample.Bilinear2d(3, 4, learnable=True)) < 1e-6


@pytest.mark.parametrize("name", LAYERS)
def test_overlap_counts_the_taps_of_ones(name: str) -> None:
    layer: Any = LAYERS[name]()
    one = layer.layer if isinstance(layer, uc.upsample.upsamplers.Doubling) else layer
    counts = overlap(layer, 9)
    ones = torch.ones(1, 6, *[9] * counts.ndim)
    with torch.no_grad():
        for weight in one.parameters():
            weight.zero_() if weight.ndim == 1 else weight.copy_((weight != 0).to(weight.dtype))
        y = one(ones)[0, 0]
    per_channel = 6 // getattr(getattr(one, "conv", one), "groups", 1)
    assert torch.equal(counts, (y / per_channel).round().long())
    assert torch.equal(overlap(layer, (6, *[9] * counts.ndim)), counts)
    assert len(set(overlap(layer).flatten().tolist())) >= 1


def test_without_a_size_the_inside_is_seen() -> None:
    assert overlap(nn.ConvTranspose1d(1, 1, 3, stride=2)).tolist() == [1, 1, 2, 1, 2, 1, 2, 1, 2, 1, 1]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: checkerboard_score(torch.ones(1, 1, 3)), "a weight says nothing of its stride"),
        (lambda: equalised_(nn.Conv2d(3, 3, 3)), "Conv2d is no upsampling layer; give nn.ConvTranspose1d to 3d"),
        (lambda: checkerboard_score(nn.ConvTranspose1d(1, 1, 3, 2), 2), "has its own stride and dilation"),
        (lambda: checkerboard_score(nn.ConvTranspose1d(1, 1, 3, 2), inputs="x"), "inputs are a str; give a tensor"),
        (lambda: equalised_(nn.ConvTranspose1d(1, 1, 3, 2), initialise="x"), "initialise is a str; give a function"),
        (lambda: checkerboard_score([1.0]), "list is neither a layer nor a weight"),
        (lambda: equalised_(nn.ConvTranspose1d(1, 1, 2, 3)), "leaves output cells without a tap"),
        (lambda: overlap(uc.ConvTransposeGeometry(3, 3), 4), "a geometry has its own size; leave 4 out"),
        (lambda: overlap(uc.ConvGeometry(3, 3)), "ConvGeometry is not the geometry of a transposed convolution"),
        (lambda: overlap(nn.Conv2d(3, 3, 3)), "Conv2d is no transposed convolution"),
        (lambda: overlap(nn.ConvTranspose2d(3, 3, 3), (4, 9, 9)), "takes 3 channels, and size .4, 9, 9. has 4"),
    ],
)
def test_what_is_no_upsampler_is_refused_in_a_line(call: Callable[[], object], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as refusal:
        call()
    assert "\n" not in str(refusal.value)
