"""The ``unconv`` command: one file a command, and one place where errors become a line and exit code 2."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import typer

from unconv.cli import arithmetic, bench, demo, see
from unconv.errors import UnconvError

app = typer.Typer(
    name="unconv",
    help="Everything that deep learning calls deconvolution: arithmetic, pictures, and a look into networks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(arithmetic.app, name="arithmetic")
app.command(epilog=see.EXAMPLES)(see.see)
app.command()(demo.demo)
app.command()(bench.bench)


def run() -> None:
    """Run the command line; a refusal is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a pipe that cannot spell ⌊ or ′ gets a question mark, not an error
            stream.reconfigure(errors="replace")
    try:
        app()
    except UnconvError as refusal:
        print(f"unconv: {refusal}", file=sys.stderr)
        sys.exit(2)
