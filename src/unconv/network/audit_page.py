"""An audit as a page of its own that opens from disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unconv.network.rule_names import RULES, SEVERITIES
from unconv.network.table import HEADINGS, rows

if TYPE_CHECKING:
    from unconv.network.audit import Audit


def audit_page(audit: Audit, title: str) -> str:
    """HTML with nothing to fetch: findings by severity with their fixes, then all layers."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("unconv.network"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    _, *body, total = rows(audit.graph)
    marked: dict[str, str] = {}
    for finding in reversed(audit.findings):
        marked[finding.layer] = finding.severity
    return environment.get_template("audit.html.jinja").render(
        title=title,
        audit=audit,
        inputs=" and ".join("×".join(map(str, size)) for size in audit.graph.input_sizes),
        counts=[(one, sum(f.severity == one for f in audit.findings)) for one in SEVERITIES],
        about={rule: text for rule, (_, text) in RULES.items()},
        headings=HEADINGS,
        layers=[(row, marked.get(row[0], "")) for row in body],
        total=total,
    )
