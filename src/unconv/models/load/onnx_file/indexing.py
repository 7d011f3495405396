"""Operators of ONNX that read or write cells at indices: gathering, scattering, unpooling."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.models.load.onnx_file.node import Node, as_tensor
from unconv.models.load.onnx_file.padding import window_of


def gather(node: Node, x: Any, places: Any) -> Any:
    """``Gather`` of cells along an axis; one cell that is known is selected."""
    axis = node.get("axis", 0)
    if not isinstance(places, Tensor) and places.ndim == 0:
        x = as_tensor(x)
        return x.select(axis, int(places))
    beside = x if isinstance(x, Tensor) else places
    x = as_tensor(x, beside)
    axis %= x.dim()
    if not isinstance(places, Tensor):
        # Known cells are counted from the front before torch sees them, so that a trace knows them too.
        index = as_tensor(places % x.shape[axis], beside)
    elif axis == 0 and x.dim() == 2:
        return F.embedding(places.long(), x)
    else:
        index = torch.where(places < 0, places + x.shape[axis], places).long()
    picked = x.index_select(axis, index.flatten())
    return picked.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def gather_elements(node: Node, x: Any, places: Any) -> Any:
    """``GatherElements``."""
    index = as_tensor(places, x if isinstance(x, Tensor) else None).long()
    x, axis = as_tensor(x, index), node.get("axis", 0)
    return torch.gather(x, axis, torch.where(index < 0, index + x.shape[axis], index))


def gather_blocks(node: Node, x: Any, places: Any) -> Tensor:
    """``GatherND``: blocks of the last axes at indices of the first ones."""
    if node.get("batch_dims", 0):
        node.refuse("batch_dims above 0 are not known")
    beside = x if isinstance(x, Tensor) else places
    x = as_tensor(x, beside)
    output: Tensor = x[_first_axes(x, places, beside)]
    return output


def scatter_blocks(node: Node, x: Any, places: Any, updates: Any) -> Tensor:
    """``ScatterND``: blocks are put or added at indices of the first axes."""
    beside = next(one for one in (x, updates, places) if isinstance(one, Tensor))
    x, updates, how = as_tensor(x, beside), as_tensor(updates, beside), node.get("reduction", "none")
    if how not in ("none", "add"):
        node.refuse(f"reduction {how} is not known")
    output: Tensor = x.index_put(_first_axes(x, places, beside), updates, accumulate=how == "add")
    return output


def _first_axes(x: Tensor, places: Any, beside: Tensor) -> tuple[Tensor, ...]:
    """One index for each of the first axes, counted from the front."""
    count = places.shape[-1]
    if isinstance(places, Tensor):
        parts = (places[..., n].long() for n in range(count))
        return tuple(torch.where(one < 0, one + x.shape[n], one) for n, one in enumerate(parts))
    return tuple(as_tensor(places[..., n] % x.shape[n], beside) for n in range(count))


def scatter_elements(node: Node, x: Any, places: Any, updates: Any) -> Tensor:
    """``ScatterElements``: cells along an axis are replaced, or changed by what comes in."""
    beside = next(one for one in (x, updates, places) if isinstance(one, Tensor))
    target, source, index = (as_tensor(one, beside) for one in (x, updates, places))
    axis, how = node.get("axis", 0), node.get("reduction", "none")
    index = torch.where(index < 0, index + target.shape[axis], index).long()
    if how == "none":
        return target.scatter(axis, index, source)
    named = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[how]
    return target.scatter_reduce(axis, index, source, named)


def max_unpool(node: Node, x: Tensor, places: Tensor, *size: Any) -> Tensor:
    """``MaxUnpool``; indices count through the whole tensor."""
    kernel = node.get("kernel_shape")
    strides, _ = window_of(node, kernel)
    pads = node.get("pads", [0] * 2 * len(kernel))
    ends = zip(x.shape[2:], kernel, strides, pads[: len(kernel)], pads[len(kernel) :], strict=True)
    target = [s * (n - 1) + k - before - after for n, k, s, before, after in ends]
    if size and size[0] is not None:
        target = list(node.numbers(size[0], "output_shape"))[2:]
    unpool: Any = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[len(kernel) - 1]
    output: Tensor = unpool(x, places % prod(target), kernel, strides, 0, target)
    return output


def one_hot(node: Node, places: Tensor, depth: Any, values: Any) -> Tensor:
    """``OneHot``: an axis with one value where the index is, and the other elsewhere."""
    count = int(np.ravel(node.numbers(depth, "depth"))[0])
    axis = node.get("axis", -1)
    off, on = as_tensor(values, places)
    hot = F.one_hot(places.long() % count, count).movedim(-1, axis)
    return torch.where(hot.bool(), on, off)
