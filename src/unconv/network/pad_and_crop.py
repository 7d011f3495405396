"""Padding and cropping: code that makes a model take inputs of any size."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unconv.network.working_sizes import AxisSizes, WorkingSizes

_CODE = """import torch.nn.functional as F

# {told}
FIRST = {first}
MULTIPLE = {multiple}


def any_size(model, *inputs):
    padded = []
    for x, firsts, multiples in zip(inputs, FIRST, MULTIPLE):
        pads = []
        for size, first, multiple in zip(x.shape[2:], firsts, multiples):
            more = -(-max(size - first, 0) // multiple) * multiple
            pads = [0, first + more - size, *pads]
        padded.append(F.pad(x, pads, mode="replicate" if x.is_floating_point() else "constant") if pads else x)
    y = model(*padded)
    {last}
"""


def pad_and_crop_code(found: WorkingSizes) -> str:
    """A function ``any_size(model, *inputs)`` that repeats the last cells of inputs up to sizes that work.

    What comes out is cropped to the size that belongs to the input's, where the output is one tensor with its axes; of
    an axis that is fixed, the input is resized instead.

    >>> from torch import nn
    >>> from unconv.network.find_working_sizes import working_sizes
    >>> print(working_sizes(nn.Sequential(nn.PixelUnshuffle(2), nn.PixelShuffle(2)), ((1, 8, 8),)).code)
    import torch.nn.functional as F
    <BLANKLINE>
    # rows 2n, columns 2n
    FIRST = ((2, 2),)
    MULTIPLE = ((2, 2),)
    <BLANKLINE>
    <BLANKLINE>
    def any_size(model, *inputs):
        padded = []
        for x, firsts, multiples in zip(inputs, FIRST, MULTIPLE):
            pads = []
            for size, first, multiple in zip(x.shape[2:], firsts, multiples):
                more = -(-max(size - first, 0) // multiple) * multiple
                pads = [0, first + more - size, *pads]
            padded.append(F.pad(x, pads, mode="replicate" if x.is_floating_point() else "constant") if pads else x)
        y = model(*padded)
        return y[..., :inputs[0].shape[2], :inputs[0].shape[3]]
    <BLANKLINE>
    """
    by_place = {place: axis for axis in found.axes for place in axis.places}
    rows = [[by_place[given, n] for n in range(len(size) - 1)] for given, size in enumerate(found.sizes)]
    if any(not axis.multiple for axis in found.axes):
        return _resized(found)
    first = tuple(tuple(axis.starts[0] for axis in row) for row in rows)
    multiple = tuple(tuple(axis.multiple for axis in row) for row in rows)
    return _CODE.format(told=found.told, first=first, multiple=multiple, last=f"return y{_crop(rows[0])}")


def _crop(axes: list[AxisSizes]) -> str:
    if not axes or any(axis.output is None for axis in axes) or not any(axis.multiple > 1 for axis in axes):
        return ""
    sizes = [_size(f"inputs[0].shape[{n}]", *axis.output) for n, axis in enumerate(axes, start=2) if axis.output]
    return f"[..., {', '.join(f':{size}' if size else ':' for size in sizes)}]"


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


def _resized(found: WorkingSizes) -> str:
    sizes = tuple(size[1:] for size in found.sizes)
    return f"""import torch.nn.functional as F

# {found.told}
SIZES = {sizes}


def any_size(model, *inputs):
    return model(*(F.interpolate(x, size=size) if size else x for x, size in zip(inputs, SIZES)))
"""
