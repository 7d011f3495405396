"""Audit pages: an audit as one HTML file that opens from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from unconv.network.audit.audit_rules import AUDIT_RULES, SEVERITIES
from unconv.network.audit.finding import Finding
from unconv.network.trace.graph import HEADINGS, Graph, rows


def audit_page(graph: Graph, findings: Sequence[Finding], title: str) -> str:
    """HTML with nothing to fetch: findings by severity with their fixes, then all layers."""
    return audits_page({title: (graph, findings)})


def audits_page(
    audits: Mapping[str, tuple[Graph, Sequence[Finding]]], refused: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The same of several networks by their names, and what was said of those that were refused."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("unconv.network.audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = [*audits, *refused]
    return environment.get_template("audit.html.jinja").render(
        title=names[0] if len(names) == 1 else f"{len(names)} networks",
        audits=[_section(name, graph, findings) for name, (graph, findings) in audits.items()],
        refused=refused,
        about={rule: text for rule, (_, text) in AUDIT_RULES.items()},
        headings=HEADINGS,
    )


def _section(name: str, graph: Graph, findings: Sequence[Finding]) -> dict[str, Any]:
    _, *body, total = rows(graph)
    marked: dict[str, str] = {}
    for finding in reversed(findings):
        marked[finding.layer] = finding.severity
    return {
        "title": name,
        "graph": graph,
        "findings": findings,
        "inputs": " and ".join("×".join(map(str, size)) for size in graph.input_sizes),
        "counts": [(one, sum(f.severity == one for f in findings)) for one in SEVERITIES],
        "layers": [(row, marked.get(row[0], "")) for row in body],
        "total": total,
    }
