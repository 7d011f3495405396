"""Skipped pictures: what could not be read, told on stderr, a line for each."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from unconv.cli.spelling import in_shell


def tell_skipped(items: Iterable[object]) -> None:
    """Say what was left out, and why."""
    for item in items:
        typer.echo(f"skipped {in_shell(str(item))}", err=True)
