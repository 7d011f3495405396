"""Initialisation of the dictionary."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.code.validate import check_dictionary
from unconv.sparse.learn.constraints import Constraint, norms
from unconv.sparse.types import InitLike

_TRIED_PER_KERNEL = 30


def first_kernels(
    init: InitLike, images: Sequence[Tensor], constraint: Constraint, generator: torch.Generator
) -> Float[Tensor, "kernels channels *kernel"]:
    """Kernels in the constraint, of norm 1.

    ``init``: "patches" draws pieces of the images, with a chance that grows with what the constraint leaves of them;
    "random" draws normal numbers; an array (K, C, *kernel) is brought into the constraint.

    >>> from unconv.sparse.learn.constraints import as_constraint
    >>> constraint = as_constraint("unit", [(6, (3, 3))])
    >>> first_kernels("patches", [torch.rand(2, 9, 9)], constraint, torch.Generator().manual_seed(0)).shape
    torch.Size([6, 2, 3, 3])

    Raises :class:`~unconv.errors.SparseError` for another word or shape, and for a kernel of zeros.
    """
    channels = images[0].shape[0]
    n_kernels, *kernel_size = constraint.support.shape
    shape = (n_kernels, channels, *kernel_size)
    if isinstance(init, str):
        if init not in ("patches", "random"):
            raise SparseError(f"learn: init {init!r} is not known; use 'patches', 'random' or an array")
        noise = torch.randn(shape, generator=generator, dtype=images[0].dtype)
        kernels = constraint.unit(noise)
        if init == "patches":
            kernels = _from_patches(images, constraint, generator, kernels)
    else:
        given = check_dictionary(init, "learn")
        if tuple(given.shape) != shape:
            raise SparseError(
                f"learn: init of shape {tuple(given.shape)}; n_kernels, kernel_size and the images need {shape}"
            )
        kernels = constraint.unit(given.to(images[0].dtype))
    empty = (norms(kernels) == 0).nonzero().flatten()
    if len(empty):
        raise SparseError(f"learn: kernel {int(empty[0])} of init is 0 under the constraint; leave it out")
    return kernels


def _from_patches(
    images: Sequence[Tensor], constraint: Constraint, generator: torch.Generator, otherwise: Tensor
) -> Tensor:
    kernel_size = tuple(constraint.support.shape[1:])
    large = [
        image
        for image in images
        if image.shape[0] == images[0].shape[0]
        and image.ndim - 1 == len(kernel_size)
        and all(taps <= size for taps, size in zip(kernel_size, image.shape[1:], strict=True))
    ]
    if not large:
        return otherwise
    pieces = []
    for _ in range(_TRIED_PER_KERNEL * len(otherwise)):
        image = large[_below(len(large), generator)]
        at = [
            slice(start := _below(size - taps + 1, generator), start + taps)
            for taps, size in zip(kernel_size, image.shape[1:], strict=True)
        ]
        pieces.append(image[(slice(None), *at)])
    tried = torch.nan_to_num(torch.stack(pieces), 0.0, 0.0, 0.0)
    # The constraint of one kernel size rarely differs much from that of another: the largest judges.
    largest = int(constraint.support.flatten(1).sum(1).argmax())
    judge = Constraint(constraint.support[[largest]], constraint.zero_mean, constraint.nonnegative)
    chances = norms(judge.cone(tried))
    if int((chances > 0).sum()) < len(otherwise):
        return otherwise
    chosen = torch.multinomial(chances, len(otherwise), generator=generator)
    kernels = constraint.unit(tried[chosen])
    lost = (norms(kernels) == 0).reshape(-1, *(1,) * (kernels.ndim - 1))
    return torch.where(lost, otherwise, kernels)


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
