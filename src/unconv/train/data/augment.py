"""Data augmentation: pictures mirrored and moved at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from unconv.errors import UnconvError
from unconv.train.data.examples import Batch

Augment: TypeAlias = Callable[[Batch, Generator], Batch]
"""A batch changed at random by a generator; what is wanted of the inputs may change with them."""


def augmentation(flip: bool = True, shift: float = 0.08) -> Augment:
    """Half of the pictures mirrored left to right, all of them moved by up to a part of their side.

    Args:
        flip: whether pictures are mirrored; not for letters and digits.
        shift: the largest move, as a part of the side, less than 1.

    Raises UnconvError for a move that is none.

    >>> batch = Batch(torch.rand(5, 1, 8, 8), torch.arange(5))
    >>> augmentation(shift=0.25)(batch, Generator().manual_seed(0)).inputs.shape
    torch.Size([5, 1, 8, 8])
    """
    check_shift(shift)

    def changed(batch: Batch, generator: Generator) -> Batch:
        moves = draw_moves(batch.inputs, generator, flip=flip, shift=shift)
        return replace(batch, inputs=moved(batch.inputs, moves))

    return changed


def check_shift(shift: float) -> None:
    """Raises UnconvError for a move that is no part of a side, less than 1.

    >>> check_shift(0.5)
    """
    if not 0 <= shift < 1:
        raise UnconvError(f"augment: shift {shift} is no part of a side; give 0 or more, less than 1")


class Moves(NamedTuple):
    """Which row and which column of a picture each of the moved one is taken from."""

    rows: Int64[Tensor, "batch height"]
    columns: Int64[Tensor, "batch width"]


def draw_moves(
    images: Float[Tensor, "batch channels height width"], generator: Generator, *, flip: bool, shift: float
) -> Moves:
    """A move by whole pixels for each picture, mirrored or not; border pixels are repeated where nothing else is.

    >>> draw_moves(torch.zeros(1, 3, 2, 4), Generator().manual_seed(3), flip=True, shift=0)
    Moves(rows=tensor([[0, 1]]), columns=tensor([[3, 2, 1, 0]]))
    """
    count, _, height, width = images.shape
    most = (round(shift * height), round(shift * width))
    down, right = (torch.randint(-size, size + 1, (count, 1), generator=generator) for size in most)
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    return Moves(rows, columns)


def moved(images: Tensor, moves: Moves) -> Tensor:
    """Pictures (batch, channels, height, width), or their masks (batch, height, width), as the moves say.

    >>> image = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> moved(image, Moves(torch.tensor([[0]]), torch.tensor([[0, 0, 1, 2]])))
    tensor([[[[0., 0., 1., 2.]]]])
    """
    batch = torch.arange(len(images))[:, None, None]
    if images.ndim == 3:
        return images[batch, moves.rows[:, :, None], moves.columns[:, None, :]]
    # Indices around a slice put the slice last: channels-last, as convolutions like it.
    return images[batch, :, moves.rows[:, :, None], moves.columns[:, None, :]].permute(0, 3, 1, 2)
