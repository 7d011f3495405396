"""Layouts of arrays: which axis holds the channels, and the same images as (images, channels, *size)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.code.validate import as_tensor, check_channels_first
from unconv.sparse.types import ImageSource, MaskLike

ChannelAxis: TypeAlias = "int | Literal['auto'] | None"
# More channels than pictures and most signals have: an array (N, more, …) may have been meant as pictures.
USUAL_CHANNELS = 4
OTHERWISE = "; channel_axis=1 says that channels come first"


class NotNumbersError(SparseError, TypeError):
    """An array of Python objects that are no numbers."""


@dataclass(frozen=True, eq=False)
class Arranged:
    """Images as (images, channels, *size), or as they were given where they are no array.

    Attributes:
        images: a tensor (N, C, *size), a list of (C, *size), or whatever else a learner reads.
        channel_axis: where the array had its channels, counted with the images' axis; None: nowhere.
        shape: of the array that was given; None for a list or another source.
        names: of the columns of a data frame.
        of_numpy: whether it was an array of numpy, whose features are one too, and no tensor of torch.
    """

    images: Any
    channel_axis: int | None = 1
    shape: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None
    of_numpy: bool = False

    @property
    def n_features(self) -> int | None:
        """Numbers an image has; None where images may differ in size."""
        return None if self.shape is None else prod(self.shape[1:])

    @property
    def is_table(self) -> bool:
        """Whether it was rows of numbers, as scikit-learn's estimators take them."""
        return self.shape is not None and len(self.shape) == 2

    @property
    def takes_columns(self) -> bool:
        """Whether features in columns are expected of it, as scikit-learn's tools do of rows and of numpy's arrays."""
        return self.is_table or self.of_numpy

    def size(self) -> tuple[int, ...]:
        """Of each image, without its channels."""
        if self.shape is None:
            raise SparseError("transform: what was learned from had several sizes; use output='pooled' or 'sparse'")
        return tuple(extent for axis, extent in enumerate(self.shape) if axis not in (0, self.channel_axis))

    def check_like(self, fitted: Arranged, estimator: str) -> None:
        """Raise :class:`~unconv.errors.SparseError` where rows have other columns than those that were learned from.

        Signals of another length are no error as (N, C, T) or as a list.
        """
        if not self.is_table or fitted.n_features is None:
            return
        if self.names and fitted.names and self.names != fitted.names:
            other = [name for name in self.names if name not in fitted.names] or list(self.names)
            raise SparseError(
                "transform: The feature names should match those that were passed during fit: "
                f"{', '.join(other[:3])}; give {', '.join(fitted.names[:3])} … in this order"
            )
        if self.n_features != fitted.n_features:
            raise SparseError(
                f"transform: X has {self.n_features} features, but {estimator} is expecting {fitted.n_features} "
                "features as input; signals of other lengths go as (signals, channels, length)"
            )

    def check_names(self, names: Sequence[str] | None) -> None:
        """Raise :class:`~unconv.errors.SparseError` for names that are not those of the columns learned from."""
        if names is None:
            return
        if isinstance(names, str) or not hasattr(names, "__len__") or self.n_features != len(names):
            raise SparseError(
                f"get_feature_names_out: input_features should have length equal to {self.n_features}, and they are "
                f"{names!r:.60}; leave them out"
            )
        if self.names and tuple(names) != self.names:
            raise SparseError("get_feature_names_out: input_features is not equal to feature_names_in_; leave them out")

    def give_back(self, images: Tensor) -> Tensor:
        """Images (N, C, *size) in the layout that was given."""
        if self.channel_axis is None:
            return images[:, 0] if images.shape[1] == 1 else images
        return images.movedim(1, self.channel_axis)

    def mask(self, mask: MaskLike | None) -> MaskLike | None:
        """A mask in the layout of the images; what has another number of axes stays as it is."""
        shape = getattr(mask, "shape", ())
        if self.shape is None and self.channel_axis != 1 and isinstance(mask, list | tuple):
            alike = len(mask) == len(self.images)
            return [self._mask_of(*each) for each in zip(self.images, mask, strict=True)] if alike else mask
        if self.shape is None or len(shape) != len(self.shape) or self.channel_axis == 1:
            return mask
        return _move(as_tensor(mask, "mask", "learn"), self.channel_axis)

    def _mask_of(self, image: Tensor, mask: MaskLike | None) -> MaskLike | None:
        if getattr(mask, "ndim", 0) != image.ndim:
            return mask
        return _move(as_tensor(mask, "mask", "learn")[None], self.channel_axis)[0]


