"""Layers with weights of ONNX files as torch's own modules: convolutions both ways, batch norms, linear layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unconv.models.load.onnx_file.node import Node, to_tensor
from unconv.models.load.onnx_file.padding import fixed_padding, pad_axes, pairs_for, window_of
from unconv.models.load.onnx_file.recurrent import recurrent
from unconv.operators.by_axes import CONV_LAYER, CONV_TRANSPOSE_LAYER


class PaddedConv(nn.Module):
    """A convolution whose padding differs between both sides, or follows from the input's size."""

    node: Node
    kernel_size: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of the padded input."""
        padded = pad_axes(x, pairs_for(self.node, self.kernel_size, x.shape[2:]))
        output: Tensor = self._conv_forward(padded, self.weight, self.bias)  # type: ignore[operator]
        return output


class PaddedConv1d(PaddedConv, nn.Conv1d):
    """In one dimension."""


class PaddedConv2d(PaddedConv, nn.Conv2d):
    """In two dimensions."""


class PaddedConv3d(PaddedConv, nn.Conv3d):
    """In three dimensions."""


class SizedConvTranspose(nn.Module):
    """A transposed convolution that is cropped unevenly, or to a size that the file says."""

    node: Node
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    weight: Tensor
    bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """The transposed convolution, cropped."""
        crops, axes = _crops(self.node, self.kernel_size, tuple(x.shape[2:])), len(self.kernel_size)
        steps = [max(pair) for pair in zip(self.stride, self.dilation, strict=True)]
        own = [_padding(*crop, step) for crop, step in zip(crops, steps, strict=True)]
        if None not in own:
            padding, more = zip(*own, strict=True)
            return self._transposed(x, self.bias, padding, more)
        # Cells that are added hold the bias: torch adds them behind, fewer than a step.
        added = tuple(max(-after, 0) for _, after in crops)
        if all(before >= 0 and n < step for (before, _), n, step in zip(crops, added, steps, strict=True)):
            output = self._transposed(x, self.bias, (0,) * axes, added)
            return pad_axes(output, [(-before, -max(after, 0)) for before, after in crops])
        output = self._transposed(x, None, (0,) * axes, (0,) * axes)
        output = pad_axes(output, [(-before, -after) for before, after in crops])
        return output if self.bias is None else output + self.bias.view(-1, *(1,) * axes)

    def _transposed(self, x: Tensor, bias: Tensor | None, padding: Sequence[int], more: Sequence[int]) -> Tensor:
        function = getattr(torch.nn.functional, f"conv_transpose{len(padding)}d")
        output: Tensor = function(x, self.weight, bias, self.stride, padding, more, self.groups, self.dilation)
        return output


class SizedConvTranspose1d(SizedConvTranspose, nn.ConvTranspose1d):  # type: ignore[misc]
    """In one dimension."""


class SizedConvTranspose2d(SizedConvTranspose, nn.ConvTranspose2d):  # type: ignore[misc]
    """In two dimensions."""


class SizedConvTranspose3d(SizedConvTranspose, nn.ConvTranspose3d):  # type: ignore[misc]
    """In three dimensions."""


_PADDED = {1: PaddedConv1d, 2: PaddedConv2d, 3: PaddedConv3d}
_SIZED = {1: SizedConvTranspose1d, 2: SizedConvTranspose2d, 3: SizedConvTranspose3d}


def convolution(node: Node, given: Sequence[Any]) -> Any:
    """``Conv``: torch's module, or one that pads before it."""
    weight, bias = _weights(node, given)
    axes, groups = weight.ndim - 2, node.get("group", 1)
    if axes not in _PADDED:
        node.refuse(f"it has {axes} axes; one to three are known")
    kernel = tuple(weight.shape[2:])
    strides, dilations = window_of(node, kernel)
    padding = fixed_padding(node, axes)
    kind: Any = (CONV_LAYER if padding is not None else _PADDED)[axes]
    module = _empty(
        kind,
        weight.shape[1] * groups,
        weight.shape[0],
        kernel,
        tuple(strides),
        tuple(padding or (0,) * axes),
        tuple(dilations),
        groups,
        bias is not None,
    )
    module.node = node
    return _filled(module, weight=weight, bias=bias)


