"""FCN-32s, FCN-16s and FCN-8s on VGG-16, as published.

J. Long, E. Shelhamer and T. Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, and, by the
same, IEEE Transactions on Pattern Analysis and Machine Intelligence 39(4), 2017 (arXiv:1605.06211, 2016); layer names,
paddings and crops are those of the authors' networks for Caffe.

The classifier's linear layers are convolutions, fc6 of 7×7 and fc7 of 1×1, so that it takes pictures of any size and
scores classes at every 32nd pixel. Transposed convolutions bring the scores up, and on the way scores of pool4 and
pool3 are added to them::

    picture ▸ conv1 (padding 100) … pool3 ─────────▸ pool4 ─────────▸ pool5 ▸ fc6 ▸ fc7
                                     │                │                          │
                                score_pool3      score_pool4                  score_fr
                                     ▾ crop 9         ▾ crop 5                   ▾
                         ┌─────────  + ◂─ ×2 ───────  + ◂─────── ×2 ─────────────┤
                         ▾ ×8, crop 31                ▾ ×16, crop 27             ▾ ×32, crop 19
                       FCN-8s                      FCN-16s                    FCN-32s

The first convolution is padded by 100, so that a 7×7 window fits into pool5 of the smallest picture; poolings round up,
as Caffe's do. Each crop is the place at which two grids look at the same pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.models.blocks.upscore import Upscore

CHANNELS = (64, 128, 256, 512, 512)
CONVOLUTIONS = (2, 2, 3, 3, 3)
HIDDEN = 4096
FIRST_PADDING = 100
STRIDES = (32, 16, 8)


def vgg16_features(in_channels: int = 3, channels: Sequence[int] = CHANNELS) -> nn.Sequential:
    """The convolutions of VGG-16 (Simonyan & Zisserman 2015, column D) with the padding and poolings of FCN.

    >>> import torch
    >>> features = vgg16_features()
    >>> features.conv1_1.padding, features.pool5.ceil_mode, features(torch.zeros(1, 3, 17, 33)).shape
    ((100, 100), True, torch.Size([1, 512, 7, 8]))
    """
    made: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (outputs, count) in enumerate(zip(channels, CONVOLUTIONS, strict=True), start=1):
        for step in range(1, count + 1):
            padding = FIRST_PADDING if (number, step) == (1, 1) else 1
            made[f"conv{number}_{step}"] = nn.Conv2d(in_channels, outputs, 3, padding=padding)
            made[f"relu{number}_{step}"] = nn.ReLU()
            in_channels = outputs
        made[f"pool{number}"] = nn.MaxPool2d(2, stride=2, ceil_mode=True)
    return nn.Sequential(made)


class FCN(nn.Module):
    """Class scores for every pixel, of a picture of any size.

    Layers that score begin at zero, those that upscale as bilinear interpolation. The authors' networks keep the latter
    fixed; the paper of 2015 fixes the last and learns the others, and that of 2017 finds no difference.

    Args:
        stride: 32, 16 or 8: FCN-32s, FCN-16s, FCN-8s.
        classes: how many are told apart, the background included; 21 in PASCAL VOC.
        learned: whether the upscaling kernels are parameters.
        in_channels: of the picture.
        channels: of VGG's five stages.
        hidden: channels of fc6 and fc7.

    Raises ModelError for another stride.

    >>> import torch
    >>> with torch.device("meta"):
    ...     model, picture = FCN(8), torch.zeros(1, 3, 333, 500)
    >>> model(picture).shape
    torch.Size([1, 21, 333, 500])
    """

    def __init__(
        self,
        stride: int = 8,
        classes: int = 21,
        *,
        learned: bool = True,
        in_channels: int = 3,
        channels: Sequence[int] = CHANNELS,
        hidden: int = HIDDEN,
    ) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise ModelError(f"fcn: stride {stride} is none of {', '.join(map(str, STRIDES))}")
        self.stride = stride
        self.features = vgg16_features(in_channels, channels)
        self.fc6 = nn.Conv2d(channels[4], hidden, 7)
        self.relu6 = nn.ReLU()
        self.drop6 = nn.Dropout()
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.relu7 = nn.ReLU()
        self.drop7 = nn.Dropout()
        self.score_fr = nn.Conv2d(hidden, classes, 1)
        if stride == 32:
            self.upscore = Upscore(classes, 32, learned)
        if stride <= 16:
            self.upscore2 = Upscore(classes, 2, learned)
            self.score_pool4 = nn.Conv2d(channels[3], classes, 1)
        if stride == 16:
            self.upscore16 = Upscore(classes, 16, learned)
        if stride == 8:
            self.upscore_pool4 = Upscore(classes, 2, learned)
            self.score_pool3 = nn.Conv2d(channels[2], classes, 1)
            self.upscore8 = Upscore(classes, 8, learned)
        self._initialise()

    def _initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        for name, layer in self.named_children():
            if name.startswith("score"):
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps pool3, pool4 and fc7: what is scored."""
        pool3 = pool4 = x
        for name, layer in self.features.named_children():
            x = layer(x)
            if name == "pool3":
                pool3 = x
            elif name == "pool4":
                pool4 = x
        x = self.drop6(self.relu6(self.fc6(x)))
        return pool3, pool4, self.drop7(self.relu7(self.fc7(x)))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes height width"]:
        """Scores before the softmax, in the picture's size."""
        pool3, pool4, fc7 = self.maps(x)
        scores = self.score_fr(fc7)
        if self.stride == 32:
            return cropped(self.upscore(scores), 19, x)
        scores = self.upscore2(scores)
        # A 1×1 convolution may be cropped before as well as behind.
        scores = scores + self.score_pool4(cropped(pool4, 5, scores))
        if self.stride == 16:
            return cropped(self.upscore16(scores), 27, x)
        scores = self.upscore_pool4(scores)
        scores = scores + self.score_pool3(cropped(pool3, 9, scores))
        return cropped(self.upscore8(scores), 31, x)


def cropped(x: Tensor, start: int, size_of: Tensor) -> Tensor:
    """The cells of a feature map from ``start`` on along both axes, as many as another one has.

    >>> import torch
    >>> cropped(torch.arange(16.0).view(1, 1, 4, 4), 1, torch.zeros(1, 1, 2, 3))
    tensor([[[[ 5.,  6.,  7.],
              [ 9., 10., 11.]]]])
    """
    height, width = size_of.shape[2:]
    return x.narrow(2, start, height).narrow(3, start, width)
