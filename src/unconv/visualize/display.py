"""Display: projections and pictures as pixels to look at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

# One value in a hundred may be clipped, so that a few extreme values do not leave the rest grey.
CLIPPED = 0.01


def show_projection(
    projection: Float[Tensor, "channel height width"],
) -> Float[Tensor, "channel height width"]:
    """A projection as a picture: 0 is mid-grey, and equal amounts of plus and minus are equally far from it.

    v = ½ + p / 2q, clipped to [0, 1], where q is the 99th percentile of |p|. A projection that is zero is grey.

    >>> show_projection(torch.tensor([[[-4.0, 0.0, 2.0]]]))
    tensor([[[0.0000, 0.5000, 0.7500]]])
    """
    magnitudes = projection.abs().flatten()
    # Counted, not interpolated: torch.quantile stops at 16 million values, and few pixels must not be clipped at all.
    rank = max(1, round((1 - CLIPPED) * magnitudes.numel())) if magnitudes.numel() > 1 / CLIPPED else magnitudes.numel()
    scale = magnitudes.kthvalue(rank).values
    if scale == 0:
        scale = magnitudes.max()
    if scale == 0:
        return torch.full_like(projection, 0.5)
    return (0.5 + projection / (2 * scale)).clamp(0, 1)


def show_bands(picture: Float[Tensor, channel * size], bands: Sequence[int] = ()) -> Float[Tensor, 3 * size]:
    """Three channels to show: those that are chosen, one of them repeated; without a choice as :func:`as_rgb`.

    >>> show_bands(torch.arange(4.0)[:, None, None], (3, 1, 0)).flatten().tolist()
    [3.0, 1.0, 0.0]
    """
    return as_rgb(picture[list(bands)] if bands else picture)


def as_rgb(picture: Float[Tensor, channel * size]) -> Float[Tensor, 3 * size]:
    """Three channels to show: grey is repeated; of any other number the mean is taken, then repeated.

    >>> as_rgb(torch.ones(1, 2, 2)).shape, as_rgb(torch.ones(5, 2, 2)).shape
    (torch.Size([3, 2, 2]), torch.Size([3, 2, 2]))
    """
    return picture if len(picture) == 3 else picture.mean(0, keepdim=True).expand(3, *picture.shape[1:])


def choose_slice(values: Float[Tensor, channel * size], start: int = 0, asked: int | None = None) -> int | None:
    """Which slice of a clip or volume to show, along the first axis behind the channels; None of a picture.

    Args:
        values: a part of it: its first slice is that of number ``start``.
        start: the number.
        asked: the slice that is wanted, of which the part may hold none: then the nearest. None: that with the largest
            sum of squares, the middle one where all are zero.

    >>> values = torch.zeros(1, 5, 2, 2)
    >>> choose_slice(values, start=10), choose_slice(values, start=10, asked=20), choose_slice(values[:, 0])
    (12, 14, None)
    >>> values[0, 1] = -1
    >>> choose_slice(values)
    1
    """
    if values.ndim < 4:
        return None
    last = values.shape[1] - 1
    if asked is not None:
        return start + min(max(asked - start, 0), last)
    energy = values.double().square().sum(dim=(0, 2, 3))
    return start + (int(energy.argmax()) if bool(energy.any()) else values.shape[1] // 2)


def cut_slice(values: Float[Tensor, channel * size], index: int | None) -> Float[Tensor, "channel height width"]:
    """A slice of a clip; a picture, which has none, as it is.

    >>> cut_slice(torch.zeros(3, 5, 4, 2), 1).shape, cut_slice(torch.zeros(3, 4, 2), None).shape
    (torch.Size([3, 4, 2]), torch.Size([3, 4, 2]))
    """
    return values if index is None else values[:, index]


def middle_slice(picture: Float[Tensor, channel * size], asked: int | None = None) -> int | None:
    """The slice that stands for a whole clip: the one that is asked for, or the middle; None of a picture.

    >>> middle_slice(torch.zeros(3, 5, 4, 2)), middle_slice(torch.zeros(3, 4, 2))
    (2, None)
    """
    return choose_slice(torch.zeros(1, *picture.shape[1:]), asked=asked)
