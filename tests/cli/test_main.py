"""What all commands share: help, version, and refusals in one line with exit code 2."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import unconv as uc
from unconv.cli.main import app


def unconv(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "unconv", *arguments], capture_output=True, text=True, check=False)


def test_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"unconv {uc.__version__}\n"


@pytest.mark.parametrize("command", [(), ("arithmetic",), ("arithmetic", "conv"), ("see",), ("demo",), ("bench",)])
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_a_refusal_is_one_line_on_stderr_and_exit_code_2() -> None:
    done = unconv("arithmetic", "conv", "-i", "5", "-k", "9")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("unconv: conv: kernel 9 is larger than the padded input 5")
    assert done.stderr.count("\n") == 1


def test_an_unknown_command_is_exit_code_2() -> None:
    done = unconv("deconvolve")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
