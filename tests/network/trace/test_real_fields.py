"""Fields in published networks: against gradients of the positive network, and against the literature."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation import fcn_resnet50

from unconv.network.run.forward import run_to_layers
from unconv.network.trace.trace import trace

sys.path.insert(0, str(Path(__file__).parent))
from connections import boxes, gradient_box, linear_pools, positive, probes


class SmallUNet(nn.Module):
    """Two levels down and up; the skip connections meet at odd sizes through interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.bottom = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.merge2, self.merge1 = nn.Conv2d(16, 4, 3, padding=1), nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x).relu_()
        two = F.relu(self.down2(F.avg_pool2d(one, 2)))
        low = self.bottom(F.avg_pool2d(two, 2))
        two = self.merge2(torch.cat([two, F.pad(self.up(low), (0, two.shape[3] % 2, 0, two.shape[2] % 2))], 1))
        return self.merge1(torch.cat([one, F.interpolate(two, size=one.shape[2:])], 1))


CASES = {
    "vgg16": (lambda: torchvision.models.vgg16().features, (96, 64), ["9", "14", "23"]),
    "resnet18": (torchvision.models.resnet18, (97, 66), ["maxpool", "layer2", "layer3.0.conv2", "layer4"]),
    "resnet50": (torchvision.models.resnet50, (65, 80), ["layer1.2", "layer2.0.downsample", "layer3"]),
    "googlenet": (
        lambda: torchvision.models.googlenet(aux_logits=False, init_weights=False),
        (97, 80),
        ["maxpool2", "inception3b", "inception4a.branch3.1.conv"],
    ),
    "mobilenet_v2": (lambda: torchvision.models.mobilenet_v2().features[:11], (70, 97), ["4", "10.conv.1"]),
    "densenet121": (lambda: torchvision.models.densenet121().features[:8], (65, 64), ["denseblock1", "transition2"]),
    "efficientnet_b0": (lambda: torchvision.models.efficientnet_b0().features[:3], (64, 65), ["1.0.block.0", "2"]),
    "fcn_resnet50": (
        lambda: fcn_resnet50(weights=None, weights_backbone=None, num_classes=2).backbone,
        (65, 64),
        ["layer2", "layer3.1"],
    ),
    "small_unet": (SmallUNet, (21, 26), ["up", "merge2", "merge1"]),
}


@pytest.mark.parametrize("name", CASES)
def test_boxes_equal_gradients(name: str) -> None:
    make, size, layers = CASES[name]
    model = positive(linear_pools(make()))
    graph = trace(model, (3, *size))
    found: dict[str, Tensor] = {}
    for layer in layers:
        model.get_submodule(layer).register_forward_hook(
            lambda _m, _i, out, key=layer: found.__setitem__(key, out.clone())
        )
    image = torch.full((1, 3, *size), 1e-3, dtype=torch.float64, requires_grad=True)  # small: no ReLU6 saturates
    model(image)
    for layer in layers:
        height, width = found[layer].shape[2:]
        for unit in {(0, 0), (height // 2, width // 3), (height - 1, width - 1), (0, width - 1)}:
            channels = found[layer][(0, slice(None), *unit)]
            assert graph.field_box(layer, unit) == gradient_box(channels.sum(), image), (layer, unit)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("fasterrcnn_resnet50_fpn", ["backbone.body.layer2", "backbone.fpn.inner_blocks.3"]),
        ("keypointrcnn_resnet50_fpn", ["backbone.body.layer1"]),
        ("ssd300_vgg16", ["backbone.features.4"]),
    ],
)
def test_backbones_of_detectors_are_traced_up_to_the_layers_asked_for(name: str, layers: list[str]) -> None:
    settings = {} if name.startswith("ssd") else {"min_size": 70, "max_size": 120}
    make = getattr(torchvision.models.detection, name)
    model = make(weights=None, weights_backbone=None, **settings)
    graph = trace(model, (3, 50, 60), layers=layers)
    # Bright, so that what the detector normalises is positive.
    image = torch.full((1, 3, 50, 60), 2.0, dtype=torch.float64, requires_grad=True)
    found: dict[str, Tensor] = {}
    positive(linear_pools(model))
    run_to_layers(model, image, layers, lambda layer, value: found.__setitem__(layer, value))
    for layer in layers:
        assert graph[layer].exact
        height, width = found[layer].shape[2:]
        for unit in {(0, 0), (height // 2, width // 3), (height - 1, width - 1)}:
            truth = gradient_box(found[layer][(0, slice(None), *unit)].sum(), image)
            box = graph.field_box(layer, unit)
            if truth[0] == (0, 0):
                assert (0, 0) in box, "sees the padding at the end alone"
                continue
            for (start, stop), (first, last) in zip(truth, box, strict=True):
                # Resizing reads a cell of weight 0 here and there.
                assert first <= start <= first + 1
                assert last - 1 <= stop <= last


def test_windowed_attention_is_followed_exactly() -> None:
    size = (32, 48)
    swin = torchvision.models.SwinTransformer([4, 4], 8, [2, 2], [2, 2], [4, 4], num_classes=3)
    model = positive(swin.features)
    graph = trace(model, (3, *size))
    cells = [(y, x) for y in range(1, 32, 4) for x in range(2, 48, 4)]  # one pixel of each patch
    seen: dict[str, Tensor] = {}
    for layer in ("1.0", "1.1", "3.1"):
        model.get_submodule(layer).register_forward_hook(lambda _m, _i, out, key=layer: seen.__setitem__(key, out))
    with torch.no_grad():
        model(probes(3, size, cells))
    for layer, output in seen.items():
        truth = boxes(output.permute(0, 3, 1, 2), (8, 12))
        for unit, box in truth.items():
            patches = tuple((start // 4, stop // 4) for start, stop in graph.field_box(layer, unit))
            assert patches == box, (layer, unit)
        assert all(graph[layer].exact for layer in seen)


def _recursion(layers: list[tuple[int, int]]) -> tuple[int, int]:
    """Size and stride by r ← r + (k − 1)·j, j ← j·s (Araujo, Norris & Sim 2019, equation 2)."""
    size, jump = 1, 1
    for kernel, stride in layers:
        size, jump = size + (kernel - 1) * jump, jump * stride
    return size, jump


VGG = [(3, 1)] * 2 + [(2, 2)] + [(3, 1)] * 2 + [(2, 2)] + ([(3, 1)] * 3 + [(2, 2)]) * 3
ALEXNET = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
# torchvision strides in the 3 × 3 convolution of a block; the TF model of the literature (483) in its last
RESNET50 = [(7, 2), (3, 2), *[(3, 1)] * 3, (3, 2), *[(3, 1)] * 3, (3, 2), *[(3, 1)] * 5, (3, 2), *[(3, 1)] * 2]


@pytest.mark.parametrize(
    ("name", "layer", "chain", "published"),
    [
        ("vgg16", "features.28", VGG[:-1], 196),
        ("vgg16", "features.30", VGG, 212),
        ("alexnet", "features.10", ALEXNET[:-1], 163),
        ("alexnet", "features.12", ALEXNET, 195),
        ("resnet50", "layer4", RESNET50, 427),
    ],
)
def test_sizes_equal_the_literature(name: str, layer: str, chain: list[tuple[int, int]], published: int) -> None:
    field = trace(getattr(torchvision.models, name)())[layer].receptive_field
    size, stride = _recursion(chain)
    assert size == published
    assert field.size == (size, size)
    assert field.stride == (Fraction(stride),) * 2
