"""Operators that a program may call: torch's own on tensors and numbers, and arithmetic of sizes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch._ops import OpOverload, OpOverloadPacket

# Arithmetic of sizes, by the names that files have for it.
ARITHMETIC: dict[str, Callable[..., Any]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in (
            *("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos", "pow", "getitem"),
            *("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_"),
        )
    },
    **{f"math.{name}": getattr(math, name) for name in ("trunc", "ceil", "floor", "sqrt")},
    "torch.sym_not": operator.not_,
    "torch.sym_int": int,
    "torch.sym_float": float,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_sum": sum,
    "torch.ops.aten.sym_size.int": lambda x, axis: x.shape[axis],
    "torch.ops.aten.sym_numel.default": lambda x: x.numel(),
}
# What some operators are told by a word; any other word may be the name of a file.
WORDS = (
    *("padding", "mode", "approximate", "rounding_mode", "equation", "padding_mode", "indexing", "side", "reduce"),
    "ord",
)
# Operators that decomposed programs have, and torch's own modules.
PRIVATE = (
    *("_to_copy", "_unsafe_view", "_softmax", "_log_softmax", "_native_batch_norm_legit_no_training"),
    *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
    *("_native_batch_norm_legit", "_reshape_alias", "_conj", "_fft_r2c", "_fft_c2r", "_fft_c2c", "_weight_norm"),
    *("_scaled_dot_product_flash_attention_for_cpu", "_unsafe_index"),
)
# Checks of what was so when the program was exported.
CHECKS = ("torch.ops.aten._assert_tensor_metadata.default", "torch.ops.aten._assert_scalar.default")


def find_operator(target: str) -> Callable[..., Any]:
    """The operator that a node names; raises ValueError, with the reason, for one that is not called here.

    >>> find_operator("torch.ops.aten.relu.default")
    <OpOverload(op='aten.relu', overload='default')>
    >>> find_operator("os.system")
    Traceback (most recent call last):
    ValueError: is none of torch's operators
    """
    if target in ARITHMETIC:
        return ARITHMETIC[target]
    parts = target.split(".")
    if parts[:3] == ["torch", "ops", "higher_order"]:
        raise ValueError("holds a program of its own (control flow, no_grad, autocast); only plain ones are run")
    if len(parts) != 5 or parts[:2] != ["torch", "ops"]:
        raise ValueError("is none of torch's operators")
    namespace, name, overload = parts[2:]
    packet = getattr(torch.ops.aten, name, None) if namespace == "aten" else None
    if not isinstance(packet, OpOverloadPacket) or overload not in _overloads(packet):
        raise ValueError("is none of torch's operators")
    found: OpOverload[..., Any] = getattr(packet, overload)
    schema = found._schema
    told = [one.name for one in schema.arguments if "str" in str(one.type)]
    # What gives nothing, or has to do with no tensor, changes something elsewhere: a seed, whether gradients are kept.
    pure = bool(schema.returns) and any("Tensor" in str(one.type) for one in (*schema.arguments, *schema.returns))
    if (name.startswith("_") and name not in PRIVATE) or not pure or not set(told) <= set(WORDS):
        raise ValueError("is not called for a file")
    return found


def _overloads(packet: OpOverloadPacket[..., Any]) -> list[str]:
    names: list[str] = packet.overloads()  # type: ignore[no-untyped-call]
    return names
