"""Boundary conditions of the synthesis D and its adjoint Dᵀ: kernels that reach over the edge of the image.

The reconstruction is a transposed convolution of the codes with the dictionary. With kernel size L per axis, the tap i
of the code at u lands

- ``crop``: on pixel u − (L − 1) + i; codes on size + L − 1; a kernel may overhang, and only the image counts.
- ``valid``: on pixel u + i; codes on size − L + 1; every kernel lies within the image.
- ``circular``: on pixel (u + i) mod size; codes on size; what leaves on one side comes in on the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconv.choices import Boundary as Boundary
from unconv.errors import SparseError
from unconv.operators.by_axes import CONV, CONV_TRANSPOSE

_STRIP_ENTRIES = 1 << 22


def check_boundary(boundary: str, operation: str = "encode") -> Boundary:
    """The boundary, if it is one; raises :class:`~unconv.errors.SparseError` otherwise."""
    for known in get_args(Boundary):
        if boundary == known:
            return known  # type: ignore[no-any-return]
    raise SparseError(f"{operation}: boundary {boundary!r} is not known; use 'crop', 'valid' or 'circular'")


def code_size(
    image_size: Sequence[int], kernel_size: Sequence[int], boundary: Boundary, where: str = "encode"
) -> tuple[int, ...]:
    """Size of a feature map, per axis.

    >>> [code_size((32, 20), (5, 5), boundary) for boundary in ("crop", "valid", "circular")]
    [(36, 24), (28, 16), (32, 20)]

    Raises :class:`~unconv.errors.SparseError` where the kernel must fit into the image and does not.
    """
    check_boundary(boundary)
    image, kernel = tuple(image_size), tuple(kernel_size)
    if len(image) != len(kernel):
        raise SparseError(
            f"{where}: image size {_times(image)} has {len(image)} axes, kernel size {_times(kernel)} {len(kernel)}; "
            "both must have as many"
        )
    if boundary == "crop":
        return tuple(size + taps - 1 for size, taps in zip(image, kernel, strict=True))
    if any(taps > size for size, taps in zip(image, kernel, strict=True)):
        raise SparseError(
            f"{where}: kernel {_times(kernel)} is larger than the image {_times(image)}; boundary {boundary!r} needs "
            "it to fit, boundary='crop' does not"
        )
    if boundary == "valid":
        return tuple(size - taps + 1 for size, taps in zip(image, kernel, strict=True))
    return image


def synthesize(
    codes: Tensor,
    dictionary: Float[Tensor, "kernels channels *kernel"],
    boundary: Boundary,
    image_size: Sequence[int],
) -> Tensor:
    """D z: the image that dense codes stand for, differentiable in both arguments.

    ``codes`` (K, *code) give (C, *size); a batch (N, K, *code) gives (N, C, *size).

    >>> synthesize(torch.ones(3, 12, 12), torch.ones(3, 2, 5, 5), "crop", (8, 8)).shape
    torch.Size([2, 8, 8])
    """
    kernel_size = dictionary.shape[2:]
    convolve = CONV_TRANSPOSE[len(kernel_size)]
    expected = code_size(image_size, kernel_size, boundary)
    if tuple(codes.shape[codes.ndim - len(kernel_size) :]) != expected:
        raise SparseError(
            f"synthesize: codes of shape {tuple(codes.shape)} do not fit an image of {_times(image_size)}; "
            f"boundary {boundary!r} has feature maps of {_times(expected)}"
        )
    if boundary == "crop":
        return convolve(codes, dictionary, padding=tuple(taps - 1 for taps in kernel_size))
    return settle(convolve(codes, dictionary), kernel_size, boundary)


def settle(full: Tensor, kernel_size: Sequence[int], boundary: Boundary) -> Tensor:
    """The image within a full reconstruction, whose size is that of the codes plus L − 1 per axis.

    ``crop`` cuts L − 1 off on each side, ``circular`` adds the last L − 1 to the first, ``valid`` takes all.
    """
    if boundary == "valid":
        return full
    for axis, taps in zip(range(-len(kernel_size), 0), kernel_size, strict=True):
        size = full.shape[axis] - (taps - 1)
        if boundary == "crop":
            full = full.narrow(axis, taps - 1, size - (taps - 1))
        else:
            overhang = full.narrow(axis, size, taps - 1)
            first = full.narrow(axis, 0, taps - 1) + overhang
            full = torch.cat([first, full.narrow(axis, taps - 1, size - (taps - 1))], axis)
    return full


def correlate(image: Tensor, dictionary: Float[Tensor, "kernels channels *kernel"], boundary: Boundary) -> Tensor:
    """Dᵀ r: how much of each kernel is in the image at each position, the exact adjoint of :func:`synthesize`.

    ``image`` (C, *size) gives (K, *code); a batch (N, C, *size) gives (N, K, *code).

    >>> correlate(torch.ones(2, 8, 8), torch.ones(3, 2, 5, 5), "valid").shape
    torch.Size([3, 4, 4])
    """
    kernel_size = dictionary.shape[2:]
    code_size(image.shape[image.ndim - len(kernel_size) :], kernel_size, boundary)
    convolve = CONV[len(kernel_size)]
    if boundary == "circular":
        for axis, taps in zip(range(-len(kernel_size), 0), kernel_size, strict=True):
            image = torch.cat([image, image.narrow(axis, 0, taps - 1)], axis)
    overhang = tuple(taps - 1 if boundary == "crop" else 0 for taps in kernel_size)
    return convolve(image, dictionary, padding=overhang)


def correlate_rows(image: Tensor, dictionary: Tensor, boundary: Boundary, rows: slice) -> Tensor:
    """Dᵀ r on some rows of the codes only (their first axis), from the pixels that those rows need.

    ``image`` (C, *size); ``rows`` is a slice with a start and a stop.

    >>> correlate_rows(torch.ones(2, 8, 8), torch.ones(3, 2, 5, 5), "crop", slice(4, 6)).shape
    torch.Size([3, 2, 12])
    """
    taps, size = dictionary.shape[2], image.shape[1]
    first = rows.start - (taps - 1 if boundary == "crop" else 0)
    last = rows.stop + (0 if boundary == "crop" else taps - 1)
    slab = image[:, max(first, 0) : min(last, size)]
    if boundary == "circular" and last > size:
        slab = torch.cat([slab, image[:, : last - size]], 1)
    elif boundary == "crop":
        pads = (0, 0) * (image.ndim - 2) + (max(-first, 0), max(last - size, 0))
        slab = F.pad(slab, pads)
    others = dictionary.shape[3:]
    if boundary == "circular":
        for axis, extent in enumerate(others, start=2):
            slab = torch.cat([slab, slab.narrow(axis, 0, extent - 1)], axis)
    overhang = (0, *(extent - 1 if boundary == "crop" else 0 for extent in others))
    convolve = CONV[dictionary.ndim - 2]
    return convolve(slab, dictionary, padding=overhang)


def correlation_strips(
    image: Tensor, dictionary: Tensor, boundary: Boundary, entries: int = _STRIP_ENTRIES
) -> Iterator[tuple[slice, Tensor]]:
    """Dᵀ r strip by strip: (rows, block) pairs whose blocks hold about ``entries`` numbers each.

    >>> strips = correlation_strips(torch.ones(1, 9, 9), torch.ones(2, 1, 3, 3), "circular", entries=72)
    >>> [(rows.start, rows.stop, tuple(block.shape)) for rows, block in strips]
    [(0, 4, (2, 4, 9)), (4, 8, (2, 4, 9)), (8, 9, (2, 1, 9))]
    """
    codes = code_size(image.shape[1:], dictionary.shape[2:], boundary)
    height = max(1, entries // (dictionary.shape[0] * prod(codes[1:])))
    for start in range(0, codes[0], height):
        rows = slice(start, min(start + height, codes[0]))
        yield rows, correlate_rows(image, dictionary, boundary, rows)


def _times(sizes: Sequence[int]) -> str:
    return "x".join(str(size) for size in sizes)
