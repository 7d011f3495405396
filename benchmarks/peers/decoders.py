"""Networks that make maps as large as their input: smp's and monai's segmenters, and a network of style transfer."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from benchmarks.peers.network import Network, pictures

SMP = ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "DeepLabV3", "DeepLabV3Plus", "PAN", "UPerNet")


def networks() -> dict[str, Network]:
    """All of them, by ``package:name``."""
    made = {f"smp:{name}": Network(partial(smp_network, name), pictures(256)) for name in SMP}
    made["smp:Segformer"] = Network(partial(smp_network, "Segformer", "mit_b0"), pictures(256))
    made |= {f"monai:{name}": one for name, one in medical().items()}
    made["style transfer (Johnson et al. 2016)"] = Network(style_transfer, pictures(256))
    return made


def smp_network(kind: str, encoder: str = "resnet18") -> nn.Module:
    """A network of segmentation_models_pytorch, untrained."""
    import segmentation_models_pytorch as smp

    network: nn.Module = getattr(smp, kind)(encoder, encoder_weights=None, classes=3)
    return network


def medical() -> dict[str, Network]:
    """Twelve networks of monai, in two and three dimensions."""
    levels = {"channels": (16, 32, 64, 128), "strides": (2, 2, 2)}
    plane: dict[str, Any] = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
    volume: dict[str, Any] = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
    nnunet = {"kernel_size": [3] * 4, "strides": [1, 2, 2, 2], "upsample_kernel_size": [2] * 3}
    square, cube = ((1, 96, 96),), ((1, 64, 64, 64),)
    return {
        "UNet 2-D": Network(monai("UNet", **plane, **levels, num_res_units=2), square),
        "UNet 3-D": Network(monai("UNet", **volume, **levels, num_res_units=2), cube),
        "BasicUNet": Network(monai("BasicUNet", **plane), square),
        "BasicUNetPlusPlus": Network(monai("BasicUNetPlusPlus", **plane), square),
        "AttentionUnet": Network(monai("AttentionUnet", **plane, **levels), square),
        "DynUNet": Network(monai("DynUNet", **volume, **nnunet), cube),
        "VNet": Network(monai("VNet", **volume), cube),
        "SegResNet": Network(monai("SegResNet", **volume), cube),
        "HighResNet": Network(monai("HighResNet", **volume), ((1, 32, 32, 32),)),
        "UNETR": Network(monai("UNETR", in_channels=1, out_channels=2, img_size=64), cube),
        "SwinUNETR": Network(monai("SwinUNETR", in_channels=1, out_channels=2, feature_size=12), cube),
        "AutoEncoder": Network(monai("AutoEncoder", **plane, channels=(16, 32, 64), strides=(2, 2, 2)), square),
    }


def monai(kind: str, **settings: Any) -> Any:
    """Builds a network of monai, untrained."""

    def make() -> nn.Module:
        import monai.networks.nets as nets

        network: nn.Module = getattr(nets, kind)(**settings)
        return network

    return make


class Residual(nn.Module):
    """Two convolutions without padding, beside the input without its rim: "Supplementary material", table 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(128, 128, 3), nn.Conv2d(128, 128, 3)
        self.norms = nn.ModuleList([nn.BatchNorm2d(128), nn.BatchNorm2d(128)])

    def forward(self, x: Any) -> Any:
        y = self.norms[1](self.second(self.norms[0](self.first(x)).relu()))
        return x[..., 2:-2, 2:-2] + y


def style_transfer() -> nn.Module:
    """Perceptual losses for real-time style transfer and super-resolution: the network of 256 × 256 pictures."""

    def unit(layer: nn.Module, channels: int) -> tuple[nn.Module, ...]:
        return layer, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)

    return nn.Sequential(
        nn.ReflectionPad2d(40),
        *unit(nn.Conv2d(3, 32, 9, padding=4), 32),
        *unit(nn.Conv2d(32, 64, 3, stride=2, padding=1), 64),
        *unit(nn.Conv2d(64, 128, 3, stride=2, padding=1), 128),
        *(Residual() for _ in range(5)),
        *unit(nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1), 64),
        *unit(nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1), 32),
        nn.Conv2d(32, 3, 9, padding=4),
        nn.Tanh(),
    )
