"""Files and functions stay short enough to be read at once; pyproject.toml says the same of rooms and imports."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [path for folder in ("src", "benchmarks", "studies", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]
# Lines of a file, and of a function's body without its docstring.
MOST_LINES, MOST_OF_A_BODY = 330, 50


def bodies(text: str) -> list[tuple[str, int]]:
    """Every function with the lines of its body."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            found.append((node.name, body[-1].end_lineno - body[0].lineno + 1 if body else 0))
    return found


def test_what_is_counted() -> None:
    text = 'def one():\n    """Doc."""\n    a = 1\n\n    return a\n\n\ndef two():\n    """Doc."""\n'
    assert bodies(text) == [("one", 3), ("two", 0)]


def test_files_are_short() -> None:
    native = [path for path in (ROOT / "native").iterdir() if path.suffix in (".cpp", ".hpp", ".inl")]
    assert len(FILES) > 300
    assert native
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in [*FILES, *native]}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_functions_are_short() -> None:
    found = [(path.name, *one) for path in FILES for one in bodies(path.read_text(encoding="utf-8"))]
    assert len(found) > 2000
    assert [one for one in found if one[2] > MOST_OF_A_BODY] == []
