"""Static dependencies of a Python file: the files that it imports and names, found without running it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path


def files_of_model(model: str) -> tuple[Path, ...]:
    """The files behind the MODEL string ``file.py:callable``; none for other MODELs.

    >>> files_of_model("torchvision:resnet18")
    ()
    """
    file, _, _ = model.rpartition(":")
    return source_files(Path(file)) if file.endswith(".py") else ()


def source_files(path: Path) -> tuple[Path, ...]:
    """A Python file, what it imports from its own folder, the files that its strings name, and what these do so.

    A file that is made by what it reads must not be written over what it reads. Strings count as file names, as MODELs
    and as names in the file's folder; what is put together when the file runs is not seen.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "net.py").write_text("import layers\\nWEIGHTS = 'net.pt'\\n")
    >>> _, _ = (folder / "layers.py").write_text(""), (folder / "net.pt").write_text("")
    >>> [file.name for file in source_files(folder / "net.py")]
    ['net.py', 'layers.py', 'net.pt']
    """
    found = {os.path.realpath(path): None}
    left = [Path(path)]
    while left:
        file = left.pop()
        for other in _named_in(file):
            real = os.path.realpath(other)
            if real not in found:
                found[real] = None
                left.append(other)
    return tuple(map(Path, found))


def callables_in(path: Path) -> tuple[str, ...]:
    """Functions and classes that a Python file defines, found without running it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "net.py"
    >>> _ = path.write_text("class Net: pass\\n\\ndef build(): pass\\n")
    >>> callables_in(path)
    ('Net', 'build')
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    kinds = (ast.FunctionDef, ast.ClassDef)
    return tuple(node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_"))


def relative_depth(path: Path) -> int:
    """How many packages around a Python file its relative imports reach for; 0 where it has none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "net.py"
    >>> _ = path.write_text("from ..blocks import Block")
    >>> relative_depth(path)
    2
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return 0
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


def _named_in(path: Path) -> Iterator[Path]:
    """The files that one Python file imports or names."""
    try:
        tree = ast.parse(path.read_bytes()) if path.suffix == ".py" else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        for name in _names(node):
            for file in (path.parent / name, Path(name)):
                if _is_file(file):
                    yield file


def _names(node: ast.AST) -> Iterator[str]:
    """Names of files that one piece of code may mean."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
        yield node.value.rpartition(":")[0]
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield from _module_files(alias.name)
    elif isinstance(node, ast.ImportFrom):
        above = "../" * (node.level - 1) if node.level else ""
        for name in (node.module, *(f"{node.module or ''}.{alias.name}".strip(".") for alias in node.names)):
            if name:
                yield from (above + file for file in _module_files(name))


def _module_files(name: str) -> Iterator[str]:
    whole = name.replace(".", "/")
    yield f"{whole}.py"
    yield f"{whole}/__init__.py"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
