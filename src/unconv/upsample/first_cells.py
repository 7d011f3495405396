"""Layers with a scale factor, and how they meet odd sizes: by the first cells of a whole multiple."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from unconv._renamed import warn_renamed
from unconv.errors import GeometryError
from unconv.operators.geometry.sizes import Size
from unconv.upsample.sized import wanted_sizes


def first_cells(
    y: Float[Tensor, "batch channel *size"], output_size: Size | Tensor | None, scale_factor: tuple[int, ...], name: str
) -> Float[Tensor, "batch channel *smaller_size"]:
    """As many cells of each axis as are asked for: all, or up to ``scale_factor`` − 1 fewer.

    Args:
        y: an output, ``scale_factor`` times as large as what it was made of.
        output_size: an int, one per axis, or a tensor that has this size; None for all.
        scale_factor: one number for each axis.
        name: of the layer, for errors.

    Raises :class:`~unconv.errors.GeometryError`, naming those that can be reached, for another size.

    >>> import torch
    >>> first_cells(torch.zeros(1, 3, 8, 6), (7, 6), (2, 2), "sub-pixel").shape
    torch.Size([1, 3, 7, 6])
    """
    asked = wanted_sizes(name, output_size, y.ndim, len(scale_factor))
    if asked is None:
        return y
    for axis, (size, step) in enumerate(zip(asked, scale_factor, strict=True)):
        most = y.shape[2 + axis]
        if not most - step < size <= most:
            raise GeometryError(
                f"{name}: output size {size} on axis {axis} cannot be reached from {most // step} with factor {step}; "
                f"{most - step + 1} to {most} can"
            )
        if size != most:
            y = y.narrow(2 + axis, 0, size)
    return y


class WithFactor(nn.Module):
    """A layer whose output has ``scale_factor`` times the input's size, one number for each axis."""

    scale_factor: tuple[int, ...]

    @property
    def factor(self) -> tuple[int, ...]:
        """The scale factor, under the name that it had."""
        warn_renamed(f"{type(self).__name__}.factor is scale_factor now")
        return self.scale_factor
