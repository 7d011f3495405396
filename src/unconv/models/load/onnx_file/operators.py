"""Operators of ONNX by name: the function of torch's for each, and which of its inputs are settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.models.load.onnx_file import arithmetic, indexing, pools, quantized, shapes
from unconv.models.load.onnx_file.node import Node, as_tensor
from unconv.models.load.onnx_file.resize import resize


@dataclass(frozen=True)
class Operator:
    """What runs a node, and the positions of those inputs that are settings: known numbers, not values."""

    run: Callable[..., Any]
    settings: tuple[int, ...] = ()


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return Operator(lambda _node, x: function(x))


def _with(function: Callable[..., Tensor], **defaults: float) -> Operator:
    """A function of one value and of numbers in attributes, whose order is that of its arguments."""
    return Operator(lambda node, x: function(x, *(node.get(name, value) for name, value in defaults.items())))


def _selu(x: Tensor, alpha: float, gamma: float) -> Tensor:
    return gamma * (x.clamp(min=0) + alpha * (x.clamp(max=0).exp() - 1))


def _gelu(node: Node, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=node.get("approximate", "none"))


def _same(_node: Node, x: Tensor, *_: Any) -> Tensor:
    return x


_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    **{name.capitalize(): getattr(torch, name) for name in ("abs", "neg", "exp", "log", "sqrt", "reciprocal", "floor")},
    **{name.capitalize(): getattr(torch, name) for name in ("ceil", "round", "sign", "sin", "cos", "tan", "asin")},
    **{
        name.capitalize(): getattr(torch, name)
        for name in ("acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf")
    },
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
    "Relu": F.relu,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "HardSwish": F.hardswish,
    "Mish": F.mish,
    "Not": torch.logical_not,
    "IsNaN": torch.isnan,
}
_BINARY: dict[str, Callable[..., Tensor]] = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": arithmetic.divide,
    "Pow": torch.pow,
    "Sum": torch.add,
    "Max": torch.maximum,
    "Min": torch.minimum,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "Less": torch.lt,
    "GreaterOrEqual": torch.ge,
    "LessOrEqual": torch.le,
}
_REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")

OPERATORS: dict[str, Operator] = {
    **{name: _unary(function) for name, function in _UNARY.items()},
    **{name: Operator(arithmetic.several(function)) for name, function in _BINARY.items()},
    **{f"Reduce{name}": Operator(arithmetic.reduction(f"Reduce{name}"), (1,)) for name in _REDUCTIONS},
    **{name: Operator(arithmetic.arg(name)) for name in ("ArgMax", "ArgMin")},
    "LeakyRelu": _with(F.leaky_relu, alpha=0.01),
    "Elu": _with(F.elu, alpha=1.0),
    "Celu": _with(F.celu, alpha=1.0),
    "Selu": _with(_selu, alpha=1.6732632423543772, gamma=1.0507009873554805),
    "ThresholdedRelu": _with(lambda x, alpha: F.threshold(x, alpha, 0.0), alpha=1.0),
    "HardSigmoid": _with(lambda x, alpha, beta: (alpha * x + beta).clamp(0, 1), alpha=0.2, beta=0.5),
    "Swish": _with(lambda x, alpha: x * torch.sigmoid(alpha * x) if alpha != 1 else F.silu(x), alpha=1.0),
    "Gelu": Operator(_gelu),
    "PRelu": Operator(arithmetic.prelu),
    "Clip": Operator(arithmetic.clip, (1, 2)),
    "Identity": Operator(_same),
    "Dropout": Operator(_same, (1, 2)),
    "Cast": Operator(arithmetic.cast),
    "CastLike": Operator(lambda _node, x, like: x.to(as_tensor(like, x).dtype)),
    "Shrink": Operator(arithmetic.shrink),
    "Mean": Operator(arithmetic.mean),
    "Mod": Operator(arithmetic.modulo),
    "Where": Operator(arithmetic.where),
    "MatMul": Operator(arithmetic.product),
    "Gemm": Operator(arithmetic.gemm),
    "Einsum": Operator(arithmetic.einsum),
    "Softmax": Operator(arithmetic.softmax(torch.softmax)),
    "LogSoftmax": Operator(arithmetic.softmax(torch.log_softmax)),
    "TopK": Operator(arithmetic.top, (1,)),
    "CumSum": Operator(arithmetic.cumulative_sum, (1,)),
    "BatchNormalization": Operator(arithmetic.batch_norm),
    "InstanceNormalization": Operator(arithmetic.instance_norm),
    "LayerNormalization": Operator(arithmetic.layer_norm),
    "RMSNormalization": Operator(arithmetic.rms_norm),
    "GroupNormalization": Operator(arithmetic.group_norm),
    "LpNormalization": Operator(arithmetic.lp_norm),
    "LRN": Operator(arithmetic.local_response),
    "QuantizeLinear": Operator(arithmetic.quantize),
    "DequantizeLinear": Operator(arithmetic.dequantize),
    "DynamicQuantizeLinear": Operator(quantized.dynamic),
    "QLinearMatMul": Operator(quantized.of_values(arithmetic.product, 2)),
    "com.microsoft:QLinearAdd": Operator(quantized.of_values(arithmetic.several(torch.add), 2)),
    "com.microsoft:QLinearMul": Operator(quantized.of_values(arithmetic.several(torch.mul), 2)),
    "com.microsoft:QLinearConcat": Operator(quantized.concat),
    "com.microsoft:QLinearSigmoid": Operator(quantized.of_values(lambda _node, x: torch.sigmoid(x))),
    "com.microsoft:QLinearLeakyRelu": Operator(
        quantized.of_values(lambda node, x: F.leaky_relu(x, node.get("alpha", 0.01)))
    ),
    "com.microsoft:QLinearSoftmax": Operator(quantized.of_values(quantized.softmax)),
    "com.microsoft:QLinearAveragePool": Operator(quantized.of_values(quantized.average_pool)),
    "com.microsoft:QLinearGlobalAveragePool": Operator(quantized.of_values(quantized.average_pool)),
    "MaxPool": Operator(pools.max_pool),
    "AveragePool": Operator(pools.average_pool),
    "GlobalAveragePool": Operator(pools.global_average),
    "GlobalMaxPool": Operator(pools.global_max),
    "LpPool": Operator(pools.lp_pool),
    "GlobalLpPool": Operator(pools.global_lp),
    "Resize": Operator(resize, (1, 2, 3)),
    "Upsample": Operator(resize, (1,)),
    "Shape": Operator(shapes.shape),
    "Size": Operator(shapes.size),
    "Reshape": Operator(shapes.reshape, (1,)),
    "Flatten": Operator(shapes.flatten),
    "Transpose": Operator(shapes.transpose),
    "Squeeze": Operator(shapes.squeeze, (1,)),
    "Unsqueeze": Operator(shapes.unsqueeze, (1,)),
    "Concat": Operator(shapes.concat),
    "Split": Operator(shapes.split, (1,)),
    "Slice": Operator(shapes.slice_, (1, 2, 3, 4)),
    "Gather": Operator(indexing.gather, (1,)),
    "GatherElements": Operator(indexing.gather_elements),
    "GatherND": Operator(indexing.gather_blocks, (1,)),
    "ScatterND": Operator(indexing.scatter_blocks, (1,)),
    "ScatterElements": Operator(indexing.scatter_elements),
    "MaxUnpool": Operator(indexing.max_unpool, (2,)),
    "OneHot": Operator(indexing.one_hot, (1,)),
    "Expand": Operator(shapes.expand, (1,)),
    "Tile": Operator(shapes.tile, (1,)),
    "Pad": Operator(shapes.pad, (1, 2, 3)),
    "DepthToSpace": Operator(shapes.depth_to_space),
    "SpaceToDepth": Operator(shapes.space_to_depth),
    "Trilu": Operator(shapes.trilu, (1,)),
    "GridSample": Operator(shapes.grid_sample),
}
