"""Constructions in source: the expression that makes a layer, found from the class that holds it.

For modules that were made before anybody looked: ``self.NAME = EXPRESSION`` in the methods of the class, and from there
into containers, local variables, methods and functions. What is not sure is not told: then it is the line that puts the
layer, or what it lies in, into the model.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from unconv.network.audit.sites.assigned import CONTAINERS, Path, assigned, constant, elements, last, of_pairs
from unconv.network.audit.sites.definitions import Definition, definition, methods, own_classes
from unconv.network.audit.sites.location import Location, is_library

# Names and calls that are followed into one another.
DEEPEST = 12


@dataclass(frozen=True, eq=False)
class _Piece:
    """An expression, in the function in which it stands, the path in its value, and the calls on the way to it."""

    node: ast.expr
    where: Definition
    path: Path
    calls: tuple[tuple[str, int], ...] = ()

    def at(self, node: ast.expr, path: Path) -> _Piece:
        return replace(self, node=node, path=path)


def find_in_source(owner: nn.Module, parts: Sequence[str]) -> Location | None:
    """Where the class of a module makes what lies in it at some name.

    Args:
        owner: the module.
        parts: the name, in it, split at its dots.

    Returns None where the source does not show even where it is put.
    """
    child = owner.get_submodule(".".join(parts))
    for kind in own_classes(type(owner)):
        roots = [root for method in methods(kind, type(owner)) for root in _roots(owner, method, parts)]
        made = {(one.where.file, one.node.lineno): one for root, _ in roots for one in _makers(root, child, DEEPEST)}
        sure = {place: one for place, one in made.items() if _names_class(one.node, child)} or made
        if len(sure) == 1:
            ((file, line), one) = next(iter(sure.items()))
            return Location(file, line, callers=one.calls)
        if roots:
            root, statement = roots[0]
            return Location(root.where.file, getattr(statement, "lineno", root.node.lineno), "assignment")
    return None


def _roots(owner: nn.Module, method: Definition, parts: Sequence[str]) -> Iterator[tuple[_Piece, ast.AST]]:
    """The expressions that a method puts at a name, with the statements in which it does."""
    first, rest = parts[0], parts[1:]

    def named(node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == first and _is_itself(node.value, method)

    for value, path, statement in assigned(method, named, rest):
        yield _Piece(value, method, path), statement
    container = next((kind for kind in (nn.Sequential, nn.ModuleList, nn.ModuleDict) if isinstance(owner, kind)), None)
    for node in ast.walk(method.node):
        if not isinstance(node, ast.Call):
            continue
        how, given = last(node.func), node.args
        on_itself = isinstance(node.func, ast.Attribute) and _is_itself(node.func.value, method)
        if how == "__init__" and container and given and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Call) and last(node.func.value.func) == "super":
                call = ast.copy_location(ast.Call(ast.Name(container.__name__, ast.Load()), given, []), node)
                yield _Piece(call, method, parts), node
        elif how == "append" and container and on_itself and given:
            yield _Piece(given[0], method, rest), node
        elif how in ("add_module", "register_module", "setattr") and len(given) >= 2:
            mine = len(given) == 3 and _is_itself(given[0], method) if how == "setattr" else on_itself
            if mine and constant(given[-2]) in (first, None):
                yield _Piece(given[-1], method, rest), node


def _is_itself(node: ast.expr, method: Definition) -> bool:
    return isinstance(node, ast.Name) and node.id == method.itself


def _makers(piece: _Piece, child: nn.Module, depth: int) -> Iterator[_Piece]:
    """The calls in an expression that may have made what lies in its value."""
    for one in _within(piece) if depth else ():
        yield from _makers(one, child, depth - 1)
    if depth and isinstance(piece.node, ast.Call):
        yield from _makers_of_call(piece, piece.node, child, depth)


def _within(piece: _Piece) -> Iterator[_Piece]:
    """The expressions that an expression's value may come from, calls apart."""
    node, path = piece.node, piece.path
    if isinstance(node, ast.IfExp):
        yield from (piece.at(one, path) for one in (node.body, node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from (piece.at(one, path) for one in node.values)
    elif isinstance(node, ast.BinOp):
        # Lists added up, or repeated.
        yield from (piece.at(one, ("*", *path[1:])) for one in (node.left, node.right))
    elif isinstance(node, ast.Starred | ast.NamedExpr):
        yield piece.at(node.value, path)
    elif isinstance(node, ast.Name):
        for value, rest, _ in assigned(piece.where, lambda one: isinstance(one, ast.Name) and one.id == node.id, path):
            yield piece.at(value, rest)
    elif isinstance(node, ast.ListComp | ast.GeneratorExp):
        pair = isinstance(node.elt, ast.Tuple) and len(node.elt.elts) == 2
        yield piece.at(node.elt.elts[1] if pair else node.elt, path[1:])  # type: ignore[attr-defined]
    elif isinstance(node, ast.DictComp):
        yield piece.at(node.value, path[1:])
    elif isinstance(node, ast.List | ast.Tuple | ast.Dict):
        yield from (piece.at(one, rest) for one, rest in elements(node, path))


def _makers_of_call(piece: _Piece, node: ast.Call, child: nn.Module, depth: int) -> Iterator[_Piece]:
    """Of a call: what a container is made of, what a function of the user's returns, or the call itself."""
    callee = last(node.func)
    if piece.path and callee == "Sequential" and not of_pairs(node):
        yield from _makers(piece.at(ast.Tuple(node.args, ast.Load()), piece.path), child, depth)
    elif piece.path and callee in CONTAINERS:
        values = [*node.args, *(word.value for word in node.keywords if word.arg in (piece.path[0], None))]
        for one in values:
            rest = piece.path if one in node.args else piece.path[1:]
            yield from _makers(piece.at(one, rest), child, depth)
    elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
        # nn.Conv2d(3, 8, 3).to(device)
        yield from _makers(piece.at(node.func.value, piece.path), child, depth)
    else:
        called = _called(node.func, piece.where)
        own = called is not None and called.node is not piece.where.node
        if called is not None and own and not (is_library(called.file) and not is_library(piece.where.file)):
            calls = ((piece.where.file, node.lineno), *piece.calls)
            found = [
                made
                for value in _returns(called)
                for made in _makers(_Piece(value, called, piece.path, calls), child, depth - 1)
            ]
            if found:
                yield from found
                return
        inner = [one for one in ast.walk(node) if isinstance(one, ast.Call) and _names_class(one, child)]
        yield piece.at(inner[0] if len(inner) == 1 else node, ())


def _called(callee: ast.expr, where: Definition) -> Definition | None:
    """The function that a call in a function calls, where that is a method or a global name and no class."""
    if isinstance(callee, ast.Attribute) and isinstance(callee.value, ast.Name):
        if where.owner is not None and callee.value.id in (where.itself, "cls", where.owner.__name__):
            method = getattr(where.owner, callee.attr, None)
            return definition(getattr(method, "__func__", method), where.owner)
        return definition(getattr(where.names.get(callee.value.id), callee.attr, None))
    if not isinstance(callee, ast.Name):
        return None
    for node in ast.walk(where.node):
        if isinstance(node, ast.FunctionDef) and node.name == callee.id and node is not where.node:
            return Definition(node, where.file, where.names)
    value: Any = where.names.get(callee.id)
    return None if isinstance(value, type) else definition(value)


def _returns(called: Definition) -> list[ast.expr]:
    if isinstance(called.node, ast.Lambda):
        return [called.node.body]
    return [node.value for node in ast.walk(called.node) if isinstance(node, ast.Return) and node.value is not None]


def _names_class(node: ast.expr, child: nn.Module) -> bool:
    """Whether a call names the class of a module, or one that it is derived from."""
    return isinstance(node, ast.Call) and last(node.func) in {kind.__name__ for kind in type(child).__mro__}
