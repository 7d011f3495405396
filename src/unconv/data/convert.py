"""Conversion of arrays, tensors and Pillow pictures: which axis is the channels, and what number is white."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PillowImage
from torch import Tensor

from unconv.data.arrays import CHANNELS, ROUNDING, WHITE, Array, Background, Layout, Mode, finish_picture
from unconv.data.decode import decode_pillow
from unconv.errors import ImageError


def as_image_tensor(
    image: Tensor | Array | PillowImage.Image,
    *,
    layout: Layout | None = None,
    mode: Mode = "keep",
    background: Background = 1.0,
    channels: int | None = None,
) -> Float[Tensor, "channels height width"]:
    """Turn a tensor, an array or a Pillow picture into a float32 tensor (channels, height, width) in [0, 1].

    Two axes are a grey picture. Of three, the channel axis is the one with 1, 3 or 4 entries; where the first and the
    last both have, a tensor is read as (channels, height, width) and an array as (height, width, channels), each as
    its own world writes them. Four channels are colour and opacity. Bytes are divided by 255, unsigned 16 bit numbers
    by 65535; floating-point numbers must lie in [0, 1] already.

    Args:
        image: the picture; it is copied, never changed.
        layout: ``"CHW"`` or ``"HWC"`` where the rule above reads it wrongly.
        mode: ``"rgb"``, ``"grey"`` or ``"keep"``.
        background: what shows through where the picture is transparent: grey level or (red, green, blue).
        channels: of the network that it is for: with another number than 1 or 3 the axis of so many entries holds
            them, and all are taken as they are.

    Raises ImageError for other shapes, other number types, and values that are not in [0, 1].

    >>> as_image_tensor(np.zeros((48, 64, 3), dtype=np.uint8)).shape
    torch.Size([3, 48, 64])
    >>> as_image_tensor(torch.ones(3, 48, 64), mode="grey").shape
    torch.Size([1, 48, 64])
    >>> as_image_tensor(torch.full((3, 8, 8), 128.0))
    Traceback (most recent call last):
    unconv.errors.ImageError: image of shape (3, 8, 8): values from 128 to 128 are outside [0, 1]; divide by white
    """
    if isinstance(image, PillowImage.Image):
        # Floats of another range are mapped by the decoder, with a note that has no place here.
        if image.mode != "F":
            return decode_pillow(image, mode=mode, background=background, channels=channels)[0]
        image = np.array(image)
    if not isinstance(image, Tensor | np.ndarray):
        raise ImageError(
            f"image of type {type(image).__name__}: neither a tensor, an array, a Pillow picture nor a path"
        )
    if isinstance(image, Tensor):
        _check_dense(image)
    tensor = from_numpy(image) if isinstance(image, np.ndarray) else image.detach().cpu()
    counts = CHANNELS if channels in (None, 1, 3) else (channels,)
    picture = unit_range(_channels_first(tensor, layout, isinstance(image, np.ndarray), counts))
    if channels not in (None, 1, 3):
        return picture.contiguous()
    if picture.shape[0] == 4:
        return finish_picture(picture[:3], picture[3], mode, background)
    return finish_picture(picture, None, mode, background)


def _check_dense(tensor: Tensor) -> None:
    if tensor.is_meta or tensor.layout != torch.strided:
        kind, way = ("on the device meta", "fill it first") if tensor.is_meta else ("sparse", "use .to_dense() on it")
        raise ImageError(f"image of shape {tuple(tensor.shape)}: the tensor is {kind}; {way}")


def from_numpy(array: Array) -> Tensor:
    """A copy of an array, whatever its order of bytes and its strides.

    >>> from_numpy(np.zeros((2, 3))[::-1]).shape
    torch.Size([2, 3])

    Raises ImageError for numbers that torch does not have.
    """
    try:
        # torch takes neither foreign byte order nor negative strides, and warns of read-only memory.
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    except TypeError as error:
        raise ImageError(
            f"image of shape {array.shape}: numbers of type {array.dtype} are no picture; use uint8 or float32"
        ) from error


def _channels_first(tensor: Tensor, layout: Layout | None, prefer_last: bool, counts: tuple[int, ...]) -> Tensor:
    shape = tuple(tensor.shape)
    if tensor.ndim == 2 and 0 not in shape and 1 in counts:
        return tensor[None]
    if tensor.ndim != 3 or 0 in shape:
        raise ImageError(
            f"image of shape {shape}: a picture is (height, width), (channels, height, width) or "
            "(height, width, channels), none of them 0"
        )
    first, last = shape[0] in counts, shape[2] in counts
    if layout is None:
        layout = "HWC" if last and (prefer_last or not first) else "CHW"
    if layout not in ("CHW", "HWC"):
        raise ImageError(f"image of shape {shape}: layout {layout!r} is unknown; it is 'CHW' or 'HWC'")
    if not (first if layout == "CHW" else last):
        raise ImageError(
            f"image of shape {shape}: no channel axis; the first or the last axis must have "
            f"{'1, 3 or 4' if counts == CHANNELS else counts[0]} entries"
        )
    return tensor if layout == "CHW" else tensor.permute(2, 0, 1)


def unit_range(tensor: Tensor) -> Tensor:
    """Numbers of any shape as float32 in [0, 1]: bytes divided by 255, 16 bits by 65535.

    >>> unit_range(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])

    Raises ImageError where white is not known, and for floats outside [0, 1].
    """
    shape = tuple(tensor.shape)
    if tensor.dtype in WHITE:
        return tensor.to(torch.float32) / WHITE[tensor.dtype]
    if not tensor.is_floating_point():
        raise ImageError(
            f"image of shape {shape}: numbers of type {str(tensor.dtype).removeprefix('torch.')} have no known "
            "white; convert to uint8, uint16 or to floats in [0, 1]"
        )
    picture = tensor.to(torch.float32)
    low, high = (bound.item() for bound in picture.aminmax())
    # aminmax hands NaN on, and NaN compares false.
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise ImageError(
            f"image of shape {shape}: values from {low:.4g} to {high:.4g} are outside [0, 1]; divide by white"
        )
    return picture.clamp(0, 1)
