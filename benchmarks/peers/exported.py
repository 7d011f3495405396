"""Networks of many kinds for exporters: torchvision's, smp's and keras's, and small ones of layers that these lack."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers.decoders import smp_network
from benchmarks.peers.network import Network, pictures

PLAIN = ("resnet18", "resnext50_32x4d", "mobilenet_v2", "squeezenet1_1", "shufflenet_v2_x0_5")
MORE = ("mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "swin_t")
SEGMENTERS = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large")
SMP = ("Unet", "FPN", "DeepLabV3Plus", "Linknet")
KERAS = ("MobileNet", "MobileNetV2")


def networks() -> dict[str, Network]:
    """All of them, by ``package:name``; small pictures, so that exporting takes seconds."""
    made = {f"torchvision:{name}": Network(partial(classifier, name), pictures(64)) for name in (*PLAIN, *MORE)}
    made |= {f"torchvision:{name}": Network(partial(segmenter, name), pictures(64)) for name in SEGMENTERS}
    made["torchvision:VisionTransformer"] = Network(transformer, pictures(64))
    made["torchvision:r3d_18"] = Network(video, ((3, 8, 32, 32),))
    made |= {f"smp:{name}": Network(partial(smp_network, name), pictures(64)) for name in SMP}
    made["generator: linear, transposed"] = Network(generator, ((16,),))
    made["U-Net: transposed, joined"] = Network(UNet, pictures(48))
    made["super-resolution: norms, shuffle"] = Network(super_resolution, pictures(32))
    made["1-D, dilated"] = Network(waveform, ((2, 400),))
    made |= {f"1-D, {kind}": Network(partial(Recurrent, kind), ((4, 40),)) for kind in ("LSTM", "GRU")}
    return made


def keras_networks() -> dict[str, Network]:
    """Networks of keras, built with its torch backend: pictures of 64², channels last."""
    return {f"keras:{name}": Network(partial(keras_network, name), ((64, 64, 3),)) for name in KERAS}


def draw_weights(network: nn.Module) -> None:
    """Weights and moments that differ from each other and from zero: exporters merge equal tensors and drop zeros."""
    with torch.no_grad():
        for value in (*network.parameters(), *network.buffers()):
            if value.is_floating_point():
                value += (torch.rand_like(value) - 0.5) * 0.01


def classifier(name: str) -> nn.Module:
    """A classifier of torchvision, untrained."""
    import torchvision

    network: nn.Module = torchvision.models.get_model(name, weights=None)
    return network


def segmenter(name: str) -> nn.Module:
    """A segmenter of torchvision, untrained."""
    import torchvision

    network: nn.Module = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    return network


def transformer() -> nn.Module:
    """A small vision transformer of torchvision."""
    import torchvision

    sizes = {"image_size": 64, "patch_size": 16, "num_layers": 2, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128}
    network: nn.Module = torchvision.models.VisionTransformer(**sizes)
    return network


def video() -> nn.Module:
    """A network of 3-D convolutions of torchvision."""
    import torchvision

    network: nn.Module = torchvision.models.video.r3d_18(weights=None)
    return network


def generator() -> nn.Module:
    """From numbers to a picture, by a linear layer, transposed ones and resizing."""
    return nn.Sequential(
        nn.Linear(16, 32 * 16),
        nn.Unflatten(1, (32, 4, 4)),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(8, 3, 3, padding=1),
        nn.Tanh(),
    )


def super_resolution() -> nn.Module:
    """Instance and group norm, and a shuffle of pixels behind."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, padding=2, padding_mode="reflect"),
        nn.InstanceNorm2d(8, affine=True),
        nn.PReLU(8),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.SiLU(),
        nn.Conv2d(16, 12, 1),
        nn.PixelShuffle(2),
        nn.Conv2d(3, 3, 3, padding=1),
    )


def waveform() -> nn.Module:
    """Dilated and strided convolutions in one dimension."""
    blocks: list[nn.Module] = [nn.Conv1d(2, 8, 15, stride=4, padding=7), nn.ReLU()]
    for dilation in (1, 2, 4, 8):
        blocks += [nn.Conv1d(8, 8, 3, dilation=dilation, groups=2), nn.BatchNorm1d(8), nn.GELU()]
    return nn.Sequential(*blocks, nn.AvgPool1d(3, 2, ceil_mode=True), nn.ConvTranspose1d(8, 4, 4, stride=2))


class UNet(nn.Module):
    """Two levels of convolutions, transposed ones that come back, and joins."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(self.block(a, b) for a, b in ((3, 8), (8, 16), (16, 32)))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(n, n // 2, 2, stride=2) for n in (32, 16))
        self.backs = nn.ModuleList(self.block(n, n // 2) for n in (32, 16))
        self.head = nn.Conv2d(8, 2, 1)

    @staticmethod
    def block(before: int, after: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for level in self.levels:
            x = level(nn.functional.max_pool2d(x, 2) if kept else x)
            kept.append(x)
        kept.pop()
        for up, back in zip(self.ups, self.backs, strict=True):
            x = back(torch.cat([kept.pop(), up(x)], 1))
        out: Tensor = self.head(x)
        return out


class Recurrent(nn.Module):
    """Convolutions over time, two recurrent layers in both directions, and a head at every step."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.Conv1d(4, 8, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool1d(2))
        self.steps = getattr(nn, kind)(8, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.steps(self.before(x).transpose(1, 2))[0])
        return out


def keras_network(name: str) -> Any:
    """A network of keras.applications, untrained, that has been called, as its exporter wants."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(0)
    network = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    network(torch.zeros(1, 64, 64, 3))
    return network
