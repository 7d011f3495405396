"""A small convolutional network, to be trained in minutes on a processor: a classifier, and the backbone of decoders.

The plan is VGG's (Simonyan & Zisserman 2015: convolutions 3×3, two of them at each size, more channels where the size
is halved) with batch normalisation (Ioffe & Szegedy 2015) before each rectifier, and the end of Network in Network
(Lin, Chen & Yan 2014): feature maps are averaged, then one linear layer. The first convolution steps by 2; the
max-poolings are 3×3 with stride 2 and padding 1. All kernels are odd and padded alike, so that unit (y, x) of a stage
of stride s looks at pixel (s·y, s·x), and a picture of any size is halved to ⌈n/2⌉.
"""

from __future__ import annotations

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, unpublished

CHANNELS = (24, 48, 96, 128, 160)
SIZE = (96, 96)


def stage(number: int, inputs: int, outputs: int) -> OrderedDict[str, nn.Module]:
    """The layers of one stage by name: the first halves by its first convolution's stride, the others by a pooling.

    >>> list(stage(1, 3, 24))
    ['conv1_1', 'norm1_1', 'relu1_1', 'conv1_2', 'norm1_2', 'relu1_2']
    >>> list(stage(2, 24, 48))
    ['pool1', 'conv2_1', 'norm2_1', 'relu2_1', 'conv2_2', 'norm2_2', 'relu2_2']
    """
    made: OrderedDict[str, nn.Module] = OrderedDict()
    if number > 1:
        made[f"pool{number - 1}"] = nn.MaxPool2d(3, stride=2, padding=1)
    for step in (1, 2):
        name = f"{number}_{step}"
        stride = 2 if (number, step) == (1, 1) else 1
        made[f"conv{name}"] = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        made[f"norm{name}"] = nn.BatchNorm2d(outputs)
        made[f"relu{name}"] = nn.ReLU()
        inputs = outputs
    return made


class Compact(nn.Module):
    """Ten convolutions in five stages, down to stride 32; for pictures of any size, meant for about 96².

    Args:
        num_classes: number of classes the last layer tells apart.
        in_channels: of the picture.
        channels: of the stages, five or fewer; each halves the size.

    >>> import torch
    >>> model = Compact(10).eval()
    >>> model(torch.zeros(2, 3, 96, 96)).shape, model.features(torch.zeros(2, 3, 97, 17)).shape
    (torch.Size([2, 10]), torch.Size([2, 160, 4, 1]))
    >>> sum(parameter.numel() for parameter in model.features.parameters())
    835944
    """

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        made: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (inputs, outputs) in enumerate(zip((in_channels, *channels), channels, strict=False), start=1):
            made |= stage(number, inputs, outputs)
        self.features = nn.Sequential(made)
        # In one module, so that a decoder on the feature maps can leave it out.
        self.classifier = nn.Sequential(
            OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), linear=nn.Linear(channels[-1], num_classes))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Class scores (batch, classes) before the softmax; the feature maps where the classifier was left out."""
        scores: Tensor = self.classifier(self.features(x))
        return scores


def compact_recipe(name: str = "compact") -> Recipe:
    """The network without weights, for colour pictures of 96².

    >>> compact_recipe().build(7).classifier.linear.out_features
    7
    """
    return unpublished(
        name,
        lambda classes: Compact() if classes is None else Compact(classes),
        Preprocess(size=SIZE, resize=SIZE, mean=(0.5,) * 3, std=(0.25,) * 3),
        "classify",
    )
