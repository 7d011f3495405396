"""Layers with weights of exported programs as torch's own modules: convolutions, batch norms, linear layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unconv.models.load.exported_program.program import Node
from unconv.models.load.exported_program.values import values_in
from unconv.operators.by_axes import CONV_LAYER, CONV_TRANSPOSE_LAYER

NORMS: dict[int, type[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}
# The arguments that are tensors which the module holds, by the names that it has for them.
WEIGHTS = ("weight", "bias", "running_mean", "running_var")


def make_layer(node: Node, held: Mapping[str, Tensor]) -> nn.Module | None:
    """torch's module for a node whose weights the file holds, None for another.

    Args:
        node: the operation.
        held: parameters and buffers by the name that nodes have for them.
    """
    make = _MAKERS.get(node.base)
    if make is None or node.operator.split(".")[-1] not in ("default", "padding", "input"):
        return None
    weights: dict[str, Tensor | None] = {}
    for name in WEIGHTS:
        value = node.arguments.get(name)
        if value is not None and (not (known := values_in(value)) or known[0] not in held):
            return None
        weights[name] = None if value is None else held[values_in(value)[0]]
    settings = {name: value for name, value in node.arguments.items() if name not in WEIGHTS}
    coming = next(iter(settings))
    if values_in([value for name, value in settings.items() if name != coming]) or not values_in(settings[coming]):
        return None
    return make(node, settings, weights)


def _convolution(node: Node, settings: Mapping[str, Any], weights: Mapping[str, Any]) -> nn.Module | None:
    weight = weights["weight"]
    axes = weight.ndim - 2
    transposed = settings.get("transposed", node.base.startswith("conv_transpose"))
    groups = settings["groups"]
    padding = settings["padding"]
    steps = [_per_axis(settings[name], axes) for name in ("stride", "dilation")]
    pads: Any = padding if isinstance(padding, str) else _per_axis(padding, axes)
    if axes not in CONV_LAYER or node.axes != axes + 2:
        return None
    bias = weights["bias"] is not None
    kernel = tuple(weight.shape[2:])
    if transposed:
        more = _per_axis(settings["output_padding"], axes)
        sides = (weight.shape[0], weight.shape[1] * groups)
        made = _empty(CONV_TRANSPOSE_LAYER[axes], *sides, kernel, steps[0], pads, more, groups, bias, steps[1])
    else:
        sides = (weight.shape[1] * groups, weight.shape[0])
        made = _empty(CONV_LAYER[axes], *sides, kernel, steps[0], pads, steps[1], groups, bias)
    return _filled(made, weights)


def _batch_norm(node: Node, settings: Mapping[str, Any], weights: Mapping[str, Any]) -> nn.Module | None:
    if settings["training"] or weights["running_mean"] is None or weights["running_var"] is None:
        return None
    if node.axes not in NORMS or (weights["weight"] is None) != (weights["bias"] is None):
        return None
    affine = weights["weight"] is not None
    channels = len(weights["running_mean"])
    made = NORMS[node.axes](channels, settings["eps"], settings["momentum"], affine, device="meta")
    # Of these the file tells nothing.
    made.num_batches_tracked = torch.zeros((), dtype=torch.int64)
    return _filled(made, weights)


def _linear(_: Node, settings: Mapping[str, Any], weights: Mapping[str, Any]) -> nn.Module | None:  # noqa: ARG001
    weight = weights["weight"]
    if weight.ndim != 2:
        return None
    return _filled(_empty(nn.Linear, weight.shape[1], weight.shape[0], weights["bias"] is not None), weights)


_MAKERS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolution),
    "batch_norm": _batch_norm,
    "linear": _linear,
}


def _per_axis(value: Sequence[int], axes: int) -> tuple[int, ...]:
    numbers = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return numbers * axes if len(numbers) == 1 else numbers


def _empty(kind: Any, *arguments: Any) -> Any:
    """A module of torch's without values, which the file has."""
    return kind(*arguments, device="meta")


def _filled(module: nn.Module, weights: Mapping[str, Tensor | None]) -> nn.Module:
    """The module with the file's own tensors, so that layers that share weights still do."""
    for name, value in weights.items():
        if value is None:
            continue
        if name in module._parameters:
            module._parameters[name] = value if isinstance(value, nn.Parameter) else nn.Parameter(value, False)
        else:
            module._buffers[name] = value
    return module.eval()
