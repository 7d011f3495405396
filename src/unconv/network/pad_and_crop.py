"""Padding and cropping: code that makes a model take inputs of any size."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unconv.network.working_sizes import AxisSizes, WorkingSizes

_PADDED = """import torch

# {told}
AXES = {axes}
FIRST = {first}
MULTIPLE = {multiple}


def any_size(model, *inputs):
    padded = []
    for x, axes, firsts, multiples in zip(inputs, AXES, FIRST, MULTIPLE):
        for axis, first, multiple in zip(axes, firsts, multiples):
            size = x.shape[axis]
            whole = first + -(-max(size - first, 0) // multiple) * multiple
            if whole != size:
                x = x.index_select(axis, torch.arange(whole, device=x.device).clamp(max=size - 1))
        padded.append(x)
    y = model(*padded)
    return y{crop}
"""

_RESIZED = """import torch

# {told}
AXES = {axes}
SIZES = {sizes}


def any_size(model, *inputs):
    resized = []
    for x, axes, sizes in zip(inputs, AXES, SIZES):
        for axis, size in zip(axes, sizes):
            if x.shape[axis] != size:
                x = x.index_select(axis, torch.arange(size, device=x.device) * x.shape[axis] // size)
        resized.append(x)
    return model(*resized)
"""


def pad_and_crop_code(found: WorkingSizes) -> str:
    """A function ``any_size(model, *inputs)`` that repeats the last cells of inputs up to sizes that work.

    What comes out is cropped to the size that belongs to the input's, where the output is one tensor with its axes; of
    an axis that is fixed, the input is resized instead, to the nearest cells.

    >>> from torch import nn
    >>> from unconv.network.find_working_sizes import working_sizes
    >>> print(working_sizes(nn.Sequential(nn.PixelUnshuffle(2), nn.PixelShuffle(2)), ((1, 8, 8),)).code)
    import torch
    <BLANKLINE>
    # rows 2n, columns 2n
    AXES = ((2, 3),)
    FIRST = ((2, 2),)
    MULTIPLE = ((2, 2),)
    <BLANKLINE>
    <BLANKLINE>
    def any_size(model, *inputs):
        padded = []
        for x, axes, firsts, multiples in zip(inputs, AXES, FIRST, MULTIPLE):
            for axis, first, multiple in zip(axes, firsts, multiples):
                size = x.shape[axis]
                whole = first + -(-max(size - first, 0) // multiple) * multiple
                if whole != size:
                    x = x.index_select(axis, torch.arange(whole, device=x.device).clamp(max=size - 1))
            padded.append(x)
        y = model(*padded)
        return y[:, :, :inputs[0].shape[2], :inputs[0].shape[3]]
    <BLANKLINE>
    """
    # The batch comes first.
    dims = tuple(tuple(1 + n for n in axes.places) for axes in found.order)
    if any(not axis.multiple for axis in found.axes):
        sizes = tuple(axes.sizes(size) for axes, size in zip(found.order, found.sizes, strict=True))
        return _RESIZED.format(told=found.told, axes=dims, sizes=sizes)
    by_place = {place: axis for axis in found.axes for place in axis.places}
    rows = [[by_place[given, n] for n in range(len(axes.places))] for given, axes in enumerate(found.order)]
    return _PADDED.format(
        told=found.told,
        axes=dims,
        first=tuple(tuple(axis.starts[0] for axis in row) for row in rows),
        multiple=tuple(tuple(axis.multiple for axis in row) for row in rows),
        crop=_crop(dims[0], rows[0]),
    )


def _crop(dims: tuple[int, ...], axes: list[AxisSizes]) -> str:
    """Code that takes the part of an output that belongs to the first input, by its dimensions and their axes."""
    if any(axis.output is None for axis in axes):
        return ""
    ends: dict[int, str] = {}
    for number, axis in enumerate(axes):
        # Of axes that change together each has a dimension of its own.
        own = [n for n, one in enumerate(axes) if one is axis]
        if axis.output is not None and axis.output_dims:
            out = axis.output_dims[own.index(number)]
            ends[out] = _size(f"inputs[0].shape[{dims[number]}]", *axis.output)
    slices = [f":{ends.get(dim, '')}" for dim in range(max(ends, default=-1) + 1)]
    return f"[{', '.join(slices)}]" if any(ends.values()) else ""


def _size(size: str, factor: Fraction, more: Fraction) -> str:
    """Code for the size of an output, rounded up; "" for all that there is."""
    if factor == 0:
        return ""
    below = factor.denominator * more.denominator
    times, plus = int(factor * below), int(more * below)
    code = size if times == 1 else f"{times} * {size}"
    code += f" {'+' if plus > 0 else '-'} {abs(plus)}" if plus else ""
    if below > 1:
        code = f"-(-({code}) // {below})"
    return f"max(1, {code})" if plus < 0 else code
