"""Statically quantised operations, as the float operations of the same shapes, fields and multiply–accumulates."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._ops import OpOverload, OpOverloadPacket
from torch.utils._python_dispatch import _disable_current_modes

# What is said of layers with such weights.
WEIGHTS = "its weights are whole numbers, which are no parameters"

Operation: TypeAlias = Callable[..., Any]
# What ``torch.ops`` has, without and with an overload.
_OPERATIONS = frozenset({OpOverloadPacket, OpOverload})


def float_operation(function: Any) -> Operation | None:
    """What to call in place of a function that makes, takes or tells of quantised tensors; None for all others.

    >>> float_operation(torch.ops.quantized.add)(torch.ones(2), torch.ones(2), 0.1, 0)
    tensor([2., 2.])
    """
    if type(function) in _OPERATIONS:
        space, _, name = str(function).partition(".")
        return _of_name(name.partition(".")[0]) if space == "quantized" else None
    return _OF_TENSORS.get(function)


def is_quantised(module: nn.Module) -> bool:
    """Whether a module is one of torch's whose weights are whole numbers.

    >>> is_quantised(torch.ao.nn.quantized.Linear(3, 2)), is_quantised(nn.Linear(3, 2))
    (True, False)
    """
    home = type(module).__module__
    return home.startswith("torch.ao.nn.") and ".quantized" in home


@cache
def _of_name(name: str) -> Operation | None:
    """The float operation of a name in ``torch.ops.quantized``, at whose end stands what it is rectified by."""
    if name in _PLAIN:
        return _PLAIN[name]
    for ending, behind in _BEHIND.items():
        before = _of_name(name.removesuffix(ending)) if name.endswith(ending) else None
        if before is not None:
            return _behind(before, behind)
    convolution = re.fullmatch(r"(conv|conv_transpose)([123])d", name)
    return _convolution(convolution[1], int(convolution[2])) if convolution else None


def _behind(before: Operation, behind: Operation) -> Operation:
    return lambda *args, **kwargs: behind(before(*args, **kwargs))


def _convolution(kind: str, axes: int) -> Operation:
    """A convolution by a packed weight: of one axis as of two, the first of which has one cell."""
    function = getattr(F, f"{kind}{axes}d")

    def convolve(x: Tensor, packed: Any, *_: Any) -> Tensor:
        weight, bias = _unpacked(packed)
        with _disable_current_modes():
            weight = weight.squeeze(2) if weight.ndim > axes + 2 else weight
            told = (packed.stride(), packed.padding(), packed.dilation(), packed.output_padding())
            stride, padding, dilation, more = (tuple(one)[-axes:] for one in told)
            groups = packed.groups()
        if kind == "conv_transpose":
            return function(x, weight, bias, stride, padding, more, groups, dilation)  # type: ignore[no-any-return]
        return function(x, weight, bias, stride, padding, dilation, groups)  # type: ignore[no-any-return]

    return convolve


def _unpacked(packed: Any) -> tuple[Tensor, Tensor | None]:
    """Weight and bias in floats."""
    with _disable_current_modes():
        weight, bias = packed.unpack()
        return weight.dequantize(), bias


def _linear(x: Tensor, packed: Any, *_: Any) -> Tensor:
    return F.linear(x, *_unpacked(packed))


def _batch_norm(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float, *_: Any) -> Tensor:
    return F.batch_norm(x, mean, variance, weight, bias, eps=eps)


def _norm(function: Operation) -> Operation:
    def normalise(x: Tensor, *args: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, **_: Any) -> Any:
        if function is F.instance_norm:
            return function(x, weight=weight if weight is not None else args[0], bias=bias, eps=eps)
        return function(x, args[0], weight, bias, eps)

    return normalise


def _max_pool(axes: int) -> Operation:
    return lambda x, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False: getattr(F, f"max_pool{axes}d")(
        x, kernel_size, stride or None, padding, dilation, ceil_mode
    )


def _first(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x


# Of two tensors, or a tensor and a number; scale and zero point of the result come behind.
_PAIRS: dict[str, Operation] = {"add": torch.add, "mul": torch.mul, "matmul": torch.matmul}
_BEHIND: dict[str, Operation] = {
    "_relu6": F.relu6,
    "_relu": F.relu,
    "_leaky_relu": F.leaky_relu,
    "_tanh": torch.tanh,
    "_out": _first,
}


def _pair(function: Operation) -> Operation:
    return lambda one, other, *_, **__: function(one, other)


_PLAIN: dict[str, Operation] = {
    **{name: _pair(function) for name, function in _PAIRS.items()},
    **{f"{name}_scalar": _pair(function) for name, function in _PAIRS.items()},
    "cat": lambda tensors, dim, *_, **__: torch.cat(tensors, dim),
    "linear": _linear,
    **dict.fromkeys(("batch_norm1d", "batch_norm2d", "batch_norm3d", "batch_norm"), _batch_norm),
    "layer_norm": _norm(F.layer_norm),
    "group_norm": _norm(F.group_norm),
    "instance_norm": _norm(F.instance_norm),
    "hardswish": lambda x, *_, **__: F.hardswish(x),
    "sigmoid": lambda x, *_, **__: torch.sigmoid(x),
    "elu": lambda x, _scale, _zero, alpha=1.0, *_, **__: F.elu(x, float(alpha)),
    "celu": lambda x, _scale, _zero, alpha=1.0, *_, **__: F.celu(x, float(alpha)),
    "leaky_relu": lambda x, slope, *_, **__: F.leaky_relu(x, slope),
    "prelu": lambda x, weight, *_, **__: F.prelu(x, weight),
    "relu6": lambda x, *_, **__: F.relu6(x),
    "softmax": lambda x, dim, *_, **__: torch.softmax(x, dim),
    "dropout": _first,
    "max_pool1d": _max_pool(1),
    "max_pool2d": _max_pool(2),
    "max_pool3d": _max_pool(3),
}
# Functions that make quantised tensors, make floats of them, or tell how they are quantised.
_OF_TENSORS: dict[Any, Operation] = {
    torch.quantize_per_tensor: _first,
    torch.quantize_per_tensor_dynamic: _first,
    torch.quantize_per_channel: _first,
    torch.dequantize: _first,
    Tensor.dequantize: _first,
    Tensor.int_repr: _first,
    Tensor.q_scale: lambda _: 1.0,
    Tensor.q_zero_point: lambda _: 0,
}
