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
from unconv.data.read.reading import Reading
from unconv.describe import by_size
from unconv.errors import ImageError, ModelError
from unconv.models.load.own_transform import OwnTransform
from unconv.models.load.resizing import (
    centre_crop,
    check_sizes,
    check_unit_range,
    middle_frames,
    resize,
    resized_size,
)
from unconv.tables import html_facts


@tell_wrong_arguments
@dataclass(frozen=True)
class Preprocess:
    """How a network wants its pictures: (crop(resize(picture)) − mean) / std, channel by channel.

    The defaults are the ImageNet evaluation of torchvision, whose ``ImageClassification`` transform this equals.

    Attributes:
        size: (height, width) that the network is given: the centre of the resized picture; (frames, height, width) of
            a video or a volume, whose middle frames are taken; () for clips of any size as they are.
        resize: (height, width) that the resized picture covers; () for clips whose frames are not resized.
        mean: one value a channel, in [0, 1] pictures; their number is the number of channels.
        std: one value a channel.
        interpolation: ``"bilinear"``, ``"bicubic"`` (both antialiased) or ``"nearest"``.
        fit: ``"cover"`` keeps the aspect and resizes until both sides reach ``resize``, ``"stretch"`` to exactly that.
        antialias: whether what is made smaller is smoothed; torchvision's video networks want it not.
        own: a transform of the user's own, which does all of it in place of this; mean and std are what it is found to
            normalise with, so that its pictures can be shown. See :mod:`unconv.models.load.transforms`.

    Raises ModelError for values no picture could pass through.

    >>> preprocess = Preprocess()
    >>> preprocess(torch.rand(3, 300, 451)).shape
    torch.Size([1, 3, 224, 224])
    >>> preprocess.picture(torch.rand(1, 48, 64)).shape
    torch.Size([3, 224, 224])
    """

    size: tuple[int, ...] = (224, 224)
    resize: tuple[int, ...] = (256, 256)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bilinear"
    fit: Fit = "cover"
    own: OwnTransform | None = None
    antialias: bool = True

    def __post_init__(self) -> None:
        check_sizes(self.size, self.resize)
        _check_normalisation(self.mean, self.std)
        if self.interpolation not in ("bilinear", "bicubic", "nearest"):
            raise ModelError(
                f"preprocess: interpolation {self.interpolation!r} is unknown; it is 'bilinear', 'bicubic' or 'nearest'"
            )
        if self.fit not in ("cover", "stretch"):
            raise ModelError(f"preprocess: fit {self.fit!r} is unknown; it is 'cover' or 'stretch'")

    @property
    def input_size(self) -> tuple[int, ...]:
        """(channels, height, width) of what the network is given, frames before the height; () where that is left open.

        >>> Preprocess(size=(32, 48)).input_size, Preprocess(size=(16, 32, 48)).input_size
        ((3, 32, 48), (3, 16, 32, 48))
        """
        return (len(self.mean), *self.size) if self.size else ()

    @property
    def reading(self) -> Reading:
        """How pictures are read for it: with which channels, and whether they are clips.

        >>> Preprocess(mean=(0.0,) * 4, std=(1.0,) * 4).reading.channels
        4
        """
        return Reading(channels=None if self.own is not None else len(self.mean), clips=len(self.size) != 2)

    def __call__(self, image: Any) -> Float[Tensor, "1 out_channels *out_size"]:
        """The batch of one that goes into the network; see ``picture`` for the same without normalisation.

        The image is a tensor (channels, height, width) in [0, 1], or a picture: a file, one of Pillow's, an array, or
        what ``read_images`` found. Raises ImageError for several pictures, and for one that cannot be read.

        >>> import numpy as np
        >>> Preprocess(size=(2, 2), resize=(2, 2))(np.zeros((5, 7, 3), dtype=np.uint8)).shape
        torch.Size([1, 3, 2, 2])
        """
        tensor = image if isinstance(image, Tensor) else _read(image)
        fitted = self.fitted(tensor.shape)
        return fitted.normalise(fitted.picture(tensor))[None]

    def fitted(self, shape: Sequence[int]) -> Preprocess:
        """The same for clips like one of that shape (channels, frames, height, width): what is left open is as there.

        >>> Preprocess(size=(32, 32)).fitted((3, 16, 60, 80)).size
        (16, 32, 32)
        """
        if len(shape) != 4 or len(self.size) == 3:
            return self
        frames, height, width = shape[1:]
        return replace(self, size=(frames, *self.size) if self.size else (frames, height, width))

    def picture(self, image: Float[Tensor, channels * size]) -> Float[Tensor, out_channels * out_size]:
        """The picture as the network sees it, still in [0, 1]: what a report puts beside a projection.

        Grey is repeated for a network of three channels, colour turned to grey for one of one; a network of any other
        number takes pictures of as many. Raises ImageError for pictures of another number of channels, and for strips
        so thin that covering ``resize`` makes them huge.

        >>> Preprocess(size=(2, 2), resize=(2, 2), fit="stretch").picture(torch.ones(3, 5, 7)).mean()
        tensor(1.)
        """
        channels = len(self.mean)
        takes = (1, 3) if channels in (1, 3) or self.own is not None else (channels,)
        axes = ("height", "width") if len(self.size) == 2 else ("frames", "height", "width")
        if image.ndim != 1 + len(axes) or image.shape[0] not in takes or 0 in image.shape:
            shape = f"({' or '.join(map(str, takes))}, {', '.join(axes)})"
            raise ImageError(f"picture of shape {tuple(image.shape)}: the network takes {shape}")
        if len(axes) == 2:
            return self.pictures(image[None])[0]
        frames = (middle_frames(image, self.size[0]) if self.size else image).transpose(0, 1)
        if self.resize:
            check_unit_range(frames)
            return self.pictures(frames).transpose(0, 1)
        if self.size and tuple(frames.shape[2:]) != self.size[1:]:
            here, there = by_size(frames.shape[2:]), by_size(self.size[1:])
            raise ImageError(f"a clip of {here} pixels, and the network is given {there}; bring them to one size")
        return self._coloured(frames).transpose(0, 1)

    def pictures(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """The same of several pictures of one size, at once.

        >>> Preprocess().pictures(torch.rand(5, 1, 28, 28)).shape
        torch.Size([5, 3, 224, 224])
        """
        if self.own is not None:
            return torch.stack([self._own_picture(self.own, image) for image in images])
        size = (self.size[-2], self.size[-1])
        box = (self.resize[0], self.resize[1])
        planes = resize(self._coloured(images).flatten(0, 1), box, self.fit, self.interpolation, self.antialias)
        return centre_crop(planes, size).reshape(len(images), len(self.mean), *size)

    def _coloured(self, images: Tensor) -> Tensor:
        """Pictures with the network's number of channels."""
        count, _, height, width = images.shape
        channels = len(self.mean)
        # One below the other: colours do not ask where a pixel is.
        column = images.to(torch.float32).transpose(0, 1).flatten(1, 2)
        if channels in (1, 3):
            column = finish_picture(column, None, "grey" if channels == 1 else "rgb", 1.0)
        return column.reshape(channels, count, height, width).transpose(0, 1)

    def labels(self, mask: Integer[Tensor, "height width"]) -> Int64[Tensor, "rows columns"]:
        """The label image of a picture, resized and cropped as ``picture`` does it, each pixel to the nearest label.

        >>> Preprocess(size=(2, 2), resize=(2, 2)).labels(torch.tensor([[7, 7, 0, 0]] * 2))
        tensor([[7, 0],
                [7, 0]])
        """
        if self.own is not None:
            raise ImageError(f"labels: {self.own} does not say where a pixel lies; give Preprocess(...) instead")
        height, width = mask.shape
        rows, columns = resized_size((height, width), (self.resize[0], self.resize[1]), self.fit)
        image = mask[None].to(torch.float32)
        if (rows, columns) != (height, width):
            image = F.interpolate(image[None], size=(rows, columns), mode="nearest-exact")[0]
        return centre_crop(image, (self.size[-2], self.size[-1]))[0].to(torch.int64)

    def normalise(self, picture: Float[Tensor, "*batch_and_size"]) -> Float[Tensor, "*batch_and_size"]:
        """(picture − mean) / std.

        >>> Preprocess().normalise(torch.zeros(3, 2, 2))[:, 0, 0]
        tensor([-2.1179, -2.0357, -1.8044])
        """
        mean, std = self._statistics(picture)
        return (picture - mean) / std

    def denormalise(self, values: Float[Tensor, "*batch_and_size"]) -> Float[Tensor, "*batch_and_size"]:
        """values · std + mean: from what the network was given back to a picture.

        >>> preprocess, picture = Preprocess(), torch.rand(3, 4, 4)
        >>> torch.allclose(preprocess.denormalise(preprocess.normalise(picture)), picture, atol=1e-6)
        True
        """
        mean, std = self._statistics(values)
        return values * std + mean

    def changed(
        self,
        size: tuple[int, ...] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> Preprocess:
        """The same with another size, mean or std; the margin that is cropped away stays in proportion.

        Args:
            size: (height, width) for the network, frames before the height for clips.
            mean: one value for every channel, or one a channel.
            std: likewise.

        Raises ModelError for values that do not fit the network's channels.

        >>> Preprocess().changed(size=(112, 112), mean=0.5).resize
        (128, 128)
        """
        if size is mean is std is None:
            return self
        resized_to = self.resize
        if self.own is not None:
            raise ModelError("preprocess: a transform of your own makes its own size, mean and std; change them there")
        if size is not None:
            if len(size) not in (2, 3):
                raise ModelError(f"preprocess: size {tuple(size)}; give (height, width), frames before them for clips")
            check_sizes(tuple(size), tuple(size[-2:]))
            margins = zip(self.resize or size[-2:], self.size[-2:] or size[-2:], size[-2:], strict=True)
            resized_to = tuple(max(1, round(whole * side / before)) for whole, before, side in margins)
            # Of a clip's network whose frames are told, they stay what they are where only the picture's size changes.
            size = size if len(size) == 3 else (*self.size[:-2], *size)
        channels = len(self.mean)
        return replace(
            self,
            size=self.size if size is None else size,
            resize=resized_to,
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
        return self._told()

    def _told(self) -> dict[str, Any]:
        """Its values by name; those that came later only where they are not as ever."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        later = {"own": None, "antialias": True}
        return {name: value for name, value in values.items() if name not in later or value != later[name]}

    def __repr__(self) -> str:
        return f"Preprocess({', '.join(f'{name}={value!r}' for name, value in self._told().items())})"

    def __str__(self) -> str:
        if self.own is not None:
            return f"prepared by {self.own}, {'x'.join(map(str, self.size))}"
        how = "covering" if self.fit == "cover" else "stretched to"
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        resized = f"resized {how} {'x'.join(map(str, self.resize))} ({self.interpolation}), centre "
        size = "x".join(map(str, self.size)) or "frames as they are"
        return f"{resized if self.resize else ''}{size}, mean ({mean}), std ({std})"

    def _own_picture(self, own: OwnTransform, image: Tensor) -> Tensor:
        made = own(image)
        usual = (len(self.mean), *self.size[-2:])
        if tuple(made.shape) != usual:
            raise ImageError(
                f"transform: {own} makes {tuple(made.shape)} of a picture {image.shape[-2]}x{image.shape[-1]}, and "
                f"{usual} of others; let it end in one size"
            )
        return replace(self, size=usual[1:]).denormalise(made)

    def _statistics(self, values: Tensor) -> tuple[Tensor, Tensor]:
        axes = 2 if len(self.size) == 2 else 3
        if values.ndim <= axes or values.shape[-1 - axes] != len(self.mean):
            raise ImageError(f"picture of shape {tuple(values.shape)}: mean and std are for {len(self.mean)} channels")
        mean, std = (values.new_tensor(each).reshape(-1, *[1] * axes) for each in (self.mean, self.std))
        return mean, std


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
