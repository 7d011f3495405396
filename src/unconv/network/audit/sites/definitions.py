"""Definitions in source: the syntax trees of classes and functions that a program is running."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any, TypeAlias

from torch import nn

from unconv.network.audit.sites.location import resolved

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, eq=False)
class Definition:
    """A function as it stands in a file.

    Attributes:
        node: its syntax tree.
        file: that holds it.
        names: what its global names mean.
        owner: the class of what it is called on as a method, None for a function.
    """

    node: Function
    file: str
    names: dict[str, Any]
    owner: type | None = None

    @property
    def itself(self) -> str:
        """The name of its first argument."""
        arguments = [*self.node.args.posonlyargs, *self.node.args.args]
        return arguments[0].arg if arguments else ""


@lru_cache(maxsize=64)
def _tree(file: str, _changed: float) -> ast.Module | None:
    try:
        return ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def tree_of(file: str) -> ast.Module | None:
    """The syntax tree of a file; None for what cannot be read."""
    try:
        return _tree(file, Path(file).stat().st_mtime)
    except OSError:
        return None


def definition(function: object, owner: type | None = None) -> Definition | None:
    """The definition of a function, whatever wraps it; None where it has no file, as in a notebook."""
    plain = inspect.unwrap(function) if callable(function) else function
    if not isinstance(plain, FunctionType):
        return None
    code = plain.__code__
    file = resolved(code.co_filename)
    tree = None if file is None else tree_of(file)
    if file is None or tree is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, Function) and _first_line(node) == code.co_firstlineno and _name(node) == code.co_name:
            return Definition(node, file, plain.__globals__, owner)
    return None


def methods(kind: type, owner: type) -> Iterator[Definition]:
    """The methods that a class defines itself, ``__init__`` first, as methods of a class derived from it."""
    own = sorted(vars(kind).items(), key=lambda item: item[0] != "__init__")
    for _, value in own:
        found = definition(getattr(value, "__func__", value), owner)
        if found is not None:
            yield found


def class_line(kind: type) -> tuple[str, int] | None:
    """File and line of a class; None for what has no file."""
    own = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
    codes = [value.__code__ for value in own if value.__qualname__.startswith(f"{kind.__qualname__}.")]
    source = codes[0].co_filename if codes else None
    try:
        source = source or inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None
    file = None if source is None else resolved(source)
    tree = None if file is None else tree_of(file)
    if file is None or tree is None:
        return None
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == kind.__name__]
    lines = [code.co_firstlineno for code in codes if code.co_filename == source]
    inside = [node for node in classes if any(node.lineno < line <= (node.end_lineno or 0) for line in lines)]
    # Of classes in one another, the innermost; of others of one name, the last, which is the one that counts.
    chosen = max(inside, key=lambda node: node.lineno, default=None) or (classes[-1] if classes else None)
    return None if chosen is None else (file, chosen.lineno)


def own_classes(kind: type) -> tuple[type, ...]:
    """A class and its bases, those of torch left out.

    >>> own_classes(nn.Conv2d)
    ()
    """
    return tuple(
        one for one in kind.__mro__ if issubclass(one, nn.Module) and one.__module__.partition(".")[0] != "torch"
    )


def _first_line(node: Function) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(one.lineno for one in decorators)])


def _name(node: Function) -> str:
    return "<lambda>" if isinstance(node, ast.Lambda) else node.name
