"""Rectifiers, in all the ways in which torch spells them."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from torch import Tensor

RECTIFIERS = frozenset(
    {
        "relu",
        "relu6",
        "leaky_relu",
        "prelu",
        "rrelu",
        "elu",
        "selu",
        "celu",
        "silu",
        "gelu",
        "hardswish",
        "mish",
        "softplus",
    }
)


def recognise(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, int] | None:
    """Which rectifier a call of a torch function is, and which argument it rectifies; None for everything else.

    torch spells one rectifier in many ways (``nn.ReLU``, ``F.relu``, ``x.relu_()``, ``x.clamp(min=0)``), but all
    arrive here under the name of the function. Bounds decide the rest: ``hardtanh`` from 0 to 6 is ReLU6, from −1 to 1
    it squashes and is no rectifier.

    >>> import torch
    >>> recognise(torch.clamp, (torch.ones(2),), {"min": 0}), recognise(torch.clamp, (torch.ones(2), -1, 1), {})
    (('relu', 0), None)
    """
    name = getattr(func, "__name__", "").strip("_")
    if name in RECTIFIERS:
        return name, 0
    if name in _BOUNDS:
        return _clamped(*(_argument(args, kwargs, *bound) for bound in _BOUNDS[name]))
    if name == "threshold":
        keeps_zero = _is_zero(_argument(args, kwargs, 2, "value", None))
        return ("threshold", 0) if keeps_zero else None
    if name in ("maximum", "max", "fmax"):
        return _maximum(args, kwargs)
    return None


def decides(func: Any) -> bool:
    """Whether a function is a rectifier or none by its name and bounds alone.

    >>> import torch
    >>> decides(torch.clamp), decides(torch.logaddexp)
    (True, False)
    """
    name = getattr(func, "__name__", "").strip("_")
    return name in RECTIFIERS or name in _BOUNDS or name in ("threshold", "maximum", "max", "fmax")


# For each clipping function: where its lower and its upper bound stand, and what they are when left out.
_BOUNDS: Mapping[str, tuple[tuple[int, str, Any], ...]] = {
    "clamp": ((1, "min", None), (2, "max", None)),
    "clip": ((1, "min", None), (2, "max", None)),
    "clamp_min": ((1, "min", None),),
    "hardtanh": ((1, "min_val", -1.0), (2, "max_val", 1.0)),
}


def _clamped(lower: Any, upper: Any = None) -> tuple[str, int] | None:
    if not _is_zero(lower):
        return None
    if upper is None:
        return "relu", 0
    return ("relu6" if _equals(upper, 6.0) else "clamp"), 0


def _maximum(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, int] | None:
    if len(args) != 2 or kwargs or not all(isinstance(argument, Tensor) for argument in args):
        return None
    if _is_zero(args[1]):
        return "relu", 0
    if _is_zero(args[0]):
        return "relu", 1
    return None


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], index: int, name: str, default: Any) -> Any:
    return args[index] if len(args) > index else kwargs.get(name, default)


def _is_zero(value: Any) -> bool:
    return _equals(value, 0.0)


def _equals(value: Any, number: float) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad and value.numel() > 0 and bool((value == number).all())
    return isinstance(value, Real) and float(value) == number
