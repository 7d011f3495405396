"""Findings as SARIF 2.1.0, which code hosts and editors show beside the code."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from unconv._version import __version__
from unconv.network.audit.audit_rules import AUDIT_RULES, Severity
from unconv.network.audit.finding import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "hint": "note"}


def sarif_of(findings: Sequence[Finding], model: nn.Module | None = None) -> dict[str, Any]:
    """The findings as a SARIF log; with a model, each points to the class of its layer where the model's source is.

    >>> log = sarif_of([Finding("dead-end", "side", "its output is used by nothing", "leave side out")])
    >>> log["runs"][0]["results"][0]["ruleId"], log["runs"][0]["results"][0]["level"]
    ('dead-end', 'warning')
    """
    used = [rule for rule in AUDIT_RULES if any(finding.rule == rule for finding in findings)]
    rules = [
        {
            "id": rule,
            "shortDescription": {"text": AUDIT_RULES[rule][1]},
            "defaultConfiguration": {"level": _LEVELS[AUDIT_RULES[rule][0]]},
        }
        for rule in used
    ]
    source = None if model is None else _source_of(model)
    driver = {"name": "unconv audit", "version": __version__, "rules": rules}
    results = [_result(finding, used.index(finding.rule), source) for finding in findings]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(finding: Finding, index: int, source: tuple[str, int] | None) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.layer or "model", "kind": "member"}],
    }
    if source is not None:
        uri, line = source
        location["physicalLocation"] = {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}
    where = f"{finding.layer}: " if finding.layer else ""
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{where}{finding.message}. Fix: {finding.fix}"},
        "locations": [location],
        "partialFingerprints": {"rule/layer": f"{finding.rule}/{finding.layer}"},
    }


def _source_of(model: nn.Module) -> tuple[str, int] | None:
    """File, relative to here where it is below, and line of the class; None for what has no file."""
    try:
        file = inspect.getsourcefile(type(model))
        line = inspect.getsourcelines(type(model))[1]
    except (OSError, TypeError):
        return None
    if file is None:
        return None
    path = Path(file).resolve()
    here = Path.cwd().resolve()
    return (path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_uri(), max(line, 1))
