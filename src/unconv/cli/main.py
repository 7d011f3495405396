"""The ``unconv`` command: one file a command, and one place where errors become a line and exit code 2."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from unconv._version import __version__
from unconv.cli import audit, bench, demo, scan, see
from unconv.cli.arithmetic import commands as arithmetic
from unconv.cli.experiment import group as experiment
from unconv.cli.sparse import denoise, encode, inpaint, learn
from unconv.cli.train import group as train, sample
from unconv.errors import UnconvError

app = typer.Typer(
    name="unconv",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(arithmetic.app, name="arithmetic")
app.command(epilog=audit.EXAMPLES)(audit.audit)
app.command(epilog=scan.EXAMPLES)(scan.scan)
app.command(epilog=see.EXAMPLES)(see.see)
app.add_typer(train.app, name="train")
app.command(epilog=sample.EXAMPLES)(sample.sample)
app.add_typer(experiment.app, name="experiment")
app.command(epilog=learn.EXAMPLES)(learn.learn)
app.command(epilog=encode.EXAMPLES)(encode.encode)
app.command(epilog=denoise.EXAMPLES)(denoise.denoise)
app.command(epilog=inpaint.EXAMPLES)(inpaint.inpaint)
app.command()(demo.demo)
app.command()(bench.bench)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unconv {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Everything that deep learning calls deconvolution: arithmetic, pictures, and a look into networks."""


def run() -> None:
    """Run the command line; a refusal is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a pipe that cannot spell ⌊ or ′ gets a question mark, not an error
            stream.reconfigure(errors="replace")
    try:
        try:
            app()
        finally:
            if sys.stdout:  # None where it was closed
                sys.stdout.flush()
    except UnconvError as refusal:
        print(f"unconv: {refusal}", file=sys.stderr)
        sys.exit(2)
    except OSError as failure:  # a full disk, a directory that went away: nothing that a traceback would explain
        place = f" {failure.filename}" if failure.filename else ""
        print(f"unconv: cannot read or write{place}: {failure.strerror or failure}", file=sys.stderr)
        _drop_output()
        sys.exit(2)


def _drop_output() -> None:
    """What could not be written is not tried again when Python ends, which would say so by another exit code."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
