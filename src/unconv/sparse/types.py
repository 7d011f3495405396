"""Types of what callers hand in: images, dictionaries, penalties, masks and codes to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    import numpy as np
    import torch
    from torch import Tensor

    from unconv.choices import FirstKernels
    from unconv.sparse.code.encoding import Encoding
    from unconv.sparse.code.penalty import Penalty

    # Numbers in an array, a tensor or nested lists; what belongs to each image (below) may also be a list of these.
    ArrayLike: TypeAlias = "Tensor | np.ndarray[Any, Any] | np.number[Any] | float | Sequence[Any]"
    # One image (channels, *size).
    ImageLike: TypeAlias = "Tensor | np.ndarray[Any, Any] | Sequence[Any]"
    # A stack (images, channels, *size), also one that is larger than memory, or a list of images of any sizes.
    Images: TypeAlias = "ImageLike | Sliceable | Sequence[ImageLike | Sliceable]"
    # What a learner can read: images, picture files and folders, data sets and streams.
    ImageSource: TypeAlias = "Images | str | os.PathLike[str] | Iterable[Any]"
    # Kernels (kernels, channels, *kernel size).
    DictionaryLike: TypeAlias = "Tensor | np.ndarray[Any, Any] | Sequence[Any]"
    # Kernels, the name or file of some, or a fitted learner.
    DictionarySource: TypeAlias = "DictionaryLike | str | os.PathLike[str] | Fitted"
    # λ: a number, one a kernel, an array that broadcasts to the codes, a rule of the correlations, "0.1max", or a list
    # of these, one an image.
    PenaltyLike: TypeAlias = "ArrayLike | str | Penalty | Callable[[Tensor], Tensor]"
    # W ≥ 0, broadcastable to the images, or a list of one an image.
    MaskLike: TypeAlias = "Tensor | np.ndarray[Any, Any] | Sliceable | float | Sequence[Any]"
    # Codes to start from: an encoding, a stack of codes, or a list of one an image.
    StartLike: TypeAlias = "Encoding | Tensor | np.ndarray[Any, Any] | Sequence[Any]"
    # First kernels: how they are found, or the kernels.
    InitLike: TypeAlias = "FirstKernels | DictionaryLike"
    # Where random numbers come from; None: from other ones each time.
    RandomState: TypeAlias = "int | torch.Generator | np.random.Generator | np.random.RandomState | None"
else:
    # For type checkers alone: at run time each function says itself, in one line, what it cannot take.
    ArrayLike = ImageLike = Images = ImageSource = DictionaryLike = DictionarySource = PenaltyLike = Any
    MaskLike = StartLike = InitLike = RandomState = Any


class Sliceable(Protocol):
    """An array that is read by slicing, whole or in part: numpy's memmap, a data set of h5py or zarr."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        ...

    def __getitem__(self, places: Any, /) -> Any:
        """A part of it, as an array."""
        ...

    def __len__(self) -> int:
        """Its first size."""
        ...


class Fitted(Protocol):
    """What has learned a dictionary."""

    @property
    def dictionary_(self) -> Tensor:
        """The kernels."""
        ...
