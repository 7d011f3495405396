"""Operators of ONNX that move cells: reshape, transpose, slice, pad, gather, and depth to space."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.describe import by_size
from unconv.models.load.onnx_file.node import Node, as_tensor


def shape(node: Node, x: Tensor) -> Any:
    """``Shape``: known whatever the values are."""
    return np.array(x.shape[node.get("start", 0) : node.get("end")], dtype=np.int64)


def size(_node: Node, x: Tensor) -> Any:
    """``Size``."""
    return np.array(x.numel(), dtype=np.int64)


def reshape(node: Node, x: Tensor, target: Any) -> Tensor:
    """``Reshape``; 0 keeps the size of an axis."""
    wanted = node.numbers(target, "shape")
    if not node.get("allowzero", 0):
        wanted = [x.shape[n] if length == 0 else length for n, length in enumerate(wanted)]
    told = prod(length for length in wanted if length != -1)
    if x.numel() != told if -1 not in wanted else told and x.numel() % told:
        node.refuse(
            f"the shape {by_size(wanted)} is none of {by_size(tuple(x.shape))}, the batch first; of a file for one "
            "size or batch it is fixed: run it at that, or export it with dynamic axes"
        )
    return x.reshape(wanted)


def flatten(node: Node, x: Tensor) -> Tensor:
    """``Flatten`` to a matrix."""
    axis = node.get("axis", 1)
    axis += x.dim() if axis < 0 else 0
    return x.reshape(prod(x.shape[:axis]), -1)


def transpose(node: Node, x: Tensor) -> Tensor:
    """``Transpose``."""
    return x.permute(node.get("perm", tuple(reversed(range(x.dim())))))


def squeeze(node: Node, x: Tensor, *given: Any) -> Tensor:
    """``Squeeze``."""
    axes = node.setting("axes", (x, *given), 1)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def unsqueeze(node: Node, x: Tensor, *given: Any) -> Tensor:
    """``Unsqueeze``; axes count in the output."""
    axes = node.setting("axes", (x, *given), 1)
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def concat(node: Node, *given: Any) -> Tensor:
    """``Concat``."""
    beside = next(one for one in given if isinstance(one, Tensor))
    return torch.cat([as_tensor(one, beside) for one in given], node.get("axis"))


def split(node: Node, x: Tensor, *given: Any) -> Any:
    """``Split`` into stretches of sizes that are told, or into equal ones."""
    axis, parts = node.get("axis", 0), node.setting("split", (x, *given), 1)
    if parts is None:
        parts = -(-x.shape[axis] // len(node.outputs))
    return torch.split(x, parts, axis)


def slice_(node: Node, x: Tensor, *given: Any) -> Tensor:
    """``Slice``; backwards by a flip."""
    everything = (x, *given)
    starts, ends = (node.setting(name, everything, n) for n, name in ((1, "starts"), (2, "ends")))
    axes = node.setting("axes", everything, 3, range(len(starts)))
    steps = node.setting("steps", everything, 4, [1] * len(starts))
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        length = x.shape[axis]
        cells = range(length)[start:end:step] if step > 0 or end >= -length else range(length)[start::step]
        if step < 0:
            x, cells = x.flip(axis), range(length - 1 - cells.start, length - 1 - cells.stop, -step)
        whole = (slice(None),) * (axis % x.dim())
        x = x[(*whole, slice(cells.start, cells.stop, cells.step))]
    return x


def expand(node: Node, x: Tensor, target: Any) -> Tensor:
    """``Expand``: broadcast to a shape, which may be the smaller of both."""
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(node.numbers(target, "shape"))))


def tile(node: Node, x: Tensor, times: Any) -> Tensor:
    """``Tile``."""
    return x.repeat(node.numbers(times, "repeats"))


def pad(node: Node, x: Tensor, *given: Any) -> Tensor:
    """``Pad`` with a constant, by reflection, by replication or round in a circle."""
    everything = (x, *given)
    pads = node.setting("pads", everything, 1)
    axes = node.setting("axes", everything, 3, range(x.dim()))
    value, mode = node.setting("value", everything, 2, 0.0), node.get("mode", "constant")
    value = value[0] if isinstance(value, list) else value
    pairs = [(0, 0)] * x.dim()
    for axis, before, after in zip(axes, pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True):
        pairs[axis] = (before, after)
    if mode == "constant":
        flat = [number for pair in reversed(pairs) for number in pair]
        return F.pad(x, flat, value=value) if any(flat) else x
    cropped = [min(number, 0) for pair in reversed(pairs) for number in pair]
    x = F.pad(x, cropped) if any(cropped) else x
    return _fill(node, x, [(max(before, 0), max(after, 0)) for before, after in pairs], mode)


def _fill(node: Node, x: Tensor, pairs: list[tuple[int, int]], mode: str) -> Tensor:
    """Cells repeated around: torch pads the last axes of three to five so."""
    if any(pairs[0]):
        node.refuse(f"padding of the batch in mode {mode} is not known")
    named = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}.get(mode)
    first = next((n for n, pair in enumerate(pairs) if any(pair)), None)
    if first is None:
        return x
    # torch pads behind two axes: those in front come together as one, or one is put before them.
    first = max(first, 1)
    axes = x.dim() - first
    if named is None or axes > 3:
        node.refuse(f"padding of {axes} axes in mode {mode} is nothing that torch has")
    flat = [number for pair in reversed(pairs[first:]) for number in pair]
    padded = F.pad(x if first == 2 else x.reshape(prod(x.shape[:first]), 1, *x.shape[first:]), flat, mode=named)
    return padded if first == 2 else padded.reshape(*x.shape[:first], *padded.shape[2:])


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    """``DepthToSpace``: channels become phases, ordered as torch's pixel shuffle does (CRD) or phases first (DCR)."""
    block = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    batch, channels, height, width = x.shape
    parts = x.reshape(batch, block, block, channels // block**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * block, width * block)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    """``SpaceToDepth``: phases become channels, phases first."""
    block = node.get("blocksize")
    batch, channels, height, width = x.shape
    parts = x.reshape(batch, channels, height // block, block, width // block, block)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // block, width // block)


def trilu(node: Node, x: Tensor, *diagonal: Any) -> Tensor:
    """``Trilu``: the triangle on one side of a diagonal."""
    k = int(node.numbers(diagonal[0], "diagonal")) if diagonal and diagonal[0] is not None else 0
    return x.triu(k) if node.get("upper", 1) else x.tril(k)


def grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    """``GridSample``."""
    mode = node.get("mode", "linear")
    named = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    corners = bool(node.get("align_corners", 0))
    return F.grid_sample(x, grid, named, node.get("padding_mode", "zeros"), corners)
