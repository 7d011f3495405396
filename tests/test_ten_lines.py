"""README's five beginnings and the ten jobs are at most ten lines each; that they run, their own examples show."""

from __future__ import annotations

import re
from doctest import DocTestParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST = 10
BEGINNINGS = ("Teach it", "Look into a network", "Design a network", "Learn kernels from pictures", "Reproduce a paper")


def jobs() -> list[str]:
    """The headings of docs/jobs.md with what stands below them."""
    return re.split(r"^## ", (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]


def written(block: str) -> list[str]:
    """Lines that a reader types: of Python those with a prompt, of a console the commands, of YAML all."""
    language, _, text = block.partition("\n")
    if language == "python":
        return [line for one in DocTestParser().get_examples(text) for line in one.source.splitlines()]
    return [line for line in text.splitlines() if language != "console" or line.startswith("$ ")]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```(\w+\n.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_there_are_ten_jobs_of_ten_lines() -> None:
    assert len(jobs()) == 10
    for job in jobs():
        lines = [len(written(block)) for block in blocks(job)]
        assert len(lines) == 1, job
        assert 1 <= lines[0] <= MOST, job


def test_there_are_five_beginnings_of_ten_lines() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Ten lines to start") : text.index("## Arithmetic")]
    for name, rest in zip(BEGINNINGS, section.split("**")[2::2], strict=True):
        assert f"**{name}" in section
        assert 1 <= len(written(blocks(rest)[0])) <= MOST, name


@pytest.mark.parametrize("document", ["README.md", "docs/jobs.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#]+?\.md)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).is_file(), target
