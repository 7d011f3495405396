"""``unconv sample``: pictures of a generator that was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unconv.cli import options
from unconv.cli.groups import OUTPUT
from unconv.cli.outputs import File, check_outputs

if TYPE_CHECKING:
    from unconv.models.load.resolve import LoadedModel

EXAMPLES = (
    "unconv sample generator.safetensors -o samples.png",
    "unconv sample generator.safetensors --count 400 --columns 20 --seed 2",
    "unconv sample generator.safetensors --plot-kernels kernels.png",
)
RENAMED = {"--kernels": "--plot-kernels"}

PlotKernels: TypeAlias = Annotated[
    Path | None,
    typer.Option("--plot-kernels", help="Also draw: the kernels that paint the picture.", rich_help_panel=OUTPUT),
]


def sample(
    generator: Annotated[Path, typer.Argument(metavar="GENERATOR", help="File that unconv train generate wrote.")],
    job: options.Job,
    out: Annotated[Path, options.out("The samples side by side, as .png.")] = Path("samples.png"),
    count: Annotated[int, typer.Option("--count", min=1, help="How many.")] = 100,
    columns: Annotated[int, typer.Option("--columns", min=1, help="How many in a row.")] = 10,
    seed: options.Seed = 0,
    plot_kernels: PlotKernels = None,
) -> None:
    """Draw samples of a generator, and two rows from one sample to another."""
    check_outputs([File("--out", out, (".png",)), File("--plot-kernels", plot_kernels, (".png",))], [generator])
    from unconv.train.tasks.generate import load_generator

    written = draw(load_generator(generator), out, plot_kernels, count, columns, seed)
    if job.json:
        typer.echo(json.dumps({"count": count, "seed": seed, "out": list(map(str, written))}))
        return
    for path in written:
        typer.echo(f"wrote {path}")


def draw(
    loaded: LoadedModel, sheet: Path | None, kernels: Path | None, count: int = 100, columns: int = 10, seed: int = 0
) -> list[Path]:
    """Write what is asked for; the files."""
    from unconv.train.show.sample_sheet import kernel_sheet, samples_sheet, save_picture
    from unconv.train.tasks.generate import generator_of

    network = generator_of(loaded)
    written = []
    if sheet is not None:
        written.append(save_picture(samples_sheet(network, count, seed, columns), sheet, scale=2))
    if kernels is not None:
        written.append(save_picture(kernel_sheet(network), kernels, scale=12))
    return written
