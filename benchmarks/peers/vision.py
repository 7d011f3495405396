"""Networks of timm and torchvision: convolution and attention, channels last inside, video, detection, segments."""

from __future__ import annotations

from functools import partial
from typing import Any

import torchvision
from torch import nn

from benchmarks.peers.network import Network, pictures

# By name, the side of the picture.
TIMM = {
    **dict.fromkeys(("convnext_atto", "convnextv2_atto", "inception_next_atto", "edgenext_xx_small"), 224),
    **dict.fromkeys(("swin_tiny_patch4_window7_224", "levit_128s", "vit_tiny_patch16_224", "davit_tiny"), 224),
    **dict.fromkeys(
        ("mobilevit_xxs", "coatnet_nano_rw_224", "maxvit_tiny_tf_224", "pvt_v2_b0", "xcit_nano_12_p16_224"), 224
    ),
    **dict.fromkeys(("poolformer_s12", "caformer_s18", "hiera_tiny_224", "mambaout_femto", "focalnet_tiny_srf"), 224),
    **dict.fromkeys(("mixer_s32_224", "resmlp_12_224", "gmlp_s16_224", "twins_svt_small", "efficientformer_l1"), 224),
    **dict.fromkeys(("fastvit_t8", "swinv2_tiny_window8_256", "crossvit_9_240"), 256),
    **dict.fromkeys(("hrnet_w18_small", "dla34", "resnest14d", "ghostnetv2_100", "starnet_s1", "rdnet_tiny"), 224),
    "crossvit_9_240": 240,
}
VIDEO = {"r3d_18": (16, 112), "mc3_18": (16, 112), "r2plus1d_18": (16, 112), "s3d": (16, 224), "swin3d_t": (16, 224)}
VIDEO["mvit_v2_s"] = (16, 224)
SEGMENTATION = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")
# MACs of an encoding of positions, which no picture takes part in.
OF_POSITIONS = {
    "edgenext_xx_small": (28 * 28 * 64 * 48, "less 28² · 64 · 48 for the encoding of positions"),
    "xcit_nano_12_p16_224": (14 * 14 * 64 * 128, "less 14² · 64 · 128 for the encoding of positions"),
}
# Of detectors what comes before the proposals, which depend on values.
DETECTION = ("fasterrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "ssd300_vgg16")


def networks() -> dict[str, Network]:
    """All of them, by ``package:name``."""
    detection = torchvision.models.detection
    made: dict[str, Network] = {}
    for name, side in TIMM.items():
        beside = OF_POSITIONS.get(name, (0, ""))
        make = partial(timm_network, name)
        made[f"timm:{name}"] = Network(make, pictures(side), beside=-beside[0], formula=beside[1])
    for name, (frames, side) in VIDEO.items():
        made[f"torchvision:{name}"] = Network(getattr(torchvision.models.video, name), ((3, frames, side, side),))
    for name in SEGMENTATION:
        make = partial(getattr(torchvision.models.segmentation, name), weights_backbone=None, num_classes=21)
        made[f"torchvision:{name}"] = Network(make, pictures(520))
    for name in DETECTION:
        make = partial(backbone, getattr(detection, name))
        made[f"torchvision:{name}.backbone"] = Network(make, pictures(300 if name.startswith("ssd") else 512))
    return made


def timm_network(name: str) -> nn.Module:
    """A network of timm, untrained."""
    import timm

    network: nn.Module = timm.create_model(name, pretrained=False)
    return network


def backbone(make: Any) -> nn.Module:
    """What a detector does before it proposes anything."""
    network: nn.Module = make(weights=None, weights_backbone=None).backbone
    return network
