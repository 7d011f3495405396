"""Pooling operators of ONNX by torch's functions."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.models.load.onnx_file.node import Node
from unconv.models.load.onnx_file.padding import pad_axes, pairs_for, window_of
from unconv.operators.by_axes import MAX_POOL

_AVERAGES: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def max_pool(node: Node, x: Tensor) -> Any:
    """``MaxPool``; its indices count through the whole tensor."""
    kernel = node.get("kernel_shape")
    strides, dilations = window_of(node, kernel)
    x, padding = _padded(node, x, kernel, -inf if x.is_floating_point() else float(torch.iinfo(x.dtype).min))
    whole = bool(node.get("ceil_mode", 0))
    if len(node.outputs) == 1 or not node.outputs[1]:
        return MAX_POOL[len(kernel)](x, kernel, strides, padding, dilations, whole)
    if node.get("storage_order", 0) or list(x.shape[2:]) != _inner(node, x, kernel, padding):
        node.refuse("indices of unevenly padded maps, or column by column, are not known")
    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(kernel) - 1]
    output, places = function(x, kernel, strides, padding, dilations, whole, return_indices=True)
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device).view(*x.shape[:2], *(1,) * len(kernel))
    return output, places + planes * prod(x.shape[2:])


def _inner(node: Node, x: Tensor, kernel: list[int], padding: list[int]) -> list[int]:
    """The size before padding by hand: that of x where torch pads."""
    pairs = pairs_for(node, kernel, x.shape[2:])
    by_torch = all(pair == (n, n) for pair, n in zip(pairs, padding, strict=True))
    return list(x.shape[2:]) if by_torch else []


def average_pool(node: Node, x: Tensor) -> Tensor:
    """``AveragePool``: padding counts where the file says so."""
    kernel = node.get("kernel_shape")
    strides, dilations = window_of(node, kernel)
    if any(one != 1 for one in dilations):
        node.refuse("averages of dilated windows are nothing that torch has")
    counted, whole = bool(node.get("count_include_pad", 0)), bool(node.get("ceil_mode", 0))
    pool = _AVERAGES[len(kernel)]
    padded, padding = _padded(node, x, kernel, 0.0)
    if padded is x:
        return pool(x, kernel, strides, padding, whole, counted)
    averages = pool(padded, kernel, strides, padding, whole, True)
    if counted:
        return averages
    ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
    return averages / pool(_padded(node, ones, kernel, 0.0)[0], kernel, strides, padding, whole, True)


def _padded(node: Node, x: Tensor, kernel: list[int], value: float) -> tuple[Tensor, list[int]]:
    """The input padded where torch's pooling cannot, and what that is left to pad."""
    pairs = pairs_for(node, kernel, x.shape[2:])
    if all(before == after and 2 * before <= size for (before, after), size in zip(pairs, kernel, strict=True)):
        return x, [before for before, _ in pairs]
    return pad_axes(x, pairs, value), [0] * len(kernel)


def lp_pool(node: Node, x: Tensor) -> Tensor:
    """``LpPool``: the norm of each window, of powers of its averages; padding counts as zeros."""
    p, kernel = node.get("p", 2), node.get("kernel_shape")
    counted = Node(node.name, node.operator, {**node.attributes, "count_include_pad": 1}, node.inputs, node.outputs)
    norm: Tensor = (average_pool(counted, x.abs() ** p) * prod(kernel)) ** (1 / p)
    return norm


def global_lp(node: Node, x: Tensor) -> Tensor:
    """``GlobalLpPool``."""
    norm: Tensor = torch.linalg.vector_norm(x, node.get("p", 2), tuple(range(2, x.dim())), keepdim=True)
    return norm


def global_average(_node: Node, x: Tensor) -> Tensor:
    """``GlobalAveragePool``."""
    return x.mean(tuple(range(2, x.dim())), keepdim=True)


def global_max(_node: Node, x: Tensor) -> Tensor:
    """``GlobalMaxPool``."""
    return x.amax(tuple(range(2, x.dim())), keepdim=True)
