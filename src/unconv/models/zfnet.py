"""ZFNet: AlexNet in one tower, with a finer first layer; the network in which the deconvnet was shown.

M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (arXiv:1311.2901, 2013),
figure 3. Layer 1 has kernels of 7×7 with stride 2 in place of 11×11 with stride 4, and layer 2 has stride 2, because
projections of AlexNet showed dead features and aliasing. After layers 1 and 2 comes, in this order, the rectifier,
max-pooling of 3×3 with stride 2, and contrast normalisation across feature maps.

The figure's sizes 224 → 110 → 55 → 26 → 13 → 6 follow from padding 1 in layer 1 and pooling that rounds up. The paper
says nothing of the constants of its normalisation: AlexNet's are taken. First weights have AlexNet's spread of 0.01,
and biases begin with 0 (section 3).
"""

from __future__ import annotations

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

from unconv.models.alexnet import Layer, classifier, response_norm, started
from unconv.models.blocks.fixed_size import fixed_maps
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, unpublished

SIDE = 224
LAYERS = (
    Layer(96, kernel_size=7, stride=2, padding=1, normalised=True, pooled=True),
    Layer(256, kernel_size=5, stride=2, normalised=True, pooled=True),
    Layer(384, kernel_size=3, padding=1),
    Layer(384, kernel_size=3, padding=1),
    Layer(256, kernel_size=3, padding=1, pooled=True),
)


def features() -> nn.Sequential:
    """The convolutions and what is between them, by the paper's numbers.

    >>> list(dict(features().named_children()))[:5]
    ['conv1', 'relu1', 'pool1', 'norm1', 'conv2']
    """
    made: OrderedDict[str, nn.Module] = OrderedDict()
    before = 3
    for number, layer in enumerate(LAYERS, start=1):
        convolution = nn.Conv2d(before, layer.channels, layer.kernel_size, layer.stride, layer.padding)
        made[f"conv{number}"] = started(convolution, bias=0.0)
        made[f"relu{number}"] = nn.ReLU()
        if layer.pooled:
            made[f"pool{number}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if layer.normalised:
            made[f"norm{number}"] = response_norm()
        before = layer.channels
    return nn.Sequential(made)


class ZFNet(nn.Module):
    """Zeiler & Fergus's network (2013, figure 3): 62,357,608 parameters with 1000 classes.

    Args:
        num_classes: number of classes the last layer tells apart.
        dropout: probability of dropping a feature before either hidden linear layer, in training.

    Takes colour pictures (batch, 3, 224, 224), values of 0 to 255 with the mean taken off, and returns the class scores
    before the softmax. Raises ModelError for pictures of another size.

    >>> import torch
    >>> model = ZFNet().eval()
    >>> model(torch.zeros(1, 3, 224, 224)).shape, sum(parameter.numel() for parameter in model.parameters())
    (torch.Size([1, 1000]), 62357608)
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features()
        self.classifier = classifier(LAYERS[-1].channels * 6 * 6, num_classes, dropout, bias=0.0)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Class scores before the softmax."""
        maps = fixed_maps("zfnet", self.features, x, (SIDE, SIDE), (6, 6))
        scores: Tensor = self.classifier(maps.flatten(1))
        return scores


def zfnet_recipe(name: str = "zfnet") -> Recipe:
    """The network, with the paper's pictures: the shorter side 256, the mean taken off, values of 0 to 255.

    >>> zfnet_recipe().preprocess.input_size
    (3, 224, 224)
    """
    return unpublished(
        name,
        lambda classes: ZFNet() if classes is None else ZFNet(classes),
        Preprocess(size=(SIDE, SIDE), std=(1 / 255,) * 3),
        train="classify",
    )