def arrange(images: ImageSource, channel_axis: ChannelAxis = "auto", kernel_axes: int | None = None) -> Arranged:
    """Images with their channels first, as numbers; a table (N, T) is N signals of one channel.

    With "auto": (N, T), (N, C, H, W), and of three axes (N, H, W) where kernels have two axes, else (N, C, T). Integers
    become floating-point numbers, eight bits stay what they are (they count as value / 255). What is no array and no
    list of arrays, such as files, is handed on.

    >>> arrange(np.zeros((5, 100))).images.shape, arrange(np.zeros((5, 8, 8)), None).images.shape
    (torch.Size([5, 1, 100]), torch.Size([5, 1, 8, 8]))
    >>> arrange(np.zeros((5, 8, 9, 3)), channel_axis=-1).images.shape
    torch.Size([5, 3, 8, 9])

    Args:
        images: what a learner takes.
        channel_axis: of an array with the images along axis 0; None: it has none, "auto": as above.
        kernel_axes: how many the kernels have, where that is known.

    With "auto", pictures that plainly have their channels last are refused; another word says that they are meant so.

    Raises :class:`~unconv.errors.SparseError` for arrays of other axes, complex numbers and sparse matrices.
    """
    check_channel_axis(channel_axis)
    stack = _stack(images)
    if stack is None:
        listed = _listed(images, channel_axis, kernel_axes)
        return Arranged(listed, channel_axis if isinstance(channel_axis, int) and listed is not images else 1)
    if stack.ndim < 2:
        raise SparseError(
            f"learn: images of shape {tuple(stack.shape)}; Reshape your data: one signal is images[None], (1, length)"
        )
    if stack.ndim == 2 and stack.shape[1] == 0:
        raise SparseError(
            f"learn: found 0 feature(s) (shape={tuple(stack.shape)}) while a minimum of 1 is required.; give signals"
        )
    if channel_axis == "auto" and (stack.ndim == 4 or kernel_axes != 1):
        check_channels_first(images if hasattr(images, "shape") else stack, "images", "learn", otherwise=OTHERWISE)
    axis = _channels(tuple(stack.shape), channel_axis, kernel_axes)
    columns = getattr(images, "columns", None)
    names = None
    if columns is not None and all(isinstance(name, str) for name in columns):
        names = tuple(columns)
    return Arranged(_move(_numbers(stack), axis), axis, tuple(stack.shape), names, not isinstance(images, Tensor))


def check_channel_axis(channel_axis: object) -> None:
    """Raise :class:`~unconv.errors.SparseError` for what names no axis."""
    integer = isinstance(channel_axis, int | np.integer) and not isinstance(channel_axis, bool)
    auto = isinstance(channel_axis, str) and channel_axis == "auto"
    if channel_axis is not None and not auto and not integer:
        raise SparseError(f"learn: channel_axis {channel_axis!r:.60} is not a number of an axis, None or 'auto'")


def _stack(images: ImageSource) -> Tensor | None:
    """The array that all images are in; None where they are not in one."""
    if hasattr(images, "toarray") and hasattr(images, "nnz"):
        raise SparseError("learn: Sparse data is not supported: images are dense; use .toarray() on it")
    table = hasattr(images, "columns") and hasattr(images, "iloc")
    bare = hasattr(images, "__array__") and not hasattr(images, "__getitem__")
    if (table or bare) and not isinstance(images, PillowImage.Image):
        images = np.asarray(images)
    if isinstance(images, np.ndarray) and images.dtype == object:
        images = _from_objects(images)
    if isinstance(images, list | tuple) and _is_nested_numbers(images):
        try:
            return as_tensor(images, "images", "learn")
        except SparseError:
            return None
    return as_tensor(images, "images", "learn") if isinstance(images, np.ndarray | Tensor) else None


def _from_objects(images: np.ndarray) -> np.ndarray:
    try:
        return images.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise NotNumbersError(f"learn: images are Python objects and no numbers: {error}"[:300]) from None


def _is_nested_numbers(images: Sequence[Any]) -> bool:
    """Rows of numbers at least, in lists alone."""
    inner: Any = images
    depth = 0
    while isinstance(inner, list | tuple) and inner:
        inner, depth = inner[0], depth + 1
    return depth >= 2 and isinstance(inner, int | float | np.number)


