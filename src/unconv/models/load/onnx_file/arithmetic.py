"""Operators of ONNX on values: products, sums along axes, norms, softmax, types."""

from __future__ import annotations

from functools import reduce as fold
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.models.load.onnx_file.node import Node, as_tensor


def product(_node: Node, left: Any, right: Any) -> Any:
    """``MatMul``."""
    left, right = _both(left, right)
    return left @ right


def gemm(node: Node, a: Any, b: Any, c: Any = None) -> Any:
    """``Gemm`` of two matrices, α·A·B + β·C."""
    a, b = _both(a, b)
    a, b = a.T if node.get("transA", 0) else a, b.T if node.get("transB", 0) else b
    out = a @ b
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    out = out if alpha == 1 else out * alpha
    if c is None:
        return out
    c = as_tensor(c, out)
    return out + (c if beta == 1 else c * beta)


def einsum(node: Node, *given: Any) -> Tensor:
    """``Einsum``."""
    beside = next(one for one in given if isinstance(one, Tensor))
    return torch.einsum(node.get("equation"), *(as_tensor(one, beside) for one in given))


def several(function: Any) -> Any:
    """An operator of any number of values, taken two by two."""

    def run(_node: Node, *given: Any) -> Tensor:
        beside = next(one for one in given if isinstance(one, Tensor))
        result: Tensor = fold(function, [as_tensor(one, beside) for one in given])
        return result

    return run


def mean(node: Node, *given: Any) -> Tensor:
    """``Mean`` of several values."""
    total: Tensor = several(torch.add)(node, *given)
    return total / len(given)


def divide(left: Tensor, right: Tensor) -> Tensor:
    """Whole numbers are divided towards zero, as in C."""
    whole = not left.is_floating_point() and not right.is_floating_point()
    return torch.div(left, right, rounding_mode="trunc" if whole else None)


def modulo(node: Node, left: Any, right: Any) -> Tensor:
    """``Mod`` with the sign of the divisor, or of the dividend (fmod)."""
    left, right = _both(left, right)
    return torch.fmod(left, right) if node.get("fmod", 0) else torch.remainder(left, right)


def where(_node: Node, condition: Any, left: Any, right: Any) -> Tensor:
    """``Where``."""
    beside = next(one for one in (condition, left, right) if isinstance(one, Tensor))
    chosen: Any = [as_tensor(one, beside) for one in (condition, left, right)]
    return torch.where(chosen[0], chosen[1], chosen[2])


def reduction(name: str) -> Any:
    """``ReduceSum`` and its like; which axes is an attribute or an input."""

    def run(node: Node, x: Tensor, *given: Any) -> Tensor:
        axes = node.setting("axes", (x, *given), 1)
        if not axes and node.get("noop_with_empty_axes", 0):
            return x
        dims = tuple(axis % x.dim() for axis in axes) if axes else tuple(range(x.dim()))
        return _reduced(name, x, dims, bool(node.get("keepdims", 1)))

    return run


