"""AlexNet as it was published: two towers, local response normalisation, overlapping pooling.

A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.
The network was spread over two GPUs: a kernel of layers 2, 4 and 5 sees only the half of the maps that lies on its own
(``groups=2``), a kernel of layer 3 sees all. After layers 1 and 2 comes, in this order, the rectifier, the
normalisation of section 3.3 and max-pooling of 3×3 with stride 2 (section 3.4). torchvision's ``alexnet`` is the later
network of one tower (Krizhevsky 2014), without normalisation and with other channels.

The paper's figure says 224×224; its layers fit 227×227, which is what everybody gives it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from unconv.models.blocks.fixed_size import fixed_maps
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, unpublished

SIDE = 227
HIDDEN = 4096


class Layer(NamedTuple):
    """One convolution of the paper, and what follows its rectifier."""

    channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    normalised: bool = False
    pooled: bool = False
    bias: float = 0.0
    """What its biases begin with: ones give the rectifier something to pass from the start (section 5)."""


LAYERS = (
    Layer(96, kernel_size=11, stride=4, normalised=True, pooled=True),
    Layer(256, kernel_size=5, padding=2, groups=2, normalised=True, pooled=True, bias=1.0),
    Layer(384, kernel_size=3, padding=1),
    Layer(384, kernel_size=3, padding=1, groups=2, bias=1.0),
    Layer(256, kernel_size=3, padding=1, groups=2, pooled=True, bias=1.0),
)


def response_norm() -> nn.LocalResponseNorm:
    """b_i = a_i / (k + α·Σ_j a_j²)^β over n = 5 neighbouring maps j; k = 2, α = 10⁻⁴, β = 0.75 (section 3.3).

    torch takes the mean where the paper has the sum: its ``alpha`` is n·α.

    >>> response_norm()
    LocalResponseNorm(5, alpha=0.0005, beta=0.75, k=2.0)
    """
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def features() -> nn.Sequential:
    """The convolutions and what is between them, by the paper's numbers.

    >>> list(dict(features().named_children()))[:5]
    ['conv1', 'relu1', 'norm1', 'pool1', 'conv2']
    """
    made: OrderedDict[str, nn.Module] = OrderedDict()
    before = 3
    for number, layer in enumerate(LAYERS, start=1):
        made[f"conv{number}"] = started(
            nn.Conv2d(before, layer.channels, layer.kernel_size, layer.stride, layer.padding, groups=layer.groups),
            layer.bias,
        )
        made[f"relu{number}"] = nn.ReLU()
        if layer.normalised:
            made[f"norm{number}"] = response_norm()
        if layer.pooled:
            made[f"pool{number}"] = nn.MaxPool2d(3, stride=2)
        before = layer.channels
    return nn.Sequential(made)


def classifier(inputs: int, num_classes: int, dropout: float, bias: float) -> nn.Sequential:
    """Layers 6 to 8: fully connected, dropout before the two hidden ones, whose biases begin with ``bias``.

    >>> [name for name, _ in classifier(9216, 1000, 0.5, bias=1.0).named_children()]
    ['drop6', 'linear6', 'relu6', 'drop7', 'linear7', 'relu7', 'linear8']
    """
    return nn.Sequential(
        OrderedDict(
            drop6=nn.Dropout(dropout),
            linear6=started(nn.Linear(inputs, HIDDEN), bias),
            relu6=nn.ReLU(),
            drop7=nn.Dropout(dropout),
            linear7=started(nn.Linear(HIDDEN, HIDDEN), bias),
            relu7=nn.ReLU(),
            linear8=started(nn.Linear(HIDDEN, num_classes), 0.0),
        )
    )


def started(layer: nn.Conv2d | nn.Linear, bias: float) -> nn.Module:
    """A layer of torch's with the paper's first weights: normal, standard deviation 0.01 (section 5).

    >>> layer = started(nn.Linear(100, 50), 1.0)
    >>> bool(layer.weight.std() < 0.012), bool((layer.bias == 1).all())
    (True, True)
    """
    assert layer.bias is not None
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.constant_(layer.bias, bias)
    return layer


class AlexNet(nn.Module):
    """AlexNet of 2012, two towers: 60,965,224 parameters with 1000 classes.

    Args:
        num_classes: number of classes the last layer tells apart.
        dropout: probability of dropping a feature before either hidden linear layer, in training.

    Takes colour pictures (batch, 3, 227, 227), values of 0 to 255 with the mean taken off, and returns the class scores
    before the softmax. Raises ModelError for pictures of another size.

    >>> import torch
    >>> model = AlexNet().eval()
    >>> model(torch.zeros(1, 3, 227, 227)).shape, sum(parameter.numel() for parameter in model.parameters())
    (torch.Size([1, 1000]), 60965224)
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features()
        self.classifier = classifier(LAYERS[-1].channels * 6 * 6, num_classes, dropout, bias=1.0)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Class scores before the softmax."""
        maps = fixed_maps("alexnet-two-tower", self.features, x, (SIDE, SIDE), (6, 6))
        scores: Tensor = self.classifier(maps.flatten(1))
        return scores


def alexnet_recipe(name: str = "alexnet-two-tower") -> Recipe:
    """The network, with the paper's pictures: the shorter side 256, the mean taken off, values of 0 to 255.

    >>> alexnet_recipe().preprocess.input_size
    (3, 227, 227)
    """
    return unpublished(
        name,
        lambda classes: AlexNet() if classes is None else AlexNet(classes),
        Preprocess(size=(SIDE, SIDE), std=(1 / 255,) * 3),
        train="classify",
    )
