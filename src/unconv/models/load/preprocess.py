"""Preprocessing: from a picture to what a network was trained on, by resizing, cropping, normalising."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.choices import Fit as Fit, Interpolation as Interpolation
from unconv.data.arrays import finish_picture
from unconv.data.images import Image, read_images
from unconv.describe import by_size
from unconv.errors import ImageError, ModelError
from unconv.models.load.own_transform import OwnTransform
from unconv.tables import html_facts

# A strip one pixel high becomes millions wide before its centre is cut out.
MAX_RESIZED_PIXELS = 100_000_000


@tell_wrong_arguments
@dataclass(frozen=True)
class Preprocess:
    """How a network wants its pictures: (crop(resize(picture)) − mean) / std, channel by channel.

    The defaults are the ImageNet evaluation of torchvision, whose ``ImageClassification`` transform this equals.

    Attributes:
        size: (height, width) that the network is given: the centre of the resized picture.
        resize: (height, width) that the resized picture covers.
        mean: one value a channel, in [0, 1] pictures; their number is the number of channels.
        std: one value a channel.
        interpolation: ``"bilinear"``, ``"bicubic"`` (both antialiased) or ``"nearest"``.
        fit: ``"cover"`` keeps the aspect and resizes until both sides reach ``resize``, ``"stretch"`` to exactly that.
        own: a transform of the user's own, which does all of it in place of this; mean and std are what it is found to
            normalise with, so that its pictures can be shown. See :mod:`unconv.models.load.transforms`.

    Raises ModelError for values no picture could pass through.

    >>> preprocess = Preprocess()
    >>> preprocess(torch.rand(3, 300, 451)).shape
    torch.Size([1, 3, 224, 224])
    >>> preprocess.picture(torch.rand(1, 48, 64)).shape
    torch.Size([3, 224, 224])
    """

    size: tuple[int, int] = (224, 224)
    resize: tuple[int, int] = (256, 256)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bilinear"
    fit: Fit = "cover"
    own: OwnTransform | None = None

    def __post_init__(self) -> None:
        _check_sizes(self.size, self.resize)
        _check_normalisation(self.mean, self.std)
        if self.interpolation not in ("bilinear", "bicubic", "nearest"):
            raise ModelError(
                f"preprocess: interpolation {self.interpolation!r} is unknown; it is 'bilinear', 'bicubic' or 'nearest'"
            )
        if self.fit not in ("cover", "stretch"):
            raise ModelError(f"preprocess: fit {self.fit!r} is unknown; it is 'cover' or 'stretch'")

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(channels, height, width) of what the network is given.

        >>> Preprocess(size=(32, 48)).input_size
        (3, 32, 48)
        """
        return (len(self.mean), *self.size)

    def __call__(self, image: Any) -> Float[Tensor, "1 out_channels rows columns"]:
        """The batch of one that goes into the network; see ``picture`` for the same without normalisation.

        The image is a tensor (channels, height, width) in [0, 1], or a picture: a file, one of Pillow's, an array, or
        what ``read_images`` found. Raises ImageError for several pictures, and for one that cannot be read.

        >>> import numpy as np
        >>> Preprocess(size=(2, 2), resize=(2, 2))(np.zeros((5, 7, 3), dtype=np.uint8)).shape
        torch.Size([1, 3, 2, 2])
        """
        return self.normalise(self.picture(image if isinstance(image, Tensor) else _read(image)))[None]

    def picture(self, image: Float[Tensor, "channels height width"]) -> Float[Tensor, "out_channels rows columns"]:
        """The picture as the network sees it, still in [0, 1]: what a report puts beside a projection.

        Grey is repeated for a network of three channels, colour turned to grey for one of one; a network of any other
        number takes pictures of as many. Raises ImageError for pictures of another number of channels, and for strips
        so thin that covering ``resize`` makes them huge.

        >>> Preprocess(size=(2, 2), resize=(2, 2), fit="stretch").picture(torch.ones(3, 5, 7)).mean()
        tensor(1.)
        """
        channels = len(self.mean)
        takes = (1, 3) if channels in (1, 3) else (channels,)
        if image.ndim != 3 or image.shape[0] not in takes or 0 in image.shape:
            shape = f"({' or '.join(map(str, takes))}, height, width)"
            raise ImageError(f"picture of shape {tuple(image.shape)}: the network takes {shape}")
        return self.pictures(image[None])[0]

    def pictures(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """The same of several pictures of one size, at once.

        >>> Preprocess().pictures(torch.rand(5, 1, 28, 28)).shape
        torch.Size([5, 3, 224, 224])
        """
        if self.own is not None:
            return torch.stack([self._own_picture(self.own, image) for image in images])
        count, _, height, width = images.shape
        channels = len(self.mean)
        # One below the other: colours do not ask where a pixel is.
        column = images.to(torch.float32).transpose(0, 1).flatten(1, 2)
        if channels in (1, 3):
            column = finish_picture(column, None, "grey" if channels == 1 else "rgb", 1.0)
        planes = column.reshape(channels, count, height, width).transpose(0, 1).flatten(0, 1)
        return _centre(self._resized(planes), self.size).reshape(count, *self.input_size)

    def labels(self, mask: Integer[Tensor, "height width"]) -> Int64[Tensor, "rows columns"]:
        """The label image of a picture, resized and cropped as ``picture`` does it, each pixel to the nearest label.

        >>> Preprocess(size=(2, 2), resize=(2, 2)).labels(torch.tensor([[7, 7, 0, 0]] * 2))
        tensor([[7, 0],
                [7, 0]])
        """
        if self.own is not None:
            raise ImageError(f"labels: {self.own} does not say where a pixel lies; give Preprocess(...) instead")
        height, width = mask.shape
        rows, columns = self._resized_to((height, width))
        image = mask[None].to(torch.float32)
        if (rows, columns) != (height, width):
            image = F.interpolate(image[None], size=(rows, columns), mode="nearest-exact")[0]
        return _centre(image, self.size)[0].to(torch.int64)

    def normalise(
        self, picture: Float[Tensor, "*batch channels rows columns"]
    ) -> Float[Tensor, "*batch c rows columns"]:
        """(picture − mean) / std.

        >>> Preprocess().normalise(torch.zeros(3, 2, 2))[:, 0, 0]
        tensor([-2.1179, -2.0357, -1.8044])
        """
        mean, std = self._statistics(picture)
        return (picture - mean) / std

    def denormalise(
        self, values: Float[Tensor, "*batch channels rows columns"]
    ) -> Float[Tensor, "*batch c rows columns"]:
        """values · std + mean: from what the network was given back to a picture.

        >>> preprocess, picture = Preprocess(), torch.rand(3, 4, 4)
        >>> torch.allclose(preprocess.denormalise(preprocess.normalise(picture)), picture, atol=1e-6)
        True
        """
        mean, std = self._statistics(values)
        return values * std + mean

    def changed(
        self,
        size: tuple[int, int] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> Preprocess:
        """The same with another size, mean or std; the margin that is cropped away stays in proportion.

        Args:
            size: (height, width) for the network.
            mean: one value for every channel, or one a channel.
            std: likewise.

        Raises ModelError for values that do not fit the network's channels.

        >>> Preprocess().changed(size=(112, 112), mean=0.5).resize
        (128, 128)
        """
        resize = self.resize
        if size is mean is std is None:
            return self
        if self.own is not None:
            raise ModelError("preprocess: a transform of your own makes its own size, mean and std; change them there")
        if size is not None:
            _check_sizes(size, size)
            resize = (
                max(1, round(self.resize[0] * size[0] / self.size[0])),
                max(1, round(self.resize[1] * size[1] / self.size[1])),
            )
        channels = len(self.mean)
        return replace(
            self,
            size=self.size if size is None else size,
            resize=resize,
            mean=self.mean if mean is None else _per_channel("mean", mean, channels),
            std=self.std if std is None else _per_channel("std", std, channels),
        )

    def _repr_html_(self) -> str:
        return html_facts("Preprocess", [("input", by_size(self.input_size)), ("picture", str(self))])

    def to_dict(self) -> dict[str, Any]:
        """Its values by name, for files; raises ModelError where a transform of the user's own makes the pictures.

        >>> Preprocess().to_dict()["size"]
        (224, 224)
        """
        if self.own is not None:
            raise ModelError(f"preprocess: {self.own} cannot be written to a file; give Preprocess(...) instead")
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "own"}

    def __repr__(self) -> str:
        told = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "own" or self.own is not None}
        return f"Preprocess({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    def __str__(self) -> str:
        if self.own is not None:
            return f"prepared by {self.own}, {self.size[0]}x{self.size[1]}"
        how = "covering" if self.fit == "cover" else "stretched to"
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return (
            f"resized {how} {self.resize[0]}x{self.resize[1]} ({self.interpolation}), centre "
            f"{self.size[0]}x{self.size[1]}, mean ({mean}), std ({std})"
        )

    def _own_picture(self, own: OwnTransform, image: Tensor) -> Tensor:
        made = own(image)
        if tuple(made.shape) != self.input_size:
            raise ImageError(
                f"transform: {own} makes {tuple(made.shape)} of a picture {image.shape[-2]}x{image.shape[-1]}, and "
                f"{self.input_size} of others; let it end in one size"
            )
        return self.denormalise(made)

    def _statistics(self, values: Tensor) -> tuple[Tensor, Tensor]:
        if values.ndim < 3 or values.shape[-3] != len(self.mean):
            raise ImageError(f"picture of shape {tuple(values.shape)}: mean and std are for {len(self.mean)} channels")
        return values.new_tensor(self.mean).reshape(-1, 1, 1), values.new_tensor(self.std).reshape(-1, 1, 1)

    def _resized_to(self, size: tuple[int, int]) -> tuple[int, int]:
        rows, columns = self.resize if self.fit == "stretch" else covering_size(size, self.resize)
        if rows * columns > MAX_RESIZED_PIXELS:
            raise ImageError(
                f"picture {size[0]}x{size[1]}: covering {self.resize[0]}x{self.resize[1]} makes it {rows}x{columns}; "
                "crop it first"
            )
        return rows, columns

    def _resized(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        rows, columns = self._resized_to((height, width))
        if (rows, columns) == (height, width):
            return image
        smooth = self.interpolation != "nearest"
        resized = F.interpolate(
            image[None],
            size=(rows, columns),
            mode=self.interpolation,
            align_corners=False if smooth else None,
            antialias=smooth,
        )[0]
        # Bicubic weights are negative in places; a picture in bytes would have been clipped.
        return resized.clamp(0, 1)


def covering_size(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """The size that covers a box in the aspect of another: one side exact, the other rounded down as torchvision does.

    >>> covering_size((300, 451), (256, 256))
    (256, 384)
    """
    height, width = size
    rows, columns = box
    if height * columns <= width * rows:
        return rows, max(columns, rows * width // height)
    return max(rows, columns * height // width), columns


def _centre(image: Tensor, size: tuple[int, int]) -> Tensor:
    # Few published transforms ask for it: what is smaller than the crop is framed in black, the odd pixel last.
    down, right = (max(0, want - have) for have, want in zip(image.shape[-2:], size, strict=True))
    image = F.pad(image, (right // 2, right - right // 2, down // 2, down - down // 2))
    # round() halves to even, torchvision's choice of the middle.
    top, left = (round((have - want) / 2) for have, want in zip(image.shape[-2:], size, strict=True))
    return image[:, top : top + size[0], left : left + size[1]].contiguous()


def _check_sizes(size: tuple[int, int], resize: tuple[int, int]) -> None:
    for height, width in (size, resize):
        if height < 1 or width < 1:
            raise ModelError(f"preprocess: size {height}x{width} is no picture; both sides must be at least 1")
        if height * width > MAX_RESIZED_PIXELS:
            raise ModelError(f"preprocess: size {height}x{width} exceeds {MAX_RESIZED_PIXELS:,} pixels")


def _check_normalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    if not mean or len(std) != len(mean):
        raise ModelError(f"preprocess: {len(mean)} means and {len(std)} stds; give one of each for every channel")
    if not all(abs(value) <= 1 for value in mean):
        raise ModelError(f"preprocess: mean {mean} lies outside pictures, which are in [0, 1]; divide by 255")
    if not all(math.isfinite(value) and value > 0 for value in std):
        raise ModelError(f"preprocess: std {std} must be positive and finite, it is divided by")


def _per_channel(name: str, values: float | Sequence[float], channels: int) -> tuple[float, ...]:
    several = (float(values),) if isinstance(values, int | float) else tuple(float(value) for value in values)
    if len(several) == 1:
        return several * channels
    if len(several) != channels:
        raise ModelError(f"preprocess: {len(several)} values of {name} for {channels} channels; give 1 or {channels}")
    return several


def _read(image: Any) -> Tensor:
    """The tensor of one picture, however it is held."""
    if isinstance(image, Image):
        return image.tensor
    found = read_images(image)
    if len(found) != 1:
        raise ImageError(
            f"preprocess: {len(found)} pictures; a network's input is made of one, so give them one by one"
        )
    return found[0].tensor
