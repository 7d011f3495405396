"""Rows of text as a table, for terminals and notebooks: the first columns to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def text_table(rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Plain text in columns; the first ``left`` of them begin at the left, the others end at the right.

    >>> print(text_table([("layer", "MACs"), ("conv1", "118,013,952"), ("fc", "512,000")]))
    layer         MACs
    conv1  118,013,952
    fc         512,000
    """
    return "\n".join(line.rstrip() for line in aligned(rows, left))


def aligned(rows: Iterable[Sequence[str]], left: int = 1, gap: str = "  ") -> list[str]:
    """The lines of such a table, all of one width.

    >>> aligned([("w₀", "0"), ("0", "w₀")], left=2, gap=" ")
    ['w₀ 0 ', '0  w₀']
    """
    table = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        gap.join(
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]


def html_table(rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """The same table in HTML, its first row as headings; cells are text and are escaped.

    >>> html_table([("layer",), ("<conv>",)])  # doctest: +ELLIPSIS
    '<table><thead><tr><th style="text-align:left">layer</th></tr></thead><tbody>...&lt;conv&gt;...</tbody></table>'
    """
    head, *body = rows

    def cells(row: Sequence[str], tag: str) -> str:
        sides = ("left" if n < left else "right" for n in range(len(row)))
        return "".join(
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>' for cell, side in zip(row, sides, strict=True)
        )

    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
    return f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>{lines}</tbody></table>"


def html_facts(heading: str, facts: Iterable[tuple[str, str]]) -> str:
    """A heading in HTML, and below it names and values; all are text and are escaped.

    >>> html_facts("A <layer>", [("MACs", "9")])  # doctest: +ELLIPSIS
    '<p style="..."><b>A &lt;layer&gt;</b></p><table><tbody><tr><th ...>MACs</th><td ...>9</td></tr></tbody></table>'
    """
    lines = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts
    )
    table = f"<table><tbody>{lines}</tbody></table>" if lines else ""
    return f'<p style="margin:0.3em 0"><b>{escape(heading)}</b></p>{table}'
