"""U-Net: a path down that halves and doubles channels, a path up that meets it at every size.

O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015
(arXiv:1505.04597), figure 1::

    picture ▸ 64 ─────────────── copy ──────────────▸ 64 ▸ 1×1 ▸ scores
               ▾ pool                           up ▴
               128 ─────────── copy ─────────▸ 128
                ▾ pool                      up ▴
                256 … 512 … 1024 … 512 … 256

Each number is two convolutions 3×3, each rectified. The paper leaves them unpadded, so that maps shrink and copies are
cropped, and gives a border of mirrored pixels to the picture; here they are padded unless told otherwise, so that
scores have the picture's size. Poolings then round up, and the path up leaves out the last cells where a size is odd:
any size is met. The layer that doubles is the paper's transposed convolution 2×2, or another by its name.

A light one's path down is the network :mod:`~unconv.models.compact`, so that it may begin with what that has learned
(:func:`~unconv.models.transfer_weights.carry_over`): the whole of the figure stands on pictures of half the size,
which the first convolution makes, and poolings are 3×3. One convolution follows each copy, and the last layer that
doubles makes the scores.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count, pairwise

from jaxtyping import Float
from torch import Tensor, cat, nn

from unconv.choices import UpsamplerName
from unconv.errors import ModelError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, nearest, unpublished
from unconv.upsample.upsamplers import UPSAMPLERS, upsampler, upsampler_name

CHANNELS = (64, 128, 256, 512, 1024)
LIGHT = (24, 48, 96, 128, 160)
PUBLISHED_UPSAMPLER: UpsamplerName = "transposed-k2"


def convolutions(
    count: int, inputs: int, outputs: int, padding: str, normalised: bool, stride: int = 1
) -> nn.Sequential:
    """Convolutions 3×3, each rectified, with batch normalisation in between where asked for; the first may stride.

    >>> import torch
    >>> convolutions(2, 3, 8, "valid", False)(torch.zeros(1, 3, 20, 9)).shape
    torch.Size([1, 8, 16, 5])
    """
    made: OrderedDict[str, nn.Module] = OrderedDict()
    for step in range(1, count + 1):
        padded, steps = 1 if padding == "same" else 0, stride if step == 1 else 1
        layer = nn.Conv2d(inputs, outputs, 3, steps, padded, bias=not normalised)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        made[f"conv{step}"] = layer
        if normalised:
            made[f"norm{step}"] = nn.BatchNorm2d(outputs)
        made[f"relu{step}"] = nn.ReLU()
        inputs = outputs
    return nn.Sequential(made)


class UNet(nn.Module):
    """Class scores for every pixel, of a picture of any size.

    Args:
        classes: how many are told apart, the background included.
        in_channels: of the picture.
        channels: at each size, the largest first; each next one is half as large.
        up: the layer that doubles, by its name: see :func:`~unconv.upsample.upsamplers.upsampler`.
        padding: ``"same"``, or ``"valid"`` as published, with scores for the inner pixels: 388² of 572².
        normalised: batch normalisation before each rectifier, which the paper does not have yet.
        light: on pictures of half the size, with one convolution behind each copy, see above; a third of the
            arithmetic.

    Raises ModelError for a padding that is neither, or not ``"same"`` where it is light, and, where a picture goes
    through, for a size at which a valid pooling would leave out a row; UnconvError for an upsampler of another name.

    >>> import torch
    >>> UNet(2, channels=(8, 16, 32))(torch.zeros(1, 3, 83, 96)).shape
    torch.Size([1, 2, 83, 96])
    >>> with torch.device("meta"):
    ...     UNet(2, in_channels=1, padding="valid")(torch.zeros(1, 1, 572, 572)).shape
    torch.Size([1, 2, 388, 388])
    """

    def __init__(
        self,
        classes: int = 2,
        in_channels: int = 3,
        channels: Sequence[int] = CHANNELS,
        *,
        up: UpsamplerName = PUBLISHED_UPSAMPLER,
        padding: str = "same",
        normalised: bool = False,
        light: bool = False,
    ) -> None:
        super().__init__()
        if padding not in ("same", "valid"):
            raise ModelError(f"unet: padding {padding!r} is neither 'same' nor 'valid'")
        if light and padding != "same":
            raise ModelError("unet: a light one has padding 'same'; valid convolutions are those of the full one")
        self.padding, self.light = padding, light
        kind = padding, normalised
        first = convolutions(2, in_channels, channels[0], *kind, stride=2 if light else 1)
        self.down = nn.ModuleList([first, *(convolutions(2, one, two, *kind) for one, two in pairwise(channels))])
        self.pool = nn.ModuleList(
            nn.MaxPool2d(3, stride=2, padding=1) if light else nn.MaxPool2d(2, ceil_mode=padding == "same")
            for _ in channels[1:]
        )
        steps = [(coarse, fine) for fine, coarse in reversed(list(pairwise(channels)))]
        self.up = nn.ModuleList(upsampler(up, coarse, fine) for coarse, fine in steps)
        self.join = nn.ModuleList(convolutions(1 if light else 2, 2 * fine, fine, *kind) for _, fine in steps)
        self.score = upsampler(up, channels[0], classes) if light else nn.Conv2d(channels[0], classes, 1)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes rows columns"]:
        """Scores before the softmax: for every pixel, or with valid convolutions for those inside."""
        copies = []
        picture = x
        for layers, pool in zip(self.down, [*self.pool, None], strict=True):
            x = layers(x)
            if pool is not None:
                self._check(x, picture)
                copies.append(x)
                x = pool(x)
        for up, join, copy in zip(self.up, self.join, reversed(copies), strict=True):
            x = up(x, copy) if self.padding == "same" else up(x)
            x = join(cat([centre(copy, x), x], dim=1))
        scores: Tensor = self.score(x, picture) if self.light else self.score(x)
        return scores

    def _check(self, x: Tensor, picture: Tensor) -> None:
        """The paper's rule: every pooling is to be given an even size."""
        if self.padding == "valid" and (x.shape[2] % 2 or x.shape[3] % 2):
            height, width = picture.shape[2:]
            fitting = [next(one for one in count(size) if self._fits(one)) for size in (height, width)]
            raise ModelError(
                f"unet: with valid convolutions a picture of {height}x{width} comes to {x.shape[2]}x{x.shape[3]} "
                f"before a pooling, which needs even sizes; the next picture that fits is {fitting[0]}x{fitting[1]}"
            )

    def _fits(self, size: int) -> bool:
        for _ in self.pool:
            size -= 4
            if size <= 0 or size % 2:
                return False
            size //= 2
        return size > 4


