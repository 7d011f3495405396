"""The sparse-coding problem of one image as a value, made and checked from what users hand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unconv.errors import SparseError
from unconv.results import Shown
from unconv.sparse.code.boundary import Boundary, check_boundary, code_size, correlation_strips
from unconv.sparse.code.penalty import Penalty, PerKernel, as_penalty, relative
from unconv.sparse.code.validate import as_float, as_tensor, check_dictionary, check_finite
from unconv.sparse.types import DictionaryLike, Images, MaskLike, PenaltyLike, StartLike

Start = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False, repr=False)
class Problem(Shown):
    """min over z of ½‖W(s − Σ_k d_k ∗ z_k)‖² + Σ_i λ_i|z_i|, with z ≥ 0 if ``nonnegative``.

    ``image`` s (C, *size), contiguous, float32 or float64, 0 where the weight is; ``dictionary`` (K, C, *kernel) of the
    same dtype and device; ``weight`` W (C or 1, *size), or None for 1 everywhere; ``penalty`` λ; ``start`` (indices
    (1 + axes, non-zeros), values), sorted by kernel and position, or None for all zero.
    """

    image: Tensor
    dictionary: Tensor
    weight: Tensor | None
    penalty: Penalty
    nonnegative: bool = False
    boundary: Boundary = "crop"
    start: Start | None = None

    @property
    def image_size(self) -> tuple[int, ...]:
        """Size of the image, without its channels."""
        return tuple(self.image.shape[1:])

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Size of the kernels."""
        return tuple(self.dictionary.shape[2:])

    @property
    def code_size(self) -> tuple[int, ...]:
        """Size of one feature map."""
        return code_size(self.image_size, self.kernel_size, self.boundary)

    @property
    def n_kernels(self) -> int:
        """K."""
        return self.dictionary.shape[0]

    @property
    def weighted_image(self) -> Tensor:
        """W²s (C, *size), what DᵀW²s correlates with the kernels."""
        return self.image if self.weight is None else self.image * self.weight.square()


def problems_from(
    images: Images,
    dictionary: DictionaryLike,
    penalty: PenaltyLike,
    mask: MaskLike | None = None,
    nonnegative: bool = False,
    boundary: str = "crop",
    start: StartLike | None = None,
    where: str = "encode",
) -> list[Problem]:
    """Check and convert everything, one :class:`Problem` an image.

    Args:
        images: (N, C, *size), or a list of (C, *size) of any sizes; numpy or torch. float32 and float64 are taken as
            they are (both in one call: float64), half precision as float32, uint8 as value / 255.
        dictionary: (K, C, *kernel); smaller kernels have zeros behind them.
        penalty: see :func:`~unconv.sparse.code.penalty.as_penalty`; also one a picture: a list of N of those that are
            not numbers, or an array that broadcasts to (N, K, *code).
        mask: W ≥ 0, broadcastable to (N, C, *size) or a list of N that broadcast to (C, *size); bool and numbers. What
            is under 0 may be NaN.
        nonnegative: whether z ≥ 0.
        boundary: "crop", "valid" or "circular".
        start: codes to start from: a sparse or dense tensor (N, K, *code), or a list of N of (K, *code).
        where: what the errors begin with.

    Raises :class:`~unconv.errors.SparseError` for what makes no problem.
    """
    kernels = check_dictionary(dictionary, where)
    known = check_boundary(boundary, where)
    if not isinstance(nonnegative, bool | np.bool_):
        raise SparseError(f"{where}: nonnegative {nonnegative!r:.60} is not True or False")
    axes = kernels.ndim - 2
    pictures = [
        as_float(picture, f"image {index}", where, eight_bits=True)
        for index, picture in enumerate(split_images(images, axes, where))
    ]
    dtype = torch.float32
    for found in (kernels, *pictures):
        dtype = torch.promote_types(dtype, found.dtype)
    masks = per_image(mask, len(pictures), axes, "mask", where)
    starts = per_image(start, len(pictures), axes, "start", where)
    problems = []
    for index, picture in enumerate(pictures):
        kernels = kernels.to(picture.device, dtype).contiguous()
        _check_picture(picture, kernels, known, index, where)
        image, weight = _masked(picture.to(dtype).contiguous(), masks[index], index, where)
        problem = Problem(image, kernels, weight, PerKernel(image.new_ones(len(kernels))), bool(nonnegative), known)
        problems.append(replace(problem, start=_start_from(starts[index], problem, index, where)))
    return _with_penalties(problems, penalty, where)


def split_images(images: Images, axes: int, where: str = "encode") -> list[Tensor]:
    """The pictures (C, *size) of a stack (N, C, *size) or of a list, each with at least one pixel."""
    shape = "(channels, " + ("length", "height, width", "depth, height, width")[axes - 1] + ")"
    if isinstance(images, list | tuple):
        pictures = [as_tensor(image, f"image {index}", where) for index, image in enumerate(images)]
    else:
        stack = as_tensor(images, "images", where)
        if stack.ndim != axes + 2:
            one = {axes + 1: "; one picture is images[None]", axes: "; one of one channel is images[None, None]"}
            way_out = one.get(stack.ndim, "")
            raise SparseError(
                f"{where}: images of shape {tuple(stack.shape)} with a dictionary of {axes} kernel axes; give "
                f"(images, {shape[1:]}{way_out}"
            )
        pictures = list(stack.unbind(0))
    for index, picture in enumerate(pictures):
        if picture.ndim != axes + 1:
            raise SparseError(
                f"{where}: image {index} has shape {tuple(picture.shape)} and the dictionary {axes} kernel axes; it "
                f"must be {shape}"
            )
        if picture.numel() == 0:
            raise SparseError(f"{where}: image {index} of shape {tuple(picture.shape)} is empty; leave it out")
    return pictures


