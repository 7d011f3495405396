"""ZFNet for pictures of 28×28: five convolutions, rectifiers, overlapping max-pooling.

M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (arXiv:1311.2901, 2013),
figure 3: two convolutions, each rectified, max-pooled (3×3, stride 2) and normalised, three more of 3×3 behind one
another, a last pooling, fully connected layers with dropout. Here the picture has an eighth of the side, so the
convolutions have stride 1, the first ones smaller kernels, and there are fewer channels. Batch normalisation stands
before each rectifier in place of the paper's contrast normalisation: in evaluation it is a scale and an offset, so
that the way back to the pixels stays Cᵀ, rectification and unpooling, as in section 2.1.

Layers carry the paper's numbers: ``features.conv2`` is the bare convolution of layer 2, ``features.relu2`` its
rectified feature maps, ``features.pool2`` what is left of them.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from unconv.data.fashion import CLASSES, MEAN, SIZE, STD
from unconv.models.blocks.fixed_size import fixed_maps
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe

WEIGHTS = Path(__file__).with_name("shipped") / "zfnet28.safetensors"

CHANNELS = (32, 64, 96, 96, 64)
KERNELS = (5, 3, 3, 3, 3)
# 28 → 14 → 7 → 3, by layer; padded where the size is even, so that windows reach the borders.
POOLING_PADDING = {1: 1, 2: 1, 5: 0}
HIDDEN = 128


def layers() -> OrderedDict[str, nn.Module]:
    """Convolution, normalisation, rectifier and, in layers 1, 2 and 5, pooling, by name.

    >>> list(layers())[:4], list(layers())[-1]
    (['conv1', 'norm1', 'relu1', 'pool1'], 'pool5')
    """
    made: OrderedDict[str, nn.Module] = OrderedDict()
    before = 1
    for number, (channels, kernel_size) in enumerate(zip(CHANNELS, KERNELS, strict=True), start=1):
        made[f"conv{number}"] = nn.Conv2d(before, channels, kernel_size, padding=kernel_size // 2, bias=False)
        made[f"norm{number}"] = nn.BatchNorm2d(channels)
        made[f"relu{number}"] = nn.ReLU()
        if number in POOLING_PADDING:
            made[f"pool{number}"] = nn.MaxPool2d(3, stride=2, padding=POOLING_PADDING[number])
        before = channels
    return made


class ZFNet28(nn.Module):
    """Zeiler & Fergus's network (2013, figure 3) at 28×28: 288,618 parameters with ten classes.

    Args:
        num_classes: number of classes the last layer tells apart.
        dropout: probability of dropping a feature before either linear layer, in training.

    Takes grey pictures (batch, 1, 28, 28), normalised, and returns the class scores before the softmax. Raises
    ModelError for pictures of another size.

    >>> import torch
    >>> model = ZFNet28().eval()
    >>> model(torch.zeros(2, 1, 28, 28)).shape, model.features(torch.zeros(2, 1, 28, 28)).shape
    (torch.Size([2, 10]), torch.Size([2, 64, 3, 3]))
    >>> sum(parameter.numel() for parameter in model.parameters())
    288618
    """

    def __init__(self, num_classes: int = 10, dropout: float = 0.3) -> None:
        super().__init__()
        self.features = nn.Sequential(layers())
        self.classifier = nn.Sequential(
            OrderedDict(
                drop6=nn.Dropout(dropout),
                linear6=nn.Linear(CHANNELS[-1] * 3 * 3, HIDDEN),
                relu6=nn.ReLU(),
                drop7=nn.Dropout(dropout),
                linear7=nn.Linear(HIDDEN, num_classes),
            )
        )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """Class scores before the softmax."""
        scores: Tensor = self.classifier(fixed_maps("zfnet-28", self.features, x, SIZE, (3, 3)).flatten(1))
        return scores


def zfnet28_recipe(name: str = "zfnet-28") -> Recipe:
    """The network with the weights that come with unconv, trained on Fashion-MNIST.

    >>> zfnet28_recipe().preprocess.input_size
    (1, 28, 28)
    """

    def pretrained() -> nn.Module:
        from unconv.models.load.weights.files import read_state_dict

        module = ZFNet28()
        module.load_state_dict(read_state_dict(WEIGHTS))
        return module

    return Recipe(
        name=name,
        build=lambda classes: ZFNet28() if classes is None else ZFNet28(classes),
        pretrained=pretrained,
        weights="Fashion-MNIST weights that come with unconv (clothes in white on black)",
        preprocess=Preprocess(size=SIZE, resize=SIZE, mean=(MEAN,), std=(STD,)),
        classes=lambda: CLASSES,
    )
