"""Notes: what was assumed, converted or left out, told a line for each."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from unconv.cli.spelling import in_shell


def tell_notes(notes: Iterable[str]) -> None:
    """Say what a reader should know, with the options of the command line for Python's arguments."""
    for note in notes:
        typer.echo(f"note: {in_shell(note)}")
