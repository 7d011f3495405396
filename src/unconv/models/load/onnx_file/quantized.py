"""Quantised operators of ONNX files: of the values that whole numbers stand for, which are made whole again behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unconv.models.load.onnx_file import arithmetic, pools, shapes
from unconv.models.load.onnx_file.layers import convolution, linear_layer
from unconv.models.load.onnx_file.node import Node


class Quantized(nn.Module):
    """A layer between two steps of quantisation; mixed in before torch's class of the layer."""

    before: Callable[[Tensor], Tensor]
    after: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output of the values that the input stands for, quantised."""
        return self.after(super().forward(self.before(x)))


def _between(module: Any, node: Node, before: Sequence[Any], after: Sequence[Any] | None) -> Any:
    """The same layer, whose input has that scale and zero, and whose output these; None for sums as whole numbers."""
    module.__class__ = type(node.operator, (Quantized, type(module)), {})
    module.before = lambda x: arithmetic.dequantize(node, x, *before)
    module.after = lambda y: y.round().to(torch.int32) if after is None else arithmetic.quantize(node, y, *after)
    return module


def quantized_convolution(node: Node, given: Sequence[Any]) -> Any:
    """``QLinearConv``: torch's convolution with the kernels that the file's stand for."""
    given = [*given, *(None,) * (9 - len(given))]
    scale, zero, kernels, steps, center, *after, bias = given[1:]
    _check_known(node, given)
    weight = _scaled(kernels, steps, center, 0)
    module = _convolution(node, weight, None if bias is None else _bias(bias, scale, steps))
    return _between(module, node, (scale, zero), after)


def integer_convolution(node: Node, given: Sequence[Any]) -> Any:
    """``ConvInteger``: sums of products of whole numbers, less their zeros."""
    given = [*given, *(None,) * (4 - len(given))]
    if given[1] is None:
        node.refuse("its weights follow from the network's input; they have to be fixed")
    if len(node.inputs) > 2 and node.inputs[2] and given[2] is None:
        return _WithZero.made(_convolution(node, _scaled(given[1], 1, given[3], 0)), node)
    return _between(_convolution(node, _scaled(given[1], 1, given[3], 0)), node, (_ONE, given[2]), None)


def _convolution(node: Node, weight: NDArray[Any], bias: NDArray[Any] | None = None) -> Any:
    """torch's convolution with these kernels, and the window of a node whose inputs stand elsewhere."""
    return convolution(replace(node, inputs=node.inputs[:2]), [None, weight, bias])


def quantized_linear(node: Node, given: Sequence[Any]) -> Any:
    """``QLinearMatMul`` and ``QGemm`` with a matrix of weights; None without one."""
    gemm = node.operator.endswith("QGemm")
    given = [*given, *(None,) * (9 - len(given))]
    scale, zero, matrix, steps, center = given[1:6]
    if matrix is None or matrix.ndim != 2 or node.get("transA", 0):
        return None
    _check_known(node, given)
    rows = 0 if node.get("transB", 0) else 1
    weight = _scaled(matrix, steps, center, rows) * np.float32(node.get("alpha", 1.0))
    bias = None if not gemm or given[6] is None else _bias(given[6], scale, steps)
    after = [one for one in (given[7:9] if gemm else given[6:8]) if one is not None]
    if gemm and not after:
        node.refuse("outputs that are not quantised are not known")
    return _between(linear_layer(weight if rows == 0 else weight.T, bias), node, (scale, zero), after)


def integer_linear(node: Node, given: Sequence[Any]) -> Any:
    """``MatMulInteger`` with a matrix of weights; None without one."""
    given = [*given, *(None,) * (4 - len(given))]
    if given[1] is None or given[1].ndim != 2:
        return None
    layer = linear_layer(_scaled(given[1], 1, given[3], 1).T, None)
    if len(node.inputs) > 2 and node.inputs[2] and given[2] is None:
        return _WithZero.made(layer, node)
    return _between(layer, node, (_ONE, given[2]), None)


