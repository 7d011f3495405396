"""Rules by operation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import torch

from unconv.network.trace.rules.mix import MIX_RULES, pointwise, unknown
from unconv.network.trace.rules.places import PLACE_RULES
from unconv.network.trace.rules.shape import SHAPE_RULES
from unconv.network.trace.rules.window import WINDOW_RULES, OperationRule

OPERATION_RULES: dict[str, OperationRule] = {**WINDOW_RULES, **SHAPE_RULES, **MIX_RULES, **PLACE_RULES}

RECTIFIERS = frozenset(
    {
        *("relu", "hardtanh", "clamp", "threshold", "leaky_relu", "prelu", "rrelu_with_noise"),
        *("elu", "celu", "gelu", "silu", "mish", "hardswish", "softplus"),
    }
)
"""Operators that pass the positive side and hold back the negative one."""


def rule_for(func: torch._ops.OpOverload, name: str) -> OperationRule:
    """The rule of an operation; what torch tags as pointwise needs none of its own.

    >>> rule_for(torch.ops.aten.sigmoid.default, "sigmoid").__name__
    'pointwise'
    """
    if name in SHAPE_RULES:
        return SHAPE_RULES[name]
    if torch.Tag.pointwise in func.tags:
        return pointwise
    return OPERATION_RULES.get(name, unknown)


def reads_shape_only(name: str) -> bool:
    """Whether an operation takes only the shape of its argument, so that its output is a constant.

    >>> reads_shape_only("zeros_like"), reads_shape_only("relu")
    (True, False)
    """
    return name.startswith("new_") or name.endswith("_like")


def composed_of_one(layers: Iterable[tuple[str, str, tuple[str, ...], int]]) -> tuple[str, ...]:
    """The layers that end an elementwise function of one value, made of several operations.

    Args:
        layers: of each its name, operator, the names of the layers that it reads, and how many tensors it reads.

    >>> gate = ("gate", "sigmoid", ("conv",), 1)
    >>> composed_of_one([("conv", "conv", (), 1), gate, ("mul", "mul", ("conv", "gate"), 2)])
    ('mul',)
    """
    roots: dict[str, str] = {}
    inside: dict[str, frozenset[str]] = {}
    ends: list[str] = []
    for name, operator, inputs, count in layers:
        below = {roots[one] for one in inputs} or {""}
        if len(below) > 1 or not _is_elementwise(operator):
            roots[name], inside[name] = name, frozenset()
            continue
        (root,) = below
        within = frozenset[str]().union(*(inside[one] for one in inputs if one != root))
        joins = operator == "maximum" or (count > 1 and any(one != root for one in inputs))
        roots[name], inside[name] = root, within | {name} if joins else within
        if joins:
            # Of what is part of another only that is told.
            ends = [one for one in ends if one not in within]
            ends.append(name)
    return tuple(ends)


@cache
def _is_elementwise(operator: str) -> bool:
    """Whether an operator of torch makes of each number another; a choice by a mask does, too."""
    packet = getattr(torch.ops.aten, operator, None)
    overloads = [] if packet is None else [getattr(packet, name) for name in packet.overloads()]
    return operator == "index_put" or any(torch.Tag.pointwise in one.tags for one in overloads)