def _numbers(array: Tensor) -> Tensor:
    """Floating-point numbers that hold what integers say; eight bits as they are."""
    if array.is_complex():
        raise SparseError("learn: Complex data not supported; give real and imaginary part as channels")
    if array.is_floating_point() or array.dtype == torch.uint8:
        return array
    return array.to(torch.float64 if array.dtype in (torch.int32, torch.int64) else torch.float32)


def _channels(shape: tuple[int, ...], channel_axis: ChannelAxis, kernel_axes: int | None) -> int | None:
    """The axis of the channels, counted with that of the images."""
    axes = len(shape)
    told = "images " + "×".join(map(str, shape))
    if channel_axis is None and axes in (2, 3):
        return None
    if channel_axis == "auto":
        if axes == 2 and kernel_axes != 2:
            return None
        if axes == 3:
            if kernel_axes is None and shape[1] > USUAL_CHANNELS:
                warnings.warn(
                    f"learn: {told} are taken for signals of {shape[1]} channels; channel_axis=None or a kernel_size "
                    "of two axes makes them pictures, channel_axis=1 says that they are signals",
                    stacklevel=4,
                )
            return None if kernel_axes == 2 else 1
        if axes == 4:
            return 1
    elif channel_axis is not None and axes in (3, 4) and -axes < channel_axis < axes and channel_axis % axes:
        return int(channel_axis) % axes
    raise SparseError(
        f"learn: images of shape {shape} with channel_axis={channel_axis!r}; give (images, channels, height, width), "
        "(images, channels, length) or (images, length), channel_axis=None for (images, height, width), or a list"
    )


def _move(array: Tensor, axis: int | None) -> Tensor:
    return array[:, None] if axis is None else array.movedim(axis, 1)


def _listed(images: ImageSource, channel_axis: ChannelAxis, kernel_axes: int | None) -> ImageSource:
    """A list of arrays with the channels of each first; every other source as it is."""
    if not isinstance(images, list | tuple) or not images:
        return images
    if channel_axis == "auto":
        _check_listed(images)
    if not all(isinstance(image, np.ndarray | Tensor) and 1 <= image.ndim <= 3 for image in images):
        return images
    if channel_axis == "auto" and all(image.ndim == 3 for image in images) and not _any_integers(images):
        return images
    found = []
    for number, image in enumerate(images):
        array = _numbers(as_tensor(image, f"image {number}", "learn"))
        axes = None if kernel_axes is None and array.ndim != 1 else (kernel_axes or 1)
        axis = _channels_of_one(array, number, channel_axis, axes)
        found.append(_move(array[None], axis)[0])
    return found


def _check_listed(images: Sequence[Any]) -> None:
    for number, image in enumerate(images):
        if isinstance(image, np.ndarray | Tensor):
            check_channels_first(image, f"image {number}", "learn", otherwise=OTHERWISE)
        elif isinstance(image, list):
            _check_listed(image)


def _channels_of_one(array: Tensor, number: int, channel_axis: ChannelAxis, kernel_axes: int | None) -> int | None:
    if channel_axis == "auto" and array.ndim == 2 and kernel_axes is None:
        return 1
    try:
        return _channels((1, *array.shape), channel_axis, kernel_axes)
    except SparseError:
        raise SparseError(
            f"learn: image {number} has shape {tuple(array.shape)}, with channel_axis={channel_axis!r}; give "
            "(channels, height, width) or (channels, length)"
        ) from None


def _any_integers(images: Sequence[Any]) -> bool:
    return any(not _numbers_already(as_tensor(image, "image", "learn")) for image in images)


def _numbers_already(array: Tensor) -> bool:
    return array.is_floating_point() or array.dtype == torch.uint8 or array.is_complex()


def kernel_axes_of(kernel_size: object, init: object = None) -> int | None:
    """How many axes kernels will have, where their size or the first kernels say so.

    >>> kernel_axes_of(8), kernel_axes_of((8, 8)), kernel_axes_of([(4, (9,)), (2, (5,))])
    (None, 2, 1)
    """
    shape = getattr(init, "shape", None)
    if shape is not None:
        return len(shape) - 2
    if not isinstance(kernel_size, Sequence) or not kernel_size or isinstance(kernel_size, str):
        return None
    first = kernel_size[0]
    if isinstance(first, Sequence):
        return len(first[1]) if len(first) == 2 and isinstance(first[1], Sequence) else None
    return len(kernel_size)
