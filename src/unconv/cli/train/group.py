"""``unconv train``: networks trained on the user's data; one file a task."""

from __future__ import annotations

import typer

from unconv.cli.train import classify as train_classify, generate as train_generate, segment as train_segment

app = typer.Typer(no_args_is_help=True, help="Train a network.")


@app.callback()
def train() -> None:
    """Train a network."""


app.command(epilog=train_classify.EXAMPLES)(train_classify.classify)
app.command(epilog=train_segment.EXAMPLES)(train_segment.segment)
app.command(epilog=train_generate.EXAMPLES)(train_generate.generate)