def centre(x: Tensor, size_of: Tensor) -> Tensor:
    """The central cells of a feature map, as many as another one has.

    >>> import torch
    >>> centre(torch.arange(5.0).view(1, 1, 1, 5), torch.zeros(1, 1, 1, 3))
    tensor([[[[1., 2., 3.]]]])
    """
    for axis in (2, 3):
        size = size_of.shape[axis]
        if x.shape[axis] != size:
            x = x.narrow(axis, (x.shape[axis] - size) // 2, size)
    return x


def unet_recipe(name: str, variant: str | None = None) -> Recipe:
    """U-Net by name, for colour pictures: ``unet`` as wide as published, ``unet-small`` a light one.

    The small one has batch normalisation and the compact network's widths, so that it trains in minutes.

    Args:
        name: ``unet`` or ``unet-small``.
        variant: the layer that doubles, the published one unless told.

    Raises ModelError for one that there is not.

    >>> unet_recipe("unet-small", "resize").build(5).up[0]
    Doubling(
      'resize'
      (layer): ResizeConv2d(...
    >>> unet_recipe("unet", "cubic")
    Traceback (most recent call last):
    unconv.errors.ModelError: unet:cubic: no such upsampler; they are transposed-k2, ... bilinear
    """
    up = PUBLISHED_UPSAMPLER if variant is None else upsampler_name(variant)
    full = name if variant is None else f"{name}:{variant}"
    if up not in UPSAMPLERS:
        close = nearest(up, UPSAMPLERS, f"{name}:")
        raise ModelError(f"{full}: no such upsampler; they are {', '.join(UPSAMPLERS)}{close}")
    small = name == "unet-small"
    side = 96 if small else 256

    def build(classes: int | None) -> nn.Module:
        count = 2 if classes is None else classes
        return UNet(count, channels=LIGHT if small else CHANNELS, up=up, normalised=small, light=small)

    preprocess = Preprocess(size=(side, side), resize=(side, side), mean=(0.5,) * 3, std=(0.25,) * 3)
    return unpublished(full, build, preprocess, "segment")
