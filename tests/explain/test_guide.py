"""The guide's pictures and tables are what its commands make."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unconv.cli.arithmetic.commands import app

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "arithmetic.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ unconv arithmetic (.+)$", GUIDE, re.MULTILINE)
PICTURES = [command for command in COMMANDS if " -o docs/images/" in command]


@pytest.mark.parametrize("command", PICTURES)
def test_pictures_are_made_by_the_commands_above_them(command: str, tmp_path: Path) -> None:
    arguments, path = command.split(" -o ")
    result = CliRunner().invoke(app, [*shlex.split(arguments), "-o", str(tmp_path / "new.svg")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "new.svg").read_bytes() == (ROOT / path).read_bytes(), f"run: unconv arithmetic {command}"


def test_every_picture_is_shown_and_small() -> None:
    made = {command.split("docs/")[1] for command in PICTURES}
    assert made == set(re.findall(r"\]\((images/[^)]+)\)", GUIDE))
    assert sum((ROOT / "docs" / path).stat().st_size for path in made) < 1_500_000


def test_the_table_of_solutions_is_what_is_printed() -> None:
    output = CliRunner().invoke(app, ["solve", "--from", "44", "--to", "88"]).output
    assert f"--to 88\n{output}```" in GUIDE
