"""``unconv sample``: pictures of a generator that was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unconv.cli.outputs import File, check_outputs

if TYPE_CHECKING:
    from unconv.models.load.resolve import LoadedModel

EXAMPLES = """[bold]Examples[/]

unconv sample generator.safetensors -o samples.png

unconv sample generator.safetensors -o more.png --count 400 --columns 20 --seed 2 --kernels kernels.png"""

Sheet: TypeAlias = Annotated[
    Path | None, typer.Option("--sheet", help="Also draw 100 samples, and two rows from one to another, as .png.")
]
Kernels: TypeAlias = Annotated[
    Path | None, typer.Option("--kernels", help="Also draw the kernels that paint the picture, as .png.")
]


def sample(
    generator: Annotated[Path, typer.Argument(help="File that unconv train generate wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The samples side by side, as .png.")] = Path("samples.png"),
    count: Annotated[int, typer.Option("--count", min=1, help="How many.")] = 100,
    columns: Annotated[int, typer.Option("--columns", min=1, help="How many in a row.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the noise.")] = 1,
    kernels: Kernels = None,
) -> None:
    """Draw samples of a generator, and two rows from one sample to another."""
    check_outputs([File("--out", out, (".png",)), File("--kernels", kernels, (".png",))], [generator])
    from unconv.train.tasks.generate import load_generator

    for path in draw(load_generator(generator), out, kernels, count, columns, seed):
        typer.echo(f"wrote {path}")


def draw(
    loaded: LoadedModel, sheet: Path | None, kernels: Path | None, count: int = 100, columns: int = 10, seed: int = 1
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
