"""Pictures changed a little at random, so that a network does not learn them by heart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from unconv.errors import UnconvError

Augment = Callable[[Tensor, Generator], Tensor]


def augmentation(flip: bool = True, shift: float = 0.08) -> Augment:
    """Half of the pictures mirrored left to right, all of them moved by up to a part of their side.

    Args:
        flip: whether pictures are mirrored; not for letters and digits.
        shift: the largest move, as a part of the side, less than 1.

    Raises UnconvError for a move that is none.

    >>> augmentation(shift=0.25)(torch.rand(5, 1, 8, 8), Generator().manual_seed(0)).shape
    torch.Size([5, 1, 8, 8])
    """
    if not 0 <= shift < 1:
        raise UnconvError(f"augment: shift {shift} is no part of a side; give 0 or more, less than 1")
    return partial(flip_and_shift, flip=flip, shift=shift)


def flip_and_shift(
    images: Float[Tensor, "batch channels height width"], generator: Generator, *, flip: bool, shift: float
) -> Float[Tensor, "batch channels height width"]:
    """Each picture mirrored or not, and moved by whole pixels, its border pixels repeated where nothing else is.

    >>> image = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> sorted({tuple(flip_and_shift(image, Generator().manual_seed(n), flip=True, shift=0).flatten().tolist())
    ...         for n in range(9)})
    [(0.0, 1.0, 2.0, 3.0), (3.0, 2.0, 1.0, 0.0)]
    """
    count, _, height, width = images.shape
    most = (round(shift * height), round(shift * width))
    down, right = (torch.randint(-size, size + 1, (count, 1), generator=generator) for size in most)
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    # Indices around a slice put the slice last: channels-last, as convolutions like it.
    moved = images[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)
