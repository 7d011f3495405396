"""Validation of arrays: what users hand in as tensors, or one clear line why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

from unconv.data.arrays import CHANNELS, Mode
from unconv.data.read.items import InMemory, Item, Skipped
from unconv.data.read.read_item import open_item, read_item
from unconv.data.read.reading import Reading
from unconv.data.read.source import STACK_AXES, source_of
from unconv.errors import ImageError, SparseError
from unconv.sparse.types import DictionaryLike

_HALF = (torch.float16, torch.bfloat16)
# Colour and opacity: a first axis that is longer is not taken for channels where the last one may be.
MOST_CHANNELS = 4


def as_tensor(value: object, what: str, where: str = "encode") -> Tensor:
    """A numpy array, tensor or nested list as a dense tensor without gradient; memory shared where torch can.

    >>> as_tensor([[1.0, 2.0]], "image").dtype, as_tensor(np.zeros(3), "image").dtype
    (torch.float32, torch.float64)

    Raises :class:`~unconv.errors.SparseError` for what is no array of numbers.
    """
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            raise SparseError(f"{where}: {what} is a tensor of layout {value.layout}; use .to_dense() on it")
        if value.is_meta:
            raise SparseError(f"{where}: {what} is a tensor on the device meta; fill it first")
        return value.detach()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise SparseError(f"{where}: {what} is not an array of numbers ({error})".replace("\n", " ")) from None
    if array.dtype.kind not in "biufc":
        raise SparseError(
            f"{where}: {what} is a {type(value).__name__} and not an array of numbers; give a numpy array or a tensor"
        )
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        raise SparseError(f"{where}: {what} is {array.dtype}; use float64 or float32")
    if isinstance(value, list | tuple) and array.dtype == np.float64 and _holds_plain_numbers(value):
        array = array.astype(np.float32)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    # torch takes neither negative strides nor memory that it may not write to.
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def read_image(item: Item, mode: Mode, where: str = "encode") -> Tensor | Skipped:
    """The image of an item: numbers in memory as they are, what is in files as a picture.

    >>> read_image(InMemory("image 0", torch.full((1, 2, 2), 300.0)), "grey").max()
    tensor(300.)

    Raises :class:`~unconv.errors.SparseError` for what is no array of numbers.
    """
    item = open_item(item)
    if isinstance(item, InMemory) and not isinstance(item.value, PillowImage.Image):
        numbers = as_tensor(item.value, item.name, where)
        # What comes of a dataset or a stream is seen here for the first time; all else was asked where it was given.
        if item.prepared:
            check_channels_first(item.value if hasattr(item.value, "shape") else numbers, item.name, where)
        return numbers
    picture = read_item(item, Reading(mode))
    return picture if isinstance(picture, Skipped) else picture.tensor


def as_image(image: Any, where: str, channels: int | None = None) -> Tensor:
    """One image (channels, *size) of floats: numbers as they are, eight bits by 255, pictures read.

    Pictures are files, Pillow's and what :func:`~unconv.data.images.read_images` gives; they are read with their own
    channels, and with three where the kernels have three.

    >>> as_image(PillowImage.new("L", (4, 3), 255), "denoise").shape, as_image([[0.0, 1.0]], "denoise").shape
    (torch.Size([1, 3, 4]), torch.Size([1, 2]))

    Raises :class:`~unconv.errors.SparseError` for what is no image, for several, and for one with its channels last.
    """
    if _all_numbers(image):
        value = as_tensor(image, "image", where)
    else:
        value = only_one(_read(image, "rgb" if channels == 3 else "keep", where), where)
    picture = as_float(value, "image", where, eight_bits=True)
    if picture.ndim not in (2, 3) or 0 in picture.shape:
        raise SparseError(f"{where}: image of shape {tuple(picture.shape)}; give (C, H, W), or (C, T) for signals")
    check_channels_first(image if hasattr(image, "shape") else picture, "image", where, channels)
    return picture


def only_one(found: Sequence[Tensor], where: str) -> Tensor:
    """The image of a list that holds one.

    Raises :class:`~unconv.errors.SparseError` for several.
    """
    if len(found) != 1:
        raise SparseError(f"{where}: {len(found)} images; give one at a time")
    return found[0]


def check_channels_first(images: Any, what: str, where: str, channels: int | None = None, otherwise: str = "") -> None:
    """Refuse what is plainly a picture (height, width, channels), or a stack of such.

    >>> check_channels_first(torch.zeros(64, 48, 3), "image", "denoise")
    Traceback (most recent call last):
    unconv.errors.SparseError: denoise: image of shape (64, 48, 3): channels last? give image.permute(2, 0, 1), or a
    Pillow picture

    Args:
        images: an array or a tensor of any shape.
        what: what it is called; "images" is what should have been several.
        where: what the error begins with.
        channels: what is known to be the number of channels: then they are first.
        otherwise: what the error ends with, for those who mean it so.

    Raises :class:`~unconv.errors.SparseError` for it.
    """
    shape = tuple(images.shape)
    if len(shape) not in (3, 4) or shape[-1] not in CHANNELS or min(shape[-3:-1]) <= MOST_CHANNELS:
        return
    if shape[-3] == channels:
        return
    turn = "permute" if isinstance(images, Tensor) else "transpose"
    way_out = f"image.{turn}(2, 0, 1)" if len(shape) == 3 else f"images.{turn}(0, 3, 1, 2)"
    if len(shape) == 3 and what == "images":
        way_out = f"[{way_out}]"
    raise SparseError(
        f"{where}: {what} of shape {shape}: channels last? give {way_out}, or a Pillow picture{otherwise}"
    )


def kernel_channels(dictionary: Any) -> int | None:
    """The channels of kernels in an array or of a fitted learner; None where no shape tells them.

    >>> kernel_channels(torch.zeros(8, 3, 5, 5)), kernel_channels(None)
    (3, None)
    """
    shape: tuple[int, ...] = getattr(getattr(dictionary, "dictionary_", dictionary), "shape", ())
    return int(shape[1]) if len(shape) > 2 else None


def load_images(images: Any, dictionary: Any, where: str = "encode") -> Any:
    """Arrays and lists of arrays as they are; what else holds images as a list of them, read into memory.

    Files are read with as many channels as the kernels have.

    >>> load_images([PillowImage.new("RGB", (4, 3))], torch.zeros(2, 1, 3, 3))[0].shape
    torch.Size([1, 3, 4])

    Raises :class:`~unconv.errors.SparseError` for what cannot be read (each image has codes of its own), and for
    pictures with their channels last.
    """
    several = isinstance(images, list | tuple)
    channels = kernel_channels(dictionary)
    if len(getattr(getattr(dictionary, "dictionary_", dictionary), "shape", ())) == STACK_AXES:
        for number, one in enumerate(images if several else [images]):
            if hasattr(one, "shape"):
                check_channels_first(one, f"image {number}" if several else "images", where, channels)
    if all(map(_all_numbers, images)) if several else _all_numbers(images):
        return images
    modes: dict[int | None, Mode] = {1: "grey", 3: "rgb"}
    return _read(images, modes.get(channels, "keep"), where)


def _all_numbers(image: Any) -> bool:
    """Whether this is an array, or numbers, and nothing to be read."""
    return hasattr(image, "shape") or _is_number(image)


def _read(images: Any, mode: Mode, where: str) -> list[Tensor]:
    """All images of whatever holds them."""
    try:
        found = [read_image(item, mode, where) for item in source_of(images)]
    except ImageError as error:
        raise SparseError(f"{where}: {str(error).removeprefix('images: ')}") from None
    if not found:
        raise SparseError(f"{where}: no images; give at least one")
    tensors = []
    for image in found:
        if isinstance(image, Skipped):
            raise SparseError(f"{where}: {image}; leave it out")
        tensors.append(image)
    return tensors


def as_float(tensor: Tensor, what: str, where: str = "encode", *, eight_bits: bool = False) -> Tensor:
    """float32 and float64 as they are, half precision as float32, eight bits as value / 255 where they are allowed.

    >>> as_float(torch.tensor([0, 255], dtype=torch.uint8), "image", eight_bits=True)
    tensor([0., 1.])

    Raises :class:`~unconv.errors.SparseError` for other integers, bool and complex numbers.
    """
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    if tensor.dtype in _HALF:
        return tensor.float()
    if tensor.dtype == torch.uint8 and eight_bits:
        return tensor.float() / 255
    name = str(tensor.dtype).removeprefix("torch.")
    raise SparseError(f"{where}: {what} is {name}; use {'uint8, ' if eight_bits else ''}float32 or float64")


def check_finite(tensor: Tensor, what: str, where: str, advice: str) -> None:
    """Raise :class:`~unconv.errors.SparseError` with the count and the first position of NaN and infinity."""
    # A sum is finite only where all its terms are, and costs no array of flags; an overflow is looked at closely.
    if bool(torch.isfinite(tensor.sum())):
        return
    bad = ~torch.isfinite(tensor)
    count = int(bad.sum())
    if count:
        first = tuple(int(place) for place in bad.nonzero()[0])
        raise SparseError(
            f"{where}: {what} has {count} {'value' if count == 1 else 'values'} NaN or infinite, the first at "
            f"{first}; {advice}"
        )


def check_dictionary(dictionary: DictionaryLike, where: str = "encode") -> Tensor:
    """The dictionary (K, C, *kernel) as a float tensor with 1 to 3 kernel axes, all finite; of a learner, its own."""
    dictionary = getattr(dictionary, "dictionary_", dictionary)
    if hasattr(dictionary, "fit"):
        raise SparseError(f"{where}: the {type(dictionary).__name__} has learned no dictionary yet; call fit first")
    found = as_float(as_tensor(dictionary, "dictionary", where), "dictionary", where)
    axes = found.ndim - 2
    if not 1 <= axes <= 3:
        raise SparseError(
            f"{where}: dictionary of shape {tuple(found.shape)} has {max(axes, 0)} kernel axes; it must be "
            "(kernels, channels, *kernel size) with 1, 2 or 3 of them"
        )
    if found.numel() == 0:
        raise SparseError(f"{where}: dictionary of shape {tuple(found.shape)} is empty; it needs at least one kernel")
    check_finite(found, "dictionary", where, "every tap must be finite")
    return found


def _is_number(value: object) -> bool:
    """A number, or lists of numbers."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, int | float | np.number)


def _holds_plain_numbers(value: Sequence[object]) -> bool:
    inner: object = value
    while isinstance(inner, list | tuple) and inner:
        inner = inner[0]
    # numpy's float64 is a Python float as well, but says what it is.
    return type(inner) in (float, int)
