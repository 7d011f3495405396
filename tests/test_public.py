"""The public names: where they come from, what they cost, and that type checkers see what Python sees."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unconv as uc


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