def transposed_convolution(node: Node, given: Sequence[Any]) -> Any:
    """``ConvTranspose``: torch's module, or one that crops to what the file says."""
    weight, bias = _weights(node, given)
    axes, groups = weight.ndim - 2, node.get("group", 1)
    if axes not in _SIZED:
        node.refuse(f"it has {axes} axes; one to three are known")
    kernel = tuple(weight.shape[2:])
    strides, dilations = window_of(node, kernel)
    steps = [max(pair) for pair in zip(strides, dilations, strict=True)]
    own: list[tuple[int, int] | None] = [None] * axes
    if node.get("output_shape") is None:
        own = [_padding(*crop, step) for crop, step in zip(_crops(node, kernel, (1,) * axes), steps, strict=True)]
    plain = None not in own
    padding, more = zip(*own, strict=True) if plain else ((0,) * axes, (0,) * axes)
    kind: Any = (CONV_TRANSPOSE_LAYER if plain else _SIZED)[axes]
    channels = (weight.shape[0], weight.shape[1] * groups)
    module = _empty(kind, *channels, kernel, tuple(strides), padding, more, groups, bias is not None, tuple(dilations))
    module.node = node
    return _filled(module, weight=weight, bias=bias)


def _crops(node: Node, kernel: Sequence[int], size: Sequence[int]) -> list[tuple[int, int]]:
    """Cells cut off before and after the whole output, s(i − 1) + d(k − 1) + 1; below zero they are added."""
    axes = len(kernel)
    strides, dilations = window_of(node, kernel)
    more = node.get("output_padding", [0] * axes)
    auto, told = node.get("auto_pad", "NOTSET"), node.get("output_shape")
    if told is None and not auto.startswith("SAME"):
        pairs = pairs_for(node, kernel, size)
        return [(before, after - extra) for (before, after), extra in zip(pairs, more, strict=True)]
    wanted = told[-axes:] if told is not None else [n * stride for n, stride in zip(size, strides, strict=True)]
    crops = []
    for length, width, stride, dilation, extra, target in zip(
        size, kernel, strides, dilations, more, wanted, strict=True
    ):
        total = stride * (length - 1) + extra + dilation * (width - 1) + 1 - target
        less, rest = max(total, 0) // 2, max(total, 0) - max(total, 0) // 2
        before = less if auto == "SAME_UPPER" else rest
        crops.append((before, total - before - extra))
    return crops


def _padding(before: int, after: int, step: int) -> tuple[int, int] | None:
    """torch's padding and output padding that crop as much, None where there are none.

    >>> _padding(1, 0, 2), _padding(0, 1, 2)
    ((1, 1), None)
    """
    more = before - after
    return (before, more) if before >= 0 and 0 <= more < step else None


def batch_norm(node: Node, given: Sequence[Any]) -> nn.Module | None:
    """``BatchNormalization`` with the moments of the file."""
    if any(value is None for value in given[1:5]) or node.get("training_mode", 0):
        return None
    scale, shift, mean, variance = given[1:5]
    module = _BatchNorm(len(scale), eps=node.get("epsilon", 1e-5))
    _filled(module, weight=scale, bias=shift)
    module.running_mean, module.running_var = (to_tensor(one) for one in (mean, variance))
    return module


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm in any number of dimensions."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


def linear(node: Node, given: Sequence[Any]) -> Any:
    """``Gemm`` of an input with a matrix of weights; None for another."""
    weight, bias = given[1], given[2] if len(given) > 2 else None
    of_input = given[0] is None and weight is not None and not node.get("transA", 0)
    shaped = bias is None or (bias.ndim == 1 and len(bias) > 1)
    if not of_input or not shaped or node.get("alpha", 1.0) != 1 or node.get("beta", 1.0) != 1:
        return None
    if len(node.inputs) > 2 and node.inputs[2] and bias is None:
        return None
    rows = weight if node.get("transB", 0) else weight.T
    if bias is not None and len(bias) != rows.shape[0]:
        return None
    return linear_layer(rows, bias)


def linear_layer(rows: Any, bias: Any) -> Any:
    """torch's linear layer of a matrix of weights, (units out, units in)."""
    return _filled(_empty(nn.Linear, rows.shape[1], rows.shape[0], bias is not None), weight=rows, bias=bias)


def _weights(node: Node, given: Sequence[Any]) -> tuple[Any, Any]:
    bias = given[2] if len(given) > 2 else None
    if given[1] is None or (len(node.inputs) > 2 and node.inputs[2] and bias is None):
        node.refuse("its weights follow from the network's input; they have to be fixed")
    return given[1], bias


def _empty(kind: Any, *arguments: Any) -> Any:
    """A module of torch's without values, which the file has."""
    return nn.utils.skip_init(kind, *arguments)  # type: ignore[no-untyped-call]


def _filled(module: Any, **values: Any) -> Any:
    for name, value in values.items():
        if value is not None:
            setattr(module, name, nn.Parameter(to_tensor(value)))
    return module


LAYERS: dict[str, Callable[[Node, Sequence[Any]], nn.Module | None]] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "BatchNormalization": batch_norm,
    "Gemm": linear,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), recurrent),
}
