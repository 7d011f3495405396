"""What all commands share: help, version, and refusals in one line with exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [("arithmetic", "conv", "-i", "5", "-k", "3"), ("arithmetic", "conv", "--help")])
def test_a_full_disk_is_one_line(command: tuple[str, ...], unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "unconv", *command],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "unconv: cannot read or write: No space left on device\n"
