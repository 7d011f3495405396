"""A graph as a table, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unconv.network.finding import Finding
    from unconv.network.graph import Graph, Layer

HEADINGS = ("layer", "operator", "output", "parameters", "MACs", "field", "stride")


def _sizes(values: tuple[object, ...]) -> str:
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 and len(texts) > 1 else "×".join(texts)


def _row(layer: Layer) -> tuple[str, ...]:
    receptive = layer.receptive_field
    whole = receptive.covers_everything
    return (
        layer.name,
        layer.operator,
        "×".join(map(str, layer.output_shape)),
        f"{layer.parameters:,}" if layer.parameters else "",
        f"{layer.macs:,}" if layer.macs else "",
        ("all" if whole else _sizes(receptive.size)) + ("" if layer.exact else " at most"),
        "" if whole else _sizes(receptive.stride),
    )


def rows(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Headings, one row per layer, and the totals."""
    yield HEADINGS
    for layer in graph.layers:
        yield _row(layer)
    yield ("total", "", "", f"{graph.parameters:,}", f"{graph.macs:,}", "", "")


def text_table(graph: Graph) -> str:
    """Plain text in columns, numbers to the right."""
    table = list(rows(graph))
    widths = [max(len(row[n]) for row in table) for n in range(len(HEADINGS))]
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if n < 3 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def html_table(graph: Graph) -> str:
    """The same table for a notebook."""
    head, *body = rows(graph)
    side = ["left"] * 3 + ["right"] * (len(HEADINGS) - 3)

    def cells(row: tuple[str, ...], tag: str) -> str:
        pairs = zip(row, side, strict=True)
        return "".join(f'<{tag} style="text-align:{align}">{escape(cell)}</{tag}>' for cell, align in pairs)

    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
    return f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>{lines}</tbody></table>"


def findings_table(findings: Sequence[Finding]) -> str:
    """Findings of an audit for a notebook, the fix below each."""
    if not findings:
        return "<p>no findings</p>"
    head = "".join(f'<th style="text-align:left">{name}</th>' for name in ("severity", "layer", "finding", "rule"))
    lines = []
    for one in findings:
        told = f"{escape(one.message)}<br><code>{escape(one.fix)}</code>"
        cells = (escape(one.severity), escape(one.layer), told, escape(one.rule))
        lines.append("<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
