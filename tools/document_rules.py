"""Writes the table of the reverse rules into docs/see.md: ``python tools/document_rules.py``."""

from __future__ import annotations

from pathlib import Path

from unconv.visualize.reverse.rules import REVERSE_RULES

PAGE = Path(__file__).parents[1] / "docs" / "see.md"
START, END = "<!-- rules, by tools/document_rules.py -->\n", "<!-- end of the rules -->\n"


def rules_table() -> str:
    """A line of Markdown for each rule."""
    rows = [f"| `{rule.name}` | {rule.formula} | {rule.paper} |" for rule in REVERSE_RULES.values()]
    return "\n".join(["| rule | g becomes | source |", "|---|---|---|", *rows]) + "\n"


def with_table(page: str) -> str:
    """A page with the table of today between its two marks."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n{rules_table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
