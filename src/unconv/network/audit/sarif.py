"""Findings as SARIF 2.1.0, which code hosts and editors show beside the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unconv._version import __version__
from unconv.network.audit.audit_rules import AUDIT_RULES, Severity
from unconv.network.audit.finding import Finding
from unconv.network.audit.sites.location import Location, shown

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "hint": "note"}


def sarif_of(
    findings: Mapping[str, Sequence[Finding]] | Sequence[Finding], refused: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Findings as a SARIF log with one run; each points to the line that makes its layer, where that is known.

    Args:
        findings: of one model, or by the names of several.
        refused: what was said of models that could not be audited, by name.

    Code hosts take one run a tool: the findings of several models are in one, each with its model's name in front.

    >>> log = sarif_of([Finding("dead-end", "side", "its output is used by nothing", "leave side out")])
    >>> log["runs"][0]["results"][0]["ruleId"], log["runs"][0]["results"][0]["level"]
    ('dead-end', 'warning')
    """
    by_model = dict(findings) if isinstance(findings, Mapping) else {"": findings}
    everything = [(model, finding) for model, its in by_model.items() for finding in its]
    used = [rule for rule in AUDIT_RULES if any(finding.rule == rule for _, finding in everything)]
    rules = [
        {
            "id": rule,
            "shortDescription": {"text": AUDIT_RULES[rule][1]},
            "defaultConfiguration": {"level": _LEVELS[AUDIT_RULES[rule][0]]},
        }
        for rule in used
    ]
    driver = {"name": "unconv audit", "version": __version__, "rules": rules}
    results = [_result(finding, used.index(finding.rule), model) for model, finding in everything]
    run: dict[str, Any] = {"tool": {"driver": driver}, "results": results}
    if refused:
        told = [{"level": "error", "message": {"text": text}} for text in refused.values()]
        run["invocations"] = [{"executionSuccessful": False, "toolExecutionNotifications": told}]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, index: int, model: str) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.layer or "model", "kind": "member"}],
    }
    where = f"{model}: " if model else ""
    where += f"{finding.layer}: " if finding.layer else ""
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{where}{finding.message}. Fix: {finding.fix}"},
        "locations": [location],
        "partialFingerprints": {"rule/layer": "/".join([*([model] if model else []), finding.rule, finding.layer])},
    }
    site = finding.location
    if site is not None:
        location["physicalLocation"] = _physical(site.file, site.line)
        if site.what != "construction":
            location["message"] = {"text": site.meaning}
        if site.callers:
            result["relatedLocations"] = _callers(site)
    return result


def _physical(file: str, line: int) -> dict[str, Any]:
    """File, relative to the working directory where it is below it, and line."""
    path = Path(shown(file))
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}


def _callers(site: Location) -> list[dict[str, Any]]:
    return [
        {"id": number, "physicalLocation": _physical(file, line), "message": {"text": "called from here"}}
        for number, (file, line) in enumerate(site.callers, start=1)
    ]
