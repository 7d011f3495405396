"""The public names: where they come from, what they cost, and that type checkers see what Python sees."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import unconv as uc
from unconv._moved import MOVED


def test_every_public_name_is_there_and_documented() -> None:
    for name in uc.__all__:
        value = getattr(uc, name)
        assert name in dir(uc)
        if callable(value):
            assert value.__doc__
            assert len(value.__doc__) > 30, name


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(uc.__file__).read_text(encoding="utf-8"))
    checked = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module
        for branch in checked
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {**uc._HOME, **dict.fromkeys(uc._MODULES, "unconv")}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'deconvolve'"):
        _ = uc.deconvolve


@pytest.mark.parametrize(
    "statement", ["import unconv", "import unconv.cli.main", "import unconv; unconv.ConvGeometry(5, 3)"]
)
def test_nothing_heavy_is_imported_before_it_is_used(statement: str) -> None:
    heavy = "torch numpy PIL matplotlib torchvision jinja2 av"
    check = f"{statement}; import sys; print(*(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("old", MOVED)
def test_paths_of_before_lead_to_the_same_module_with_a_warning(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is {MOVED[old]} now") as told:
        module = importlib.import_module(old)
    assert module is importlib.import_module(MOVED[old])
    assert module.__name__ == module.__spec__.name == MOVED[old]
    assert len(told) == 1


def test_the_warning_names_the_line_that_imports(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text("import unconv\nfrom unconv.sparse.lowpass import split\n")
    run = subprocess.run([sys.executable, "-W", "always", script], capture_output=True, text=True, check=True)
    assert "old.py:2: DeprecationWarning: unconv.sparse.lowpass is unconv.sparse.restore.lowpass now" in run.stderr
