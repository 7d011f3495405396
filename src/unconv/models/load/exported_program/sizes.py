"""Sizes of a program's inputs: fixed ones, and those that may vary, as a line a·n + b of a number in a range."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from unconv.errors import ModelError
from unconv.models.load.exported_program.values import DTYPES


@dataclass(frozen=True)
class Varying:
    """A size that may vary: factor · n + offset.

    Attributes:
        symbol: the name of n, which several sizes may have in common; empty where the rule is another.
        factor: what n is multiplied by.
        offset: what is added.
        least: of n.
        most: of n, None without an end.
        example: what the size was when the program was exported, None where the file does not say.
    """

    symbol: str = ""
    factor: int = 1
    offset: int = 0
    least: int = 0
    most: int | None = None
    example: int | None = None

    def number(self, size: int) -> int | None:
        """The n of a size, None where there is none in its range."""
        n, rest = divmod(size - self.offset, self.factor)
        return n if rest == 0 and n >= self.least and (self.most is None or n <= self.most) else None

    def __str__(self) -> str:
        if not self.symbol:
            return "?"
        rule = f"{self.factor}·{self.symbol}" if self.factor != 1 else self.symbol
        rule += f" + {self.offset}" if self.offset else ""
        end = f"at least {self.least}" if self.most is None else f"{self.least} to {self.most}"
        return f"{rule}, {self.symbol} {end}"


@dataclass(frozen=True)
class ProgramInput:
    """One input: its name, its axes with the batch, its type."""

    name: str
    axes: tuple[int | Varying, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.name} ({'; '.join(map(str, self.axes))})"


def read_input(name: str, meta: Mapping[str, Any], ranges: Mapping[str, Any]) -> ProgramInput:
    """An input from what the file says of its tensor."""
    return ProgramInput(name, tuple(_size(one, ranges) for one in meta["sizes"]), DTYPES[meta["dtype"]])


def check_sizes(file: str, inputs: tuple[ProgramInput, ...], shapes: list[tuple[int, ...]]) -> None:
    """Raise ModelError, with the way out, for sizes that the program was not exported for; batches may be any."""
    numbers: dict[str, int] = {}
    for given, shape in zip(inputs, shapes, strict=True):
        if len(shape) != len(given.axes):
            raise ModelError(f"{file}: input {given} of {len(given.axes)} axes was given {len(shape)}")
        for axis, (size, known) in enumerate(zip(shape, given.axes, strict=True)):
            n = known.number(size) if isinstance(known, Varying) and known.symbol else None
            right = fits(size, known) and (n is None or numbers.setdefault(str(known), n) == n)
            if axis == 0:
                continue
            if not right:
                what = "is fixed at" if not isinstance(known, Varying) else "has to be"
                raise ModelError(
                    f"{file}: axis {axis} of input {given.name} {what} {known}, not {size}; export the program with "
                    "dynamic_shapes that allow it"
                )


def fits(size: int, known: int | Varying) -> bool:
    """Whether a size is one that an axis may have; where its rule is not known, every one is."""
    if isinstance(known, Varying):
        return not known.symbol or known.number(size) is not None
    return size == known


def _size(content: Mapping[str, Any], ranges: Mapping[str, Any]) -> int | Varying:
    if "as_int" in content:
        return int(content["as_int"])
    expression = content["as_expr"]
    hint = expression.get("hint") or {}
    example = hint.get("as_int")
    line = _line(expression["expr_str"])
    if line is None or not line[2] or line[0] < 1:
        return Varying(example=example)
    factor, offset, symbol = line
    limits = ranges.get(symbol) or {}
    least, most = limits.get("min_val"), limits.get("max_val")
    return Varying(symbol, factor, offset, least or 0, most, example)


def _line(text: str) -> tuple[int, int, str] | None:
    """Factor, offset and symbol of an expression as sympy writes it, read as text; None for what is no such line.

    >>> _line("Add(Mul(Integer(8), Symbol('s0', positive=True)), Integer(4))"), _line("8*s0 + 4")
    ((8, 4, 's0'), (8, 4, 's0'))
    >>> _line("__import__('os').system('ls')") is None
    True
    """
    try:
        return _line_of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, IndexError, RecursionError, MemoryError):
        return None


def _line_of(node: ast.expr) -> tuple[int, int, str]:
    if isinstance(node, ast.Name):
        return 1, 0, node.id
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return 0, node.value, ""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _product((0, -1, ""), _line_of(node.operand))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        combine = _sum if isinstance(node.op, ast.Add) else _product
        return combine(_line_of(node.left), _line_of(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name, arguments = node.func.id, node.args
        if name == "Symbol" and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
            return 1, 0, arguments[0].value
        if name == "Integer":
            return _line_of(arguments[0])
        if name in ("Add", "Mul"):
            whole = _line_of(arguments[0])
            for one in arguments[1:]:
                whole = (_sum if name == "Add" else _product)(whole, _line_of(one))
            return whole
    raise ValueError


def _sum(first: tuple[int, int, str], second: tuple[int, int, str]) -> tuple[int, int, str]:
    if first[2] and second[2]:
        raise ValueError
    return first[0] + second[0], first[1] + second[1], first[2] or second[2]


def _product(first: tuple[int, int, str], second: tuple[int, int, str]) -> tuple[int, int, str]:
    if first[2] and second[2]:
        raise ValueError
    line, number = (first, second[1]) if first[2] else (second, first[1])
    return line[0] * number, line[1] * number, line[2]
