"""Resizing: the size that a picture is brought to, and the middle that is cut out of it."""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconv.choices import Fit, Interpolation
from unconv.data.arrays import ROUNDING
from unconv.errors import ImageError, ModelError

# A strip one pixel high becomes millions wide before its centre is cut out.
MAX_RESIZED_PIXELS = 100_000_000


def resize(
    image: Float[Tensor, "channels height width"],
    box: tuple[int, int],
    fit: Fit = "cover",
    interpolation: Interpolation = "bilinear",
    antialias: bool = True,
) -> Float[Tensor, "channels rows columns"]:
    """A picture in [0, 1] in the size that :func:`resized_size` tells, with values in [0, 1].

    >>> import torch
    >>> resize(torch.rand(3, 30, 45), (20, 20)).shape
    torch.Size([3, 20, 30])
    """
    height, width = image.shape[-2:]
    rows, columns = resized_size((height, width), box, fit)
    if (rows, columns) == (height, width):
        return image
    smooth = interpolation != "nearest"
    resized = F.interpolate(
        image[None],
        size=(rows, columns),
        mode=interpolation,
        align_corners=False if smooth else None,
        antialias=smooth and antialias,
    )[0]
    # Bicubic weights are negative in places; a picture in bytes would have been clipped.
    return resized.clamp(0, 1)


def resized_size(size: tuple[int, int], box: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """The size to which a picture is resized: a box itself, or what covers it.

    Raises ImageError for strips so thin that this is huge.

    >>> resized_size((300, 451), (256, 256), "stretch")
    (256, 256)
    """
    rows, columns = box if fit == "stretch" else covering_size(size, box)
    if rows * columns > MAX_RESIZED_PIXELS:
        raise ImageError(
            f"picture {size[0]}x{size[1]}: covering {box[0]}x{box[1]} makes it {rows}x{columns}; crop it first"
        )
    return rows, columns


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


def centre_crop(
    image: Float[Tensor, "channels height width"], size: tuple[int, int]
) -> Float[Tensor, "channels rows columns"]:
    """The middle of a picture, as torchvision cuts it out.

    >>> import torch
    >>> centre_crop(torch.arange(5.0).reshape(1, 1, 5), (1, 2)).tolist()
    [[[2.0, 3.0]]]
    """
    # Few published transforms ask for it: what is smaller than the crop is framed in black, the odd pixel last.
    down, right = (max(0, want - have) for have, want in zip(image.shape[-2:], size, strict=True))
    image = F.pad(image, (right // 2, right - right // 2, down // 2, down - down // 2))
    # round() halves to even, torchvision's choice of the middle.
    top, left = (round((have - want) / 2) for have, want in zip(image.shape[-2:], size, strict=True))
    return image[:, top : top + size[0], left : left + size[1]].contiguous()


def middle_frames(
    clip: Float[Tensor, "channels frames height width"], count: int
) -> Float[Tensor, "channels count height width"]:
    """So many frames of a video, or slices of a volume, from its middle.

    Raises ImageError where there are fewer.

    >>> import torch
    >>> middle_frames(torch.arange(5.0).reshape(1, 5, 1, 1), 2).flatten().tolist()
    [1.0, 2.0]
    """
    there = clip.shape[1]
    if there < count:
        raise ImageError(
            f"a clip of {there} frames, and the network is given {count}; give longer ones, or fewer in size"
        )
    first = (there - count) // 2
    return clip[:, first : first + count]


def check_unit_range(frames: Float[Tensor, "count channels height width"]) -> None:
    """Refuse values that are those of no picture; raises ImageError.

    >>> import torch
    >>> check_unit_range(torch.rand(2, 1, 4, 4))
    """
    low, high = (float(bound) for bound in frames.aminmax())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise ImageError(f"values from {low:.4g} to {high:.4g} are outside [0, 1]; divide by white")


def check_sizes(size: tuple[int, ...], resize: tuple[int, ...]) -> None:
    """Refuse sizes that no picture and no clip could have; raises ModelError.

    >>> check_sizes((16, 112, 112), (128, 171))
    """
    if len(size) not in (0, 2, 3) or len(resize) not in (0, 2) or (len(size) == 2 and not resize):
        raise ModelError(
            f"preprocess: size {size} and resize {resize}; give (height, width) of both, frames before the size of "
            "clips"
        )
    for sides in (size, resize):
        told = "x".join(map(str, sides))
        if not all(side >= 1 for side in sides):
            raise ModelError(f"preprocess: size {told} is no picture; both sides must be at least 1")
        if math.prod(sides) > MAX_RESIZED_PIXELS:
            raise ModelError(f"preprocess: size {told} exceeds {MAX_RESIZED_PIXELS:,} pixels")