def per_image(value: object, count: int, axes: int, what: str, where: str = "encode") -> list[Any]:
    """What belongs to each of ``count`` images: the entries of a list or of a stack, or the one value for all."""
    if isinstance(value, list | tuple):
        if len(value) != count:
            raise SparseError(f"{where}: {len(value)} entries in {what} for {count} images; give one for each")
        return list(value)
    if isinstance(value, np.ndarray | Tensor) and value.ndim == axes + 2:
        if value.shape[0] not in (1, count):
            raise SparseError(
                f"{where}: {what} of shape {tuple(value.shape)} for {count} images; its first size must be {count} or 1"
            )
        return [value[index if value.shape[0] == count else 0] for index in range(count)]
    return [value] * count


def _check_picture(picture: Tensor, dictionary: Tensor, boundary: Boundary, index: int, where: str) -> None:
    if picture.shape[0] != dictionary.shape[1]:
        raise SparseError(
            f"{where}: image {index} has {picture.shape[0]} channels, the dictionary {dictionary.shape[1]}; they must "
            "be the same"
        )
    code_size(picture.shape[1:], dictionary.shape[2:], boundary, f"{where}: image {index}")


def _masked(image: Tensor, mask: MaskLike | None, index: int, where: str) -> tuple[Tensor, Tensor | None]:
    """The image with 0 for what the mask hides, checked, and the weight; None where that is 1 everywhere."""
    name = f"image {index}"
    if mask is None:
        check_finite(image, name, where, "mask them out, with 0 in the mask")
        return image, None
    weight = as_tensor(mask, f"mask of {name}", where).to(image.device)
    if weight.is_complex():
        raise SparseError(f"{where}: mask of {name} is complex; use bool or numbers of at least 0")
    weight = weight.to(image.dtype)
    check_finite(weight, f"mask of {name}", where, "use 0 for what counts nothing")
    if bool((weight < 0).any()):
        raise SparseError(
            f"{where}: mask of {name} has negative values, down to {float(weight.min())}; use 0 and above"
        )
    weight = weight.reshape((1,) * (image.ndim - weight.ndim) + tuple(weight.shape))
    if weight.ndim != image.ndim or any(
        size not in (1, wanted) for size, wanted in zip(weight.shape, image.shape, strict=True)
    ):
        raise SparseError(
            f"{where}: mask of shape {tuple(weight.shape)} does not broadcast to {name} of shape {tuple(image.shape)}"
        )
    weight = weight.expand(weight.shape[0], *image.shape[1:]).contiguous()
    # Not a product: 0 · NaN is NaN.
    image = torch.where(weight > 0, image, 0)
    check_finite(image, name, where, "mask them out, with 0 in the mask")
    return image, None if bool((weight == 1).all()) else weight


def _start_from(start: StartLike | None, problem: Problem, index: int, where: str) -> Start | None:
    """(indices, values) of the codes to start from, without zeros; below zero nothing where codes are nonnegative."""
    if start is None:
        return None
    found = start if isinstance(start, Tensor) else as_tensor(start, f"start of image {index}", where)
    expected = (problem.n_kernels, *problem.code_size)
    if tuple(found.shape) != expected:
        raise SparseError(
            f"{where}: start of image {index} has shape {tuple(found.shape)}; its codes have {expected} "
            "(kernels, *positions)"
        )
    if found.is_complex():
        raise SparseError(f"{where}: start of image {index} is complex; use real codes")
    found = found.detach()
    codes = (found if found.layout == torch.sparse_coo else found.to_sparse()).coalesce()
    values = codes.values().to(problem.image)
    check_finite(values, f"start of image {index}", where, "start from finite codes")
    kept = values > 0 if problem.nonnegative else values != 0
    return codes.indices()[:, kept].to(problem.image.device).contiguous(), values[kept].contiguous()


def _with_penalties(problems: list[Problem], penalty: PenaltyLike, where: str) -> list[Problem]:
    """The problems with the user's penalty; a part of the maximum is one of the maximum over all of them."""
    if not problems:
        return []
    axes = len(problems[0].image_size)
    numbers = isinstance(penalty, list | tuple) and all(_is_number(entry) for entry in penalty)
    each = [penalty] * len(problems) if numbers else per_image(penalty, len(problems), axes, "penalty", where)
    numbers_of: dict[str, float] = {}
    for entry in each:
        if isinstance(entry, str) and entry not in numbers_of:
            numbers_of[entry] = relative(entry, lambda: largest_correlation(problems), where)
    found = []
    for problem, entry in zip(problems, each, strict=True):
        value = numbers_of[entry] if isinstance(entry, str) else entry
        fitted = as_penalty(value, problem.n_kernels, problem.code_size, problem.image, where)
        found.append(replace(problem, penalty=fitted))
    return found


def largest_correlation(problems: Sequence[Problem]) -> float:
    """max |DᵀW²s| over all the problems (positive parts only if nonnegative), found strip by strip."""
    largest = 0.0
    for problem in problems:
        for _, block in correlation_strips(problem.weighted_image, problem.dictionary, problem.boundary):
            largest = max(largest, float(block.max()), 0.0 if problem.nonnegative else float(-block.min()))
    return largest


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) or (isinstance(value, Tensor | np.ndarray) and value.ndim == 0)
