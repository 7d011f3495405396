"""Padding of ONNX operators: ``pads`` of both sides, and ``auto_pad`` by the size that comes in."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from unconv.models.load.onnx_file.node import Node

# Beyond it lies no map that fits into memory, and fields would be walked for hours: such numbers are damage.
LARGEST_STEP = 65_536


def window_of(node: Node, kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """Strides and dilations, one an axis.

    >>> window_of(Node("conv", "Conv", {"strides": [2, 2]}, (), ()), (3, 3))
    ([2, 2], [1, 1])
    """
    ones = [1] * len(kernel)
    strides, dilations = node.get("strides", ones), node.get("dilations", ones)
    if any(not 1 <= step <= LARGEST_STEP for step in (*strides, *dilations)):
        node.refuse(f"strides {strides} and dilations {dilations} have to be from 1 to {LARGEST_STEP:,}")
    return strides, dilations


def pairs_for(node: Node, kernel: Sequence[int], size: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) of each axis for an input of that size.

    SAME keeps ⌈size / stride⌉ windows; of an odd number of cells SAME_UPPER puts the odd one behind, SAME_LOWER before.

    >>> conv = Node("conv", "Conv", {"auto_pad": b"SAME_UPPER", "strides": [2]}, (), ())
    >>> pairs_for(conv, (3,), (8,)), pairs_for(conv, (3,), (7,))
    ([(0, 1)], [(1, 1)])
    """
    auto, axes = node.get("auto_pad", "NOTSET"), len(kernel)
    if auto == "VALID":
        return [(0, 0)] * axes
    if auto == "NOTSET":
        pads = node.get("pads", [0] * 2 * axes)
        return list(zip(pads[:axes], pads[axes:], strict=True))
    strides, dilations = window_of(node, kernel)
    pairs = []
    for length, width, stride, dilation in zip(size, kernel, strides, dilations, strict=True):
        total = max((-(-length // stride) - 1) * stride + dilation * (width - 1) + 1 - length, 0)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return pairs


def fixed_padding(node: Node, axes: int) -> list[int] | None:
    """One number an axis, where both sides have as much whatever the input's size; None else.

    >>> fixed_padding(Node("conv", "Conv", {"pads": [1, 2, 1, 2]}, (), ()), 2)
    [1, 2]
    """
    if node.get("auto_pad", "NOTSET").startswith("SAME"):
        return None
    pairs = pairs_for(node, [1] * axes, [1] * axes)
    return [before for before, _ in pairs] if all(before == after for before, after in pairs) else None


def pad_axes(x: Tensor, pairs: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """The last axes padded; negative numbers crop.

    >>> pad_axes(Tensor([[1, 2]]), [(1, 0)])
    tensor([[0., 1., 2.]])
    """
    flat = [number for pair in reversed(list(pairs)) for number in pair]
    return F.pad(x, flat, value=value) if any(flat) else x
