"""``unconv see``: what the units of a network see in some pictures, as a page."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import models

if TYPE_CHECKING:
    from unconv.visualize.report import Report
    from unconv.visualize.see import Progress

EXAMPLES = """[bold]Examples[/]

unconv see efficientnet-lite0 photos/

unconv see torchvision:vgg16 cat.jpg dog.jpg -o report --layers features.8,features.15

unconv see net.py:build photos/ --weights net.safetensors --size 96 --mean 0.5 --std 0.25"""


def see(
    model: models.Model,
    images: Annotated[list[str], typer.Argument(help="Picture files and folders.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for index.html and report.json.")] = Path("report"),
    layers: Annotated[
        str | None, typer.Option("--layers", help="Layers, joined by commas; five over the depth unless given.")
    ] = None,
    units: Annotated[int, typer.Option("--units", min=1, help="Units of each layer, strongest first.")] = 4,
    rule: Annotated[
        str, typer.Option("--rule", help="deconvnet, guided, gradient, or auto: deconvnet where max-pooling is.")
    ] = "auto",
    weights: models.Weights = None,
    random_weights: models.RandomWeights = False,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    single_file: Annotated[bool, typer.Option("--single-file", help="Put the pictures into the page.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Show the strongest units of some layers in each picture: place, patch and projection to the pixels."""
    names = models.names(layers)
    loaded = models.load(model, weights, random_weights, size, mean, std)
    from unconv.explain.captions import counted
    from unconv.visualize.report import without_pixels
    from unconv.visualize.see import see as run

    with progress_bar() as progress:
        report = run(loaded, images, names, out, rule=rule, units=units, single_file=single_file, progress=progress)
    tell_skipped(report)
    if json:
        typer.echo(json_format.dumps(without_pixels(report.numbers), ensure_ascii=False))
        return
    pictures, looked_into = counted(len(report.pictures), "picture"), counted(len(report.layers), "layer")
    typer.echo(f"{pictures}, {looked_into}, rule {report.rule} ({report.numbers['rule_reason']})")
    for note in report.numbers["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"wrote {report.path}")


def tell_skipped(report: Report) -> None:
    """List on stderr what is not in a report."""
    for item in report.skipped:
        typer.echo(f"skipped {item}", err=True)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr that follows the pictures of ``see`` and leaves nothing behind."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    console = Console(stderr=True)
    # In a file or a pipe even a transient bar leaves an empty line.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading the network", total=None)

        def follow(done: int, total: int | None, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)

        yield follow
