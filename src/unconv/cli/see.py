"""``unconv see``: what the units of a network see in some pictures, as a page."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import spelling
from unconv.errors import UnconvError

if TYPE_CHECKING:
    from unconv.visualize.report import Report
    from unconv.visualize.see import Progress

EXAMPLES = """[bold]Examples[/]

unconv see efficientnet-lite0 photos/

unconv see torchvision:vgg16 cat.jpg dog.jpg -o report --layers features.8,features.15

unconv see net.py:build photos/ --weights net.safetensors --size 96 --mean 0.5 --std 0.25"""


def see(
    model: Annotated[str, typer.Argument(help="efficientnet-lite0, torchvision:NAME, timm:NAME or file.py:callable.")],
    images: Annotated[list[str], typer.Argument(help="Picture files and folders.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for index.html and report.json.")] = Path("report"),
    layers: Annotated[
        str | None, typer.Option("--layers", help="Layers, joined by commas; five over the depth unless given.")
    ] = None,
    units: Annotated[int, typer.Option("--units", min=1, help="Units of each layer, strongest first.")] = 4,
    rule: Annotated[
        str, typer.Option("--rule", help="deconvnet, guided, gradient, or auto: deconvnet where max-pooling is.")
    ] = "auto",
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights file: safetensors or state dict.")] = None,
    random_weights: Annotated[bool, typer.Option("--random-weights", help="Leave the network untrained.")] = False,
    size: Annotated[str | None, typer.Option("--size", help="Size the network is given: 224 or 192x256.")] = None,
    mean: Annotated[str | None, typer.Option("--mean", help="Subtracted from [0, 1]: 0.5 or 0.48,0.45,0.40.")] = None,
    std: Annotated[str | None, typer.Option("--std", help="Divided by: 0.25 or 0.23,0.22,0.22.")] = None,
    single_file: Annotated[bool, typer.Option("--single-file", help="Put the pictures into the page.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Show the strongest units of some layers in each picture: place, patch and projection to the pixels."""
    names = None if layers is None else [name.strip() for name in layers.split(",") if name.strip()]
    height_width = None if size is None else spelling.all_axes("--size", size, 2)
    means, deviations = numbers("--mean", mean), numbers("--std", std)
    from unconv.explain.captions import counted
    from unconv.models.resolve import load_model
    from unconv.visualize.report import without_pixels
    from unconv.visualize.see import see as run

    loaded = load_model(
        model,
        weights=weights,
        random_weights=random_weights,
        size=None if height_width is None else (height_width[0], height_width[1]),
        mean=means,
        std=deviations,
    )
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


def numbers(option: str, text: str | None) -> list[float] | None:
    """Numbers joined by commas.

    >>> numbers("--mean", "0.5"), numbers("--std", "0.1, 0.2,0.3"), numbers("--mean", None)
    ([0.5], [0.1, 0.2, 0.3], None)
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UnconvError(f"{option} {text!r} is not a number; write one, or one a channel joined by commas") from None


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
