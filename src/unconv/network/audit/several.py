"""Audits of several models in one file: a page, a SARIF log, or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from unconv.files import check_file, write_whole
from unconv.network.audit.audit import FORMATS, Audit
from unconv.network.audit.page import audits_page
from unconv.network.audit.sarif import sarif_of


def audits_to_dict(audits: Mapping[str, Audit], refused: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Several audits as plain data, for JSON.

    Args:
        audits: by the names of the models.
        refused: what was said of models that could not be audited, by name.

    >>> audits_to_dict({}, {"net.py:build": "net.py: no such file; name a Python file"})
    {'audits': [], 'refused': [{'model': 'net.py:build', 'error': 'net.py: no such file; name a Python file'}]}
    """
    told = [{"model": name, "error": text} for name, text in (refused or {}).items()]
    return {"audits": [{"model": name, **audit.to_dict()} for name, audit in audits.items()], "refused": told}


def save_audits(
    audits: Mapping[str, Audit], path: str | PathLike[str], refused: Mapping[str, str] | None = None
) -> Path:
    """Write several audits to one file, whole or not at all, and return where.

    ``.html``: one page; ``.sarif``: one log with one run, since code hosts take one run a tool, each message with the
    model's name in front, and refusals as notifications; ``.json``: as :func:`audits_to_dict` tells.

    Args:
        audits: by the names of the models.
        path: of the file.
        refused: what was said of models that could not be audited, by name.

    Raises :class:`~unconv.errors.UnconvError` for another ending and places that cannot be written to.
    """
    target = Path(path)
    check_file(target, FORMATS, "audit")
    ending = target.suffix.lower()
    if ending == ".html":
        text = audits_page({name: (one.graph, one.findings) for name, one in audits.items()}, refused or {})
    else:
        findings = {name: one.findings for name, one in audits.items()}
        content = sarif_of(findings, refused) if ending == ".sarif" else audits_to_dict(audits, refused)
        text = json.dumps(content, indent=1, ensure_ascii=False)
    return write_whole(target, text + "\n", "audit")
