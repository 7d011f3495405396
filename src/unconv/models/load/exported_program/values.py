"""Arguments of a program's nodes: numbers, words and types as the JSON writes them, and references to values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

# torch's numbers of its types, memory formats and layouts in files of torch.export.
DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    13: torch.bfloat16,
    12: torch.bool,
    9: torch.complex32,
    10: torch.complex64,
    11: torch.complex128,
}
FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
STRIDED = 7


@dataclass(frozen=True)
class Value:
    """What a node or an input gives, by name."""

    name: str


@dataclass(frozen=True)
class Here:
    """The device of the input, whatever that of the file was."""


def read_argument(argument: Mapping[str, Any]) -> Any:
    """One argument: plain values, :class:`Value`, :class:`Here`, or lists of these.

    Raises ValueError, with the kind, for others: functions, graphs and objects.

    >>> read_argument({"as_sym_ints": [{"as_name": "height"}, {"as_int": 8}]})
    [Value(name='height'), 8]
    """
    (kind, content), *more = argument.items()
    if more or kind not in _READERS:
        raise ValueError(f"an argument {kind.removeprefix('as_')}")
    return _READERS[kind](content)


def values_in(template: Any) -> list[str]:
    """The names of all values that arguments refer to, in their order."""
    if isinstance(template, Value):
        return [template.name]
    if isinstance(template, Mapping):
        template = template.values()
    elif not isinstance(template, (list, tuple)):
        return []
    return [name for one in template for name in values_in(one)]


def fill(template: Any, values: Mapping[str, Any], device: torch.device | None) -> Any:
    """Arguments with the values that they refer to.

    >>> fill([Value("a"), 3, [Value("b")]], {"a": 1, "b": 2}, None)
    [1, 3, [2]]
    """
    if isinstance(template, Value):
        return values[template.name]
    if isinstance(template, Here):
        return device
    if isinstance(template, list):
        return [fill(one, values, device) for one in template]
    if isinstance(template, dict):
        return {key: fill(one, values, device) for key, one in template.items()}
    return template


def _named(content: Mapping[str, Any]) -> Any:
    """A number that is known, or the name of one."""
    (kind, value), *_ = content.items()
    return Value(value) if kind == "as_name" else _plain(value)


def _optional(content: Mapping[str, Any]) -> Any:
    return None if "as_none" in content else Value(content["as_tensor"]["name"])


def _plain(content: Any) -> Any:
    """A number or a truth value; floats that JSON has no number for are words."""
    if isinstance(content, str):
        return float(content)
    if not isinstance(content, (bool, int, float)):
        raise ValueError("an argument that is no number")
    return content


def _layout(content: int) -> Any:
    if content != STRIDED:
        raise ValueError("a sparse layout")
    return torch.strided


def _each(read: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    return lambda content: [read(one) for one in content]


def _tensor(content: Mapping[str, Any]) -> Value:
    return Value(content["name"])


_READERS: dict[str, Callable[[Any], Any]] = {
    "as_none": lambda _: None,
    "as_tensor": _tensor,
    "as_tensors": _each(_tensor),
    "as_optional_tensor": _optional,
    "as_optional_tensors": _each(_optional),
    **dict.fromkeys(("as_int", "as_float", "as_bool"), _plain),
    **dict.fromkeys(("as_ints", "as_floats", "as_bools"), _each(_plain)),
    **dict.fromkeys(("as_sym_int", "as_sym_float", "as_sym_bool"), _named),
    **dict.fromkeys(("as_sym_ints", "as_sym_floats", "as_sym_bools"), _each(_named)),
    "as_string": str,
    "as_scalar_type": DTYPES.__getitem__,
    "as_memory_format": FORMATS.__getitem__,
    "as_layout": _layout,
    "as_device": lambda _: Here(),
}
