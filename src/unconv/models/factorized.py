"""A small network for pictures of 28×28 whose convolutions can be exchanged, at equal cost, for factorized ones.

M. Wang, B. Liu, H. Foroosh, "Factorized Convolutional Neural Networks", arXiv:1608.04337 (2016), for the layers; see
``factorized_layers``. The network is there to compare them and is as plain as it can be: a convolution of 3×3 from one
map to n, twice two layers of one kind, n maps to n, each followed by batch normalisation and a rectifier, max-pooling
before each pair, the mean over all positions, one linear layer.

The kinds are ``standard`` (3×3), ``depthwise`` (each map filtered, normalised and rectified, then projected, as in
A. G. Howard et al., "MobileNets", arXiv:1704.04861, 2017), ``single``, ``topological`` and ``bottleneck``. Each gets
the width n at which the network takes as many multiply-accumulates as the standard one with 32 maps, or nearly.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from math import ceil, isqrt

from jaxtyping import Float
from torch import Tensor, nn

from unconv.data.fashion import MEAN, SIZE, STD
from unconv.errors import ModelError
from unconv.models.factorized_layers import (
    SingleIntraChannel,
    SpatialBottleneck,
    Topological,
    bottleneck_macs,
    single_macs,
    standard_macs,
    topological_macs,
)
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, nearest, unpublished

KINDS = ("standard", "depthwise", "single", "topological", "bottleneck")
KERNEL_SIZE = 3
# Of the bottleneck: what its projection leaves out are three positions of four.
STEP = 2
CLASSES, LAYERS_OF_A_STAGE = 10, 2
# Behind the poolings.
STAGES = ((14, 14), (7, 7))
STANDARD_WIDTH = 32
WIDEST = 1024


def torus_of(width: int) -> tuple[int, int]:
    """The torus nearest to a square that holds so many maps.

    >>> torus_of(96), torus_of(7)
    ((8, 12), (1, 7))
    """
    side = next(side for side in range(isqrt(width), 0, -1) if width % side == 0)
    return side, width // side


def neighbourhood_of(width: int) -> tuple[int, int]:
    """Half of the torus along each axis: a quarter of all connections.

    >>> neighbourhood_of(96)
    (4, 6)
    """
    rows, columns = torus_of(width)
    return ceil(rows / 2), ceil(columns / 2)


def check_kind(kind: str) -> None:
    """Raise ModelError for a kind of layer that does not exist.

    >>> check_kind("singel")
    Traceback (most recent call last):
    unconv.errors.ModelError: factorized: kind 'singel' is unknown; it is one of standard, depthwise, single,
    topological, bottleneck; did you mean single?
    """
    if kind not in KINDS:
        raise ModelError(f"factorized: kind {kind!r} is unknown; it is one of {', '.join(KINDS)}{nearest(kind, KINDS)}")


def layer_of(kind: str, width: int) -> nn.Module:
    """One layer of a kind, n maps to n.

    >>> import torch
    >>> [layer_of(kind, 12)(torch.zeros(1, 12, 7, 7)).shape[1:] for kind in KINDS] == [(12, 7, 7)] * 5
    True
    """
    check_kind(kind)
    if kind == "standard":
        return nn.Conv2d(width, width, KERNEL_SIZE, padding=KERNEL_SIZE // 2)
    if kind == "depthwise":
        return nn.Sequential(
            OrderedDict(
                spatial=nn.Conv2d(width, width, KERNEL_SIZE, padding=KERNEL_SIZE // 2, groups=width, bias=False),
                norm=nn.BatchNorm2d(width),
                relu=nn.ReLU(),
                project=nn.Conv2d(width, width, 1),
            )
        )
    if kind == "single":
        return SingleIntraChannel(width, KERNEL_SIZE)
    if kind == "topological":
        return Topological(torus_of(width), KERNEL_SIZE, neighbourhood_of(width))
    return SpatialBottleneck(width, STEP)


def layer_macs(kind: str, width: int, size: tuple[int, int]) -> int:
    """MACs of such a layer for maps of a size, by the published formulas.

    >>> layer_macs("depthwise", 64, (14, 14)) == layer_macs("single", 64, (14, 14))
    True
    """
    check_kind(kind)
    if kind == "standard":
        return standard_macs(width, KERNEL_SIZE, size)
    if kind == "topological":
        return topological_macs(width, KERNEL_SIZE, neighbourhood_of(width), size)
    return bottleneck_macs(width, STEP, size) if kind == "bottleneck" else single_macs(width, KERNEL_SIZE, size)


def network_macs(kind: str, width: int) -> int:
    """MACs of the whole network for one picture of 28×28, with ten classes.

    >>> network_macs("standard", 32)
    4741952
    """
    stem = width * KERNEL_SIZE**2 * SIZE[0] * SIZE[1]
    return stem + LAYERS_OF_A_STAGE * sum(layer_macs(kind, width, size) for size in STAGES) + width * CLASSES


@cache
def width_for(kind: str, macs: int) -> int:
    """The width at which a network of some kind takes as nearly as can be so many MACs.

    For the topological kind only widths whose torus is at most twice as long as wide are looked at: others are rings.

    Raises ModelError where even one map takes more than twice as many.

    >>> {kind: width_for(kind, network_macs("standard", STANDARD_WIDTH)) for kind in KINDS}
    {'standard': 32, 'depthwise': 87, 'single': 87, 'topological': 150, 'bottleneck': 162}
    """
    rings = kind != "topological"
    widths = [width for width in range(1, WIDEST + 1) if rings or torus_of(width)[1] <= 2 * torus_of(width)[0]]
    best = min(widths, key=lambda width: abs(network_macs(kind, width) - macs))
    if not macs / 2 <= network_macs(kind, best) <= 2 * macs:
        raise ModelError(
            f"factorized: no width of the {kind} network takes about {macs:,} MACs; the nearest is {best} with "
            f"{network_macs(kind, best):,}"
        )
    return best


class FactorizedNet(nn.Module):
    """Six layers for 28×28, four of them of a kind that can be chosen.

    Args:
        kind: ``"standard"``, ``"depthwise"``, ``"single"``, ``"topological"`` or ``"bottleneck"``.
        num_classes: number of classes the last layer tells apart.
        width: number of maps; unless given, that of equal MACs.

    Takes grey pictures (batch, 1, 28, 28), others of at least 4×4 too, and returns the class scores before the softmax.
    Raises ModelError for another kind.

    >>> import torch
    >>> FactorizedNet("topological")(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, kind: str = "single", num_classes: int = CLASSES, width: int | None = None) -> None:
        super().__init__()
        check_kind(kind)
        if width is None:
            width = width_for(kind, network_macs("standard", STANDARD_WIDTH))
        made: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(1, width, KERNEL_SIZE, padding=KERNEL_SIZE // 2, bias=False),
            norm1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(),
        )
        for stage in range(len(STAGES)):
            made[f"pool{stage + 1}"] = nn.MaxPool2d(2)
            for number in range(2 + LAYERS_OF_A_STAGE * stage, 2 + LAYERS_OF_A_STAGE * (stage + 1)):
                made[f"conv{number}"] = layer_of(kind, width)
                made[f"norm{number}"] = nn.BatchNorm2d(width)
                made[f"relu{number}"] = nn.ReLU()
        self.features = nn.Sequential(made)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch classes"]:
        """Class scores before the softmax."""
        scores: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return scores


def factorized_recipe(name: str = "factorized", variant: str | None = None) -> Recipe:
    """The network of one kind, for Fashion-MNIST; of the single intra-channel kind unless told.

    >>> factorized_recipe(variant="bottleneck").name
    'factorized:bottleneck'
    """
    kind = variant or "single"
    return unpublished(
        f"{name}:{variant}" if variant else name,
        lambda classes: FactorizedNet(kind) if classes is None else FactorizedNet(kind, classes),
        Preprocess(size=SIZE, resize=SIZE, mean=(MEAN,), std=(STD,)),
        train="classify",
    )
