"""FCN-32s, 16s and 8s on any network: its own feature maps scored, and brought together where they look.

The plan is that of :mod:`~unconv.models.fcn` (Long, Shelhamer & Darrell 2015); what that takes from VGG-16's layers is
found in the network by tracing it. No picture is padded by 100: a crop is computed for each pair of grids from the
pixels that their units are centred on, and scores at the border go on as they are (:class:`AlignedUpscore`).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.models.blocks.pyramid import Pyramid
from unconv.models.blocks.upscore import AlignedUpscore
from unconv.models.fcn import FCN, STRIDES
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, unpublished

HALF = Fraction(1, 2)


class FCNOn(nn.Module):
    """Class scores for every pixel from the last feature maps at strides 32, 16 and 8 of a network.

    Where the paper takes VGG's pool3 and pool4, the last maps of the same strides are taken here, so that nothing that
    the network computes at that resolution is left out. Layers that score begin at zero, those that upscale as bilinear
    interpolation.

    Args:
        backbone: any network that can be traced, with its weights; it is copied, and left as it was.
        classes: how many are told apart, the background included.
        stride: 32, 16 or 8.
        learned: whether the upscaling kernels are parameters.
        in_channels: of the picture.

    Raises ModelError for another stride, and where the network has no feature map at one that is needed.

    >>> import torch
    >>> from unconv.models.compact import Compact
    >>> model = FCNOn(Compact(10), classes=5)
    >>> model(torch.zeros(1, 3, 83, 96)).shape
    torch.Size([1, 5, 83, 96])
    >>> [level.name for level in model.backbone.levels]
    ['features', 'features.relu4_2', 'features.relu3_2']
    """

    def __init__(
        self,
        backbone: nn.Module,
        classes: int = 21,
        stride: int = 8,
        *,
        learned: bool = True,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise ModelError(f"fcn: stride {stride} is none of {', '.join(map(str, STRIDES))}")
        self.stride = stride
        self.backbone = Pyramid(backbone, [one for one in STRIDES if one >= stride], in_channels)
        levels = self.backbone.levels
        self.score = nn.ModuleDict({str(level.stride): nn.Conv2d(level.channels, classes, 1) for level in levels})
        for parameter in self.score.parameters():
            nn.init.zeros_(parameter)
        grids = [(level.stride, level.middle) for level in levels] + [(1, (HALF, HALF))]
        self.upscore = nn.ModuleDict()
        for (coarse, here), (fine, there) in pairwise(grids):
            shift = [(one - other) / fine for one, other in zip(here, there, strict=True)]
            self.upscore[f"{coarse}to{fine}"] = AlignedUpscore(classes, coarse // fine, shift, learned)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes height width"]:
        """Scores before the softmax, in the picture's size."""
        first, *finer = (score(maps) for score, maps in zip(self.score.values(), self.backbone(x), strict=True))
        scores: Tensor = first
        for upscore, own in zip(self.upscore.values(), [*finer, None], strict=True):
            scores = upscore(scores, (x if own is None else own).shape[2:])
            if own is not None:
                scores = scores + own
        return scores


def fcn_recipe(name: str, variant: str = "") -> Recipe:
    """FCN by name: on VGG-16 as published, or on the network that a variant names; 21 classes unless told.

    Args:
        name: ``fcn32s``, ``fcn16s`` or ``fcn8s``.
        variant: a MODEL string (``compact``, ``torchvision:resnet18``) for the backbone, which is not trained; and,
            behind a comma where both are given, ``fixed`` for upscaling that is not learned.

    >>> fcn_recipe("fcn8s", "compact,fixed").build(5).upscore["8to1"].up.learned
    False
    >>> fcn_recipe("fcn8s", "compact").preprocess.input_size, fcn_recipe("fcn8s").preprocess.input_size
    ((3, 96, 96), (3, 224, 224))
    """
    stride = int(name.removeprefix("fcn").removesuffix("s"))
    backbone, learned = variant, True
    if variant == "fixed" or variant.endswith(",fixed"):
        backbone, learned = variant[: -len("fixed")].removesuffix(","), False
    full = f"{name}:{variant}" if variant else name
    if not backbone:
        return unpublished(
            full,
            lambda classes: FCN(stride, 21 if classes is None else classes, learned=learned),
            Preprocess(resize=(224, 224)),
            "segment",
        )
    from unconv.models.load.resolve import recipe_of

    below = recipe_of(backbone)
    preprocess = replace(below.preprocess, resize=below.preprocess.size)

    def build(classes: int | None) -> nn.Module:
        count = 21 if classes is None else classes
        channels = preprocess.input_size[0]
        return FCNOn(below.build(None), count, stride, learned=learned, in_channels=channels)

    return unpublished(full, build, preprocess, "segment", below.notes)
