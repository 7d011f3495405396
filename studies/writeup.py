"""Tables and figures of the studies, written from their logs into docs/study.md and docs/images."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path

from studies.runs import LOGS, REPOSITORY, log_of
from studies.summary import draw, markdown

DOCUMENT = REPOSITORY / "docs" / "study.md"
IMAGES = REPOSITORY / "docs" / "images"


def put(document: str, study: str, text: str) -> str:
    r"""The document with a text between the marks of a study.

    >>> put("a <!-- x -->old<!-- /x --> b", "x", "new")
    'a <!-- x -->\nnew\n<!-- /x --> b'
    """
    marks = re.compile(rf"(<!-- {study} -->).*?(<!-- /{study} -->)", re.DOTALL)
    if not marks.search(document):
        raise SystemExit(f"docs/study.md: no place for {study}; write <!-- {study} --><!-- /{study} --> where it goes")
    return marks.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", document)


def write(studies: Sequence[str], logs: Path = LOGS, document: Path = DOCUMENT, images: Path = IMAGES) -> None:
    """Bring tables and figures up to their logs; a study without a run stays as it is."""
    text = document.read_text(encoding="utf-8")
    for study in studies:
        entries = log_of(study, logs).entries()
        if not entries:
            continue
        module = importlib.import_module(f"studies.{study}")
        text = put(text, study, markdown(entries, module.HEADING, module.NAMES, module.NUMBERS))
        draw(entries, module.NAMES, module.NUMBERS, images / f"study_{study}.png")
    document.write_text(text, encoding="utf-8")
