"""Sizes that may vary: read as text, held against sympy, which writes them."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings, strategies as st

from unconv.models.load.exported_program.sizes import Varying, _line


@settings(max_examples=60)
@given(st.integers(1, 64), st.integers(-64, 64), st.booleans())
def test_lines_are_read_as_sympy_writes_them(factor: int, offset: int, as_code: bool) -> None:
    symbol = sympy.Symbol("s0", positive=True, integer=True)
    expression = factor * symbol + offset
    text = sympy.srepr(expression) if as_code else str(expression).replace(" - ", " + -")
    assert _line(text) == (factor, offset, "s0")


@pytest.mark.parametrize(
    "text", ["", "((", "Mul(Symbol('a'), Symbol('b'))", "a + b", "a // 2", "f(a)", "Symbol(open('x'))", "a.b", "Add()"]
)
def test_all_else_is_no_line(text: str) -> None:
    assert _line(text) is None


@given(st.integers(1, 16), st.integers(0, 9), st.integers(0, 50), st.integers(0, 9))
def test_a_number_is_found_where_there_is_one(factor: int, offset: int, n: int, more: int) -> None:
    known = Varying("n", factor, offset, least=2, most=40)
    assert known.number(factor * n + offset) == (n if 2 <= n <= 40 else None)
    if more % factor:
        assert known.number(factor * n + offset + more % factor) is None
