"""Functions of torch that work element by element, and which of them are affine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from unconv.visualize.reverse.rectifiers.spellings import RECTIFIERS


@dataclass(frozen=True)
class Pointwise:
    """A function that works element by element.

    Attributes:
        name: the operation: ``mul`` for ``x * y``, ``x.mul_(y)`` and ``torch.multiply(x, y)``.
        affine: the places of the arguments in each of which it is affine while the others are constants.
        casts: whether only the first argument is an operand, and what else is given says a type or a layout.
    """

    name: str
    affine: frozenset[int] = frozenset()
    casts: bool = False


# Element by element, but without torch's tag for it.
_UNTAGGED = frozenset(
    RECTIFIERS
    | {
        "hardsigmoid",
        "softsign",
        "logsigmoid",
        "log_sigmoid",
        "tanhshrink",
        "sinc",
        "expit",
        "copy",
        "masked_fill",
        "zero",
        "fill",
    }
    | {"contiguous", "detach", "alias", "fix", "arccos", "arcsin", "arctan", "arctan2", "clip", "square"}
    | {"greater", "greater_equal", "less", "less_equal", "not_equal", "eq", "ne", "ge", "gt", "le", "lt"}
)
_CASTS = frozenset({"to", "type", "type_as", "float", "double", "half", "bfloat16", "bool", "int", "long", "byte"})
_SAME = {
    **dict.fromkeys(("truediv", "true_divide", "divide"), "div"),
    "multiply": "mul",
    "subtract": "sub",
    "negative": "neg",
    "absolute": "abs",
    "clip": "clamp",
    "invert": "bitwise_not",
    "pos": "positive",
}
# As Python spells them, with an i or an r in front.
_OPERATORS = frozenset({"add", "sub", "mul", "div", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"})
_AFFINE = {
    **dict.fromkeys(("add", "sub", "rsub", "mul", "copy", "zero", "fill"), frozenset({0, 1})),
    **dict.fromkeys(("div", "neg", "positive", "clone", "contiguous", "detach", "alias"), frozenset({0})),
    # By a mask that is constant.
    "masked_fill": frozenset({0}),
    "where": frozenset({0, 1, 2}),
    **dict.fromkeys(("to", "type", "type_as", "float", "double", "half", "bfloat16"), frozenset({0})),
}
_DATA = Tensor.data.__get__  # type: ignore[attr-defined]


@cache
def pointwise(func: Any) -> Pointwise | None:
    """What a function of torch does to each element; None for one that mixes elements, or is not known.

    >>> pointwise(torch.multiply), pointwise(Tensor.__rsub__).name, pointwise(torch.softmax)
    (Pointwise(name='mul', affine=frozenset({0, 1}), casts=False), 'sub', None)
    """
    spelled = getattr(func, "__name__", "")
    if spelled == "__get__":
        return Pointwise("detach", _AFFINE["detach"]) if func == _DATA else None
    name = spelled.strip("_")
    turned = False
    if spelled.startswith("__") and name[:1] in ("i", "r") and name[1:] in _OPERATORS:
        name, turned = name[1:], name[0] == "r"
    name = _SAME.get(name, name)
    if name not in _UNTAGGED and name not in _CASTS and not _is_tagged(name):
        return None
    affine = _AFFINE.get(name, frozenset())
    return Pointwise(name, frozenset() if turned and name == "div" else affine, name in _CASTS)


def _is_tagged(name: str) -> bool:
    packet = getattr(torch.ops.aten, name, None)
    if packet is None:
        return False
    tags = [getattr(packet, overload).tags for overload in packet.overloads()]
    return any(torch.Tag.pointwise in one and torch.Tag.nondeterministic_seeded not in one for one in tags)
