"""Kernels and feature maps as pixels, ready to be shown."""

from __future__ import annotations

from math import ceil, sqrt

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# Pictures that a figure of many shows.
MOST = 16


def kernel_picture(kernel: Float[Tensor, "channels height width"]) -> Float[Tensor, "rows columns rgb"]:
    """A kernel with 0 as mid-grey and its largest magnitude as black or white; three channels are a colour.

    Other numbers of channels stand side by side. Rows and columns that are zero throughout at the end are left out:
    they are how a smaller kernel fills a larger array.

    >>> kernel_picture(torch.tensor([[[1.0, -0.5], [0.0, 0.0]]]))[..., 0]
    tensor([[1.0000, 0.2500]])
    """
    used = (kernel != 0).any(dim=0).nonzero()
    if len(used):
        rows, columns = (int(last) + 1 for last in used.amax(dim=0))
        kernel = kernel[:, :rows, :columns]
    shown = 0.5 + 0.5 * kernel / kernel.abs().max().clamp(min=torch.finfo(kernel.dtype).tiny)
    if len(shown) == 3:
        return shown.permute(1, 2, 0)
    return torch.cat(list(shown), dim=1)[..., None].expand(-1, -1, 3)


def mosaic(pictures: list[Tensor], columns: int, gap: int) -> Float[Tensor, "height width rgb"]:
    """Pictures row by row on white, each in the middle of its cell.

    >>> mosaic([torch.zeros(8, 8, 3)] * 6, columns=4, gap=1).shape
    torch.Size([17, 35, 3])
    """
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    rows = ceil(len(pictures) / columns)
    board = pictures[0].new_ones(rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    for place, picture in enumerate(pictures):
        top = place // columns * (height + gap) + (height - picture.shape[0]) // 2
        left = place % columns * (width + gap) + (width - picture.shape[1]) // 2
        board[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return board


def enlarge(picture: Float[Tensor, "height width rgb"], times: int) -> Float[Tensor, "tall wide rgb"]:
    """Every pixel as a square of pixels."""
    return picture.repeat_interleave(times, 0).repeat_interleave(times, 1)


def columns_for(count: int, width: float | int = 1, height: float | int = 1) -> int:
    """How many columns make cells of that width and height a board about square.

    >>> columns_for(64), columns_for(36), columns_for(5), columns_for(1)
    (8, 6, 3, 1)
    """
    return max(1, ceil(sqrt(count * height / width) - 1e-9))


def map_picture(codes: Float[Tensor, "height width"], largest: float, cells: int) -> Float[Tensor, "tall wide rgb"]:
    """A feature map on white, positive codes blue and negative ones orange, small enough that single codes are seen.

    A cell of the picture shows the code of largest magnitude in it. Colour grows with the square root, since most
    codes are small.

    >>> map_picture(torch.eye(64), largest=1.0, cells=16).shape
    torch.Size([16, 16, 3])
    """
    step = max(1, ceil(max(codes.shape) / cells))
    up, down = (F.max_pool2d(side[None], step, ceil_mode=True)[0] for side in (codes.clamp(min=0), -codes.clamp(max=0)))
    signed = torch.where(up >= down, up, -down)
    strength = (signed.abs() / largest).clamp(max=1).sqrt()[..., None]
    blue, orange = signed.new_tensor([0.05, 0.25, 0.48]), signed.new_tensor([0.75, 0.33, 0.05])
    return 1 + strength * (torch.where(signed[..., None] > 0, blue, orange) - 1)