def _reduced(name: str, x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    if name in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"):
        function: Any = {"Sum": torch.sum, "Mean": torch.mean, "Max": torch.amax, "Min": torch.amin}[name[6:]]
        reduced: Tensor = function(x, dims, keepdim=keep)
        return reduced
    if name in ("ReduceL1", "ReduceL2"):
        norm: Tensor = torch.linalg.vector_norm(x, int(name[-1]), dims, keepdim=keep)
        return norm
    if name == "ReduceSumSquare":
        return (x * x).sum(dims, keepdim=keep)
    if name == "ReduceLogSumExp":
        return torch.logsumexp(x, dims, keepdim=keep)
    if name == "ReduceLogSum":
        return x.sum(dims, keepdim=keep).log()
    for dim in sorted(dims, reverse=True):
        x = x.prod(dim, keepdim=keep)
    return x


def arg(name: str) -> Any:
    """``ArgMax``, ``ArgMin``."""
    function: Any = {"ArgMax": torch.argmax, "ArgMin": torch.argmin}[name]

    def run(node: Node, x: Tensor) -> Tensor:
        axis, keep = node.get("axis", 0), bool(node.get("keepdims", 1))
        if node.get("select_last_index", 0):
            out: Tensor = x.shape[axis] - 1 - function(x.flip(axis), axis, keepdim=keep)
            return out
        found: Tensor = function(x, axis, keepdim=keep)
        return found

    return run


def top(node: Node, x: Tensor, *given: Any) -> Any:
    """``TopK``: values and places."""
    count = node.setting("k", (x, *given), 1)
    count = count[0] if isinstance(count, list) else count
    return torch.topk(x, count, node.get("axis", -1), bool(node.get("largest", 1)), bool(node.get("sorted", 1)))


def softmax(function: Any) -> Any:
    """``Softmax`` along one axis; before opset 13 along all from that axis on, as one."""

    def run(node: Node, x: Tensor) -> Tensor:
        if node.opset >= 13:
            plain: Tensor = function(x, node.get("axis", -1))
            return plain
        axis = node.get("axis", 1) % x.dim()
        if all(length == 1 for length in x.shape[axis + 1 :]) or axis == x.dim() - 1:
            along: Tensor = function(x, axis)
            return along
        flat: Tensor = function(x.flatten(axis), axis)
        return flat.reshape(x.shape)

    return run


def batch_norm(node: Node, x: Tensor, scale: Any, shift: Any, center: Any, variance: Any) -> Tensor:
    """``BatchNormalization`` with moments that are computed."""
    if node.get("training_mode", 0):
        node.refuse("it is in training mode; export the network in evaluation mode")
    mean, spread, weight, bias = (as_tensor(one, x) for one in (center, variance, scale, shift))
    return F.batch_norm(x, mean, spread, weight, bias, eps=node.get("epsilon", 1e-5))


def instance_norm(node: Node, x: Tensor, scale: Any, shift: Any) -> Tensor:
    """``InstanceNormalization``."""
    weight, bias = as_tensor(scale, x), as_tensor(shift, x)
    return F.instance_norm(x, weight=weight, bias=bias, eps=node.get("epsilon", 1e-5))


def layer_norm(node: Node, x: Tensor, scale: Any, shift: Any = None) -> Tensor:
    """``LayerNormalization`` over the axes from one on."""
    shape = list(x.shape[node.get("axis", -1) :])
    weight, bias = as_tensor(scale, x), None if shift is None else as_tensor(shift, x)
    if weight.shape == torch.Size(shape) and (bias is None or bias.shape == weight.shape):
        return F.layer_norm(x, shape, weight, bias, node.get("epsilon", 1e-5))
    out = F.layer_norm(x, shape, eps=node.get("epsilon", 1e-5)) * weight
    return out if bias is None else out + bias


def rms_norm(node: Node, x: Tensor, scale: Any) -> Tensor:
    """``RMSNormalization``."""
    shape = list(x.shape[node.get("axis", -1) :])
    return F.rms_norm(x, shape, eps=node.get("epsilon", 1e-5)) * as_tensor(scale, x)


def group_norm(node: Node, x: Tensor, scale: Any, shift: Any) -> Tensor:
    """``GroupNormalization``; before opset 21 with a factor for each group, not for each channel."""
    groups = node.get("num_groups")
    weight, bias = as_tensor(scale, x), as_tensor(shift, x)
    if len(weight) != x.shape[1]:
        weight, bias = (one.repeat_interleave(x.shape[1] // groups) for one in (weight, bias))
    return F.group_norm(x, groups, weight, bias, node.get("epsilon", 1e-5))


def lp_norm(node: Node, x: Tensor) -> Any:
    """``LpNormalization``."""
    return x / torch.linalg.vector_norm(x, node.get("p", 2), node.get("axis", -1), keepdim=True)


def local_response(node: Node, x: Tensor) -> Tensor:
    """``LRN``."""
    return F.local_response_norm(
        x, node.get("size"), node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    )


def shrink(node: Node, x: Tensor) -> Tensor:
    """``Shrink``: nothing between the ends, less the bias beyond them."""
    bias, end = node.get("bias", 0.0), node.get("lambd", 0.5)
    return torch.where(x > end, x - bias, torch.where(x < -end, x + bias, torch.zeros_like(x)))


def clip(node: Node, x: Tensor, *given: Any) -> Tensor:
    """``Clip``; its ends are attributes, inputs, or missing."""
    low, high = (node.setting(name, (x, *given), n) for n, name in ((1, "min"), (2, "max")))
    return x if low is None and high is None else x.clamp(low, high)


def prelu(_node: Node, x: Tensor, slope: Any) -> Tensor:
    """``PRelu``, its slope broadcast to the input."""
    slope = as_tensor(slope, x)
    # One for each channel, so shaped that it is broadcast along these.
    shaped = tuple(slope.shape)[1 - x.dim() :]
    channels = x.dim() > 1 and slope.numel() == x.shape[1] and shaped == (x.shape[1], *(1,) * (x.dim() - 2))
    if slope.numel() == 1 or channels:
        return F.prelu(x, slope.flatten())
    return torch.where(x < 0, x * slope, x)


def cast(node: Node, x: Tensor, *_: Any) -> Tensor:
    """``Cast`` to the type of that number."""
    dtypes = {1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64}
    dtypes |= {9: torch.bool, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16}
    dtype = dtypes.get(node.get("to"))
    if dtype is None:
        node.refuse(f"type {node.get('to')} is nothing that torch has")
    return x.to(dtype)


def cumulative_sum(node: Node, x: Tensor, axis: Any) -> Tensor:
    """``CumSum``."""
    if node.get("exclusive", 0) or node.get("reverse", 0):
        node.refuse("exclusive and reverse sums are not known")
    along = node.numbers(axis, "axis")
    return x.cumsum(along[0] if isinstance(along, list) else along)


def quantize(node: Node, x: Tensor, scale: Any, zero: Any = None) -> Tensor:
    """``QuantizeLinear``."""
    kind = torch.uint8 if zero is None else as_tensor(zero).dtype
    ends = torch.iinfo(kind)
    steps = torch.round(x / _along(node, x, scale))
    moved = steps if zero is None else steps + _along(node, x, zero).to(steps.dtype)
    return moved.clamp(ends.min, ends.max).to(kind)


def dequantize(node: Node, x: Tensor, scale: Any, zero: Any = None) -> Tensor:
    """``DequantizeLinear``."""
    step = _along(node, x, scale)
    return (x.to(step.dtype) - (0 if zero is None else _along(node, x, zero).to(step.dtype))) * step


def _along(node: Node, x: Tensor, value: Any) -> Tensor:
    """One number, or one for each cell of an axis."""
    tensor = as_tensor(value, x)
    if tensor.dim() == 0 or tensor.numel() == 1:
        return tensor.reshape(())
    if node.get("block_size", 0) or tensor.dim() > 1:
        node.refuse("scales of blocks are not known")
    axis = node.get("axis", 1) % x.dim()
    return tensor.view([-1 if n == axis else 1 for n in range(x.dim())])


def _both(left: Any, right: Any) -> tuple[Tensor, Tensor]:
    beside = left if isinstance(left, Tensor) else right
    return as_tensor(left, beside), as_tensor(right, beside)
