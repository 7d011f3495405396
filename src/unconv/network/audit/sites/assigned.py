"""Assignments in source: the expressions that a function puts at a name, or into what stands there."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from unconv.network.audit.sites.definitions import Definition

# A name within a value, split at its dots. ANY stands for a position that is not known.
Path: TypeAlias = Sequence[str]
ANY = "*"
CONTAINERS = ("Sequential", "ModuleList", "ModuleDict", "OrderedDict", "list", "tuple", "dict")
_LOOPS = (ast.For, ast.While, ast.If, ast.Try, ast.With)


def assigned(
    where: Definition, target: Callable[[ast.expr], bool], path: Path
) -> Iterator[tuple[ast.expr, Path, ast.AST]]:
    """The expressions that a function assigns to a target, or adds to it, that may hold what lies in it at a path.

    With each comes what remains of the path in it, and the statement.
    """
    first = list(_first(where, target))
    added = list(_added(where, target)) if path else []
    counted = [length(value) for value, _ in first]
    if path and path[0].isdecimal() and len(first) == 1 and counted[0] is not None:
        index = int(path[0]) - counted[0]
        if index < 0:
            added = []
        elif all(sure and name is None for _, name, _, _, sure in added):
            # Every addition happens once, in the order of the lines.
            first, added = [], added[index : index + 1]
        else:
            first = []
    yield from ((value, path, node) for value, node in first)
    for value, name, node, spread, _ in added:
        if spread:
            yield value, (ANY, *path[1:]), node
        elif name in (path[0], None) or path[0] == ANY:
            yield value, path[1:], node


def _first(where: Definition, target: Callable[[ast.expr], bool]) -> Iterator[tuple[ast.expr, ast.AST]]:
    for node in ast.walk(where.node):
        if isinstance(node, ast.Assign):
            for one in node.targets:
                yield from ((value, node) for value in _matched(one, node.value, target))
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None and target(node.target):
            yield node.value, node


def _matched(target: ast.expr, value: ast.expr, wanted: Callable[[ast.expr], bool]) -> Iterator[ast.expr]:
    if wanted(target):
        yield value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from _matched(one, its, wanted)


def _added(
    where: Definition, target: Callable[[ast.expr], bool]
) -> Iterator[tuple[ast.expr, str | None, ast.AST, bool, bool]]:
    """(what is added, its name if that is written, the statement, whether it is several things, whether it is sure)."""
    unsure = {id(inner) for node in ast.walk(where.node) if isinstance(node, _LOOPS) for inner in ast.walk(node)}
    for node in ast.walk(where.node):
        sure = id(node) not in unsure
        if isinstance(node, ast.AugAssign) and target(node.target):
            yield from _spread(node.value, node, sure)
        elif isinstance(node, ast.Assign):
            for one in node.targets:
                if isinstance(one, ast.Subscript) and target(one.value):
                    yield node.value, constant(one.slice), node, False, False
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and target(node.func.value):
            how, given = node.func.attr, node.args
            if how == "append" and given:
                yield given[0], None, node, False, sure
            elif how in ("add_module", "insert") and len(given) == 2:
                yield given[1], constant(given[0]), node, False, False
            elif how in ("extend", "update") and given:
                yield from _spread(given[0], node, sure)


def _spread(value: ast.expr, node: ast.AST, sure: bool) -> Iterator[tuple[ast.expr, None, ast.AST, bool, bool]]:
    if isinstance(value, ast.List | ast.Tuple) and not any(isinstance(one, ast.Starred) for one in value.elts):
        yield from ((one, None, node, False, sure) for one in value.elts)
    else:
        yield value, None, node, True, False


def elements(node: ast.List | ast.Tuple | ast.Dict, path: Path) -> Iterator[tuple[ast.expr, Path]]:
    """What may lie in a display at a path, one expression where that is sure, with what remains of the path."""
    name, rest = path[0] if path else ANY, path[1:]
    if isinstance(node, ast.Dict):
        pairs = [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key is not None]
    else:
        pairs = [(one.elts[0], one.elts[1]) for one in node.elts if isinstance(one, ast.Tuple) and len(one.elts) == 2]
    if isinstance(node, ast.Dict) or (pairs and len(pairs) == len(node.elts)):
        # A dict, or the pairs that an OrderedDict is made of.
        yield from ((value, rest) for key, value in pairs if name == ANY or constant(key) in (name, None))
        return
    spread = next((n for n, one in enumerate(node.elts) if isinstance(one, ast.Starred)), len(node.elts))
    number = int(name) if name.isdecimal() else None
    if number is not None and number < spread:
        yield node.elts[number], rest
        return
    for n, one in enumerate(node.elts[spread:] if number is not None else node.elts):
        if not isinstance(one, ast.Starred):
            yield one, rest
        else:
            yield one.value, (str(number - spread), *rest) if n == 0 and number is not None else (ANY, *rest)


def length(node: ast.expr) -> int | None:
    """How many things a display or a new container holds; None where that is not written."""
    if isinstance(node, ast.List | ast.Tuple):
        return None if any(isinstance(one, ast.Starred) for one in node.elts) else len(node.elts)
    if not isinstance(node, ast.Call) or last(node.func) not in CONTAINERS:
        return None
    if not node.args:
        return None if node.keywords else 0
    if last(node.func) == "Sequential" and not of_pairs(node):
        return None if any(isinstance(one, ast.Starred) for one in node.args) else len(node.args)
    return length(node.args[0])


def of_pairs(node: ast.Call) -> bool:
    """Whether a Sequential is made of one OrderedDict."""
    if len(node.args) != 1:
        return False
    one = node.args[0]
    return isinstance(one, ast.Name) or (isinstance(one, ast.Call) and last(one.func) in ("OrderedDict", "dict"))


def last(node: ast.expr) -> str:
    """The last part of a dotted name.

    >>> last(ast.parse("torch.nn.Conv2d", mode="eval").body)
    'Conv2d'
    """
    if isinstance(node, ast.Subscript):
        return last(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def constant(node: ast.expr) -> str | None:
    """A name that is written out; None where it is computed."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
