"""Rules by operation."""

from __future__ import annotations

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