class _WithZero(nn.Module):
    """A layer of whole numbers whose zero is computed; mixed in before torch's class of the layer."""

    positions = (0, 2)

    @staticmethod
    def made(module: Any, node: Node) -> Any:
        module.__class__ = type(node.operator, (_WithZero, type(module)), {})
        return module

    def forward(self, x: Tensor, zero: Tensor) -> Tensor:
        """Sums of products of whole numbers, less their zeros."""
        weight: Tensor = self.weight  # type: ignore[assignment]
        moved = x.to(weight.dtype) - zero.to(weight.dtype)
        output: Tensor = super().forward(moved)
        return output.round().to(torch.int32)


_ONE = np.array(1, np.float32)


def dynamic(_node: Node, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``DynamicQuantizeLinear``: bytes, with the scale and the zero that the least and the largest value give."""
    low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
    scale = (high - low) / 255
    zero = torch.round(-low / scale).clamp(0, 255)
    return torch.clamp(torch.round(x / scale) + zero, 0, 255).to(torch.uint8), scale, zero.to(torch.uint8)


def of_values(run: Callable[..., Any], count: int = 1) -> Callable[..., Tensor]:
    """An operator of so many inputs, each with scale and zero behind it, and those of the output last."""

    def quantised(node: Node, *given: Any) -> Tensor:
        values = [arithmetic.dequantize(node, *given[3 * n : 3 * n + 3]) for n in range(count)]
        return arithmetic.quantize(node, run(node, *values), *given[3 * count :])

    return quantised


def concat(node: Node, *given: Any) -> Tensor:
    """``QLinearConcat``: scale and zero of the output first."""
    values = [arithmetic.dequantize(node, *given[n : n + 3]) for n in range(2, len(given), 3)]
    return arithmetic.quantize(node, shapes.concat(node, *values), *given[:2])


def softmax(node: Node, x: Tensor) -> Tensor:
    """``QLinearSoftmax``, which says whose opset's it is."""
    out: Tensor = arithmetic.softmax(torch.softmax)(replace(node, opset=node.get("opset", 13)), x)
    return out


def average_pool(node: Node, x: Tensor) -> Tensor:
    """``QLinearAveragePool`` and ``QLinearGlobalAveragePool``."""
    if node.get("channels_last", 0):
        node.refuse("channels in the last axis are not known")
    pool = pools.global_average if "Global" in node.operator else pools.average_pool
    return pool(node, x)


def _check_known(node: Node, given: Sequence[Any]) -> None:
    """Weights, scales and zeros have to be fixed; only what comes in first follows from the input."""
    if any(value is None and name for name, value in zip(node.inputs[1:], given[1:], strict=False)):
        node.refuse("its weights or scales follow from the network's input; they have to be fixed")


def _scaled(values: NDArray[Any], steps: Any, center: Any, axis: int) -> NDArray[Any]:
    """What whole numbers stand for, (w − zero) · scale, with one of these or one for each cell of an axis."""
    shape = [-1 if n == axis else 1 for n in range(values.ndim)]
    moved = values.astype(np.float32)
    if center is not None:
        moved = moved - np.reshape(center.astype(np.float32), shape if np.size(center) > 1 else ())
    return moved * np.reshape(np.asarray(steps, np.float32), shape if np.size(steps) > 1 else ())


def _bias(bias: NDArray[Any], scale: Any, steps: Any) -> NDArray[Any]:
    """A bias counts in steps of input times kernels."""
    product: NDArray[Any] = bias.astype(np.float32) * np.float32(scale) * np.reshape(steps, -1).astype(np.float32)
    return product


QUANTIZED_LAYERS: dict[str, Callable[[Node, Sequence[Any]], Any]] = {
    "QLinearConv": quantized_convolution,
    "ConvInteger": integer_convolution,
    "QLinearMatMul": quantized_linear,
    "com.microsoft:QGemm": quantized_linear,
    "MatMulInteger": integer_linear,
}
