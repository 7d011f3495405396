"""``unconv arithmetic``: sizes, relations, matrices and pictures of one geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unconv.cli import options, spelling
from unconv.cli.arithmetic.answer import Picture, answer, print_json
from unconv.cli.arithmetic.options import (
    EXAMPLES,
    RENAMED,
    Channels,
    Dilation,
    Dims,
    Fixed,
    Frame,
    Groups,
    InputSize,
    Json,
    KernelSize,
    Matrix,
    Numbers,
    Out,
    OutputPadding,
    Padding,
    Scale,
    Stride,
    Theme,
    View,
    WithViews,
)
from unconv.cli.command import Group, add_command, new_group
from unconv.cli.outputs import Folder, check_outputs


class WithPoolings(Group):
    """A group with one more command for every pooling, made when its commands are asked for."""

    def list_commands(self, context: Any) -> list[str]:
        """Names of all commands."""
        from unconv.cli.arithmetic.poolings import pool_commands

        for name, command in pool_commands().items():
            self.commands.setdefault(name, command)
        return super().list_commands(context)

    def get_command(self, context: Any, name: str) -> Any:
        """A command by its name."""
        self.list_commands(context)
        return super().get_command(context, name)


app = new_group(
    "Sizes, relations and pictures of a convolution, a transposed convolution or a pooling.",
    (*EXAMPLES["conv"][:1], *EXAMPLES["transpose"][:1], *EXAMPLES["solve"][:1], "unconv arithmetic --all -o gallery/"),
    RENAMED,
    kind=WithPoolings,
    no_args_is_help=False,
    invoke_without_command=True,
)


@app.callback()
def arithmetic(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Write the 19 published animations, SVG and GIF, with an index.html.")
    ] = False,
    out: Annotated[Path | None, options.out("Folder for --all.")] = None,
    force: options.Force = False,
    theme: Theme = "auto",
    json: Json = False,
) -> None:
    """Sizes, relations and pictures of a convolution, a transposed convolution or a pooling."""
    if context.invoked_subcommand is not None:
        if everything or out is not None:
            raise typer.BadParameter(
                f"--all and -o before {context.invoked_subcommand!r} have no meaning; put -o behind it"
            )
        return
    if not everything:
        if out is not None:
            from unconv.operators.geometry.pool import POOLINGS

            names = ", ".join(("conv", "transpose", *(pooling.kind.name for pooling in POOLINGS)))
            raise typer.BadParameter(f"-o needs --all, or one of {names} before it")
        typer.echo(context.get_help())
        return
    from unconv.explain.gallery import gallery_names, write_gallery
    from unconv.explain.themes import check_theme

    folder = out or Path("gallery")
    check_outputs([Folder("--out", folder, gallery_names(), force)])
    files = write_gallery(folder, check_theme(theme), force=force)
    if json:
        print_json({"files": [str(path) for path in files]})
    else:
        typer.echo(f"{len(files) // 2} animations as SVG and GIF; look at {files[-1]}")


def conv(
    input_size: InputSize,
    kernel_size: KernelSize,
    stride: Stride = "1",
    padding: Padding = "0",
    dilation: Dilation = "1",
    dims: Dims = None,
    out: Out = None,
    view: View = "gather",
    numbers: Numbers = None,
    theme: Theme = "auto",
    frame: Frame = None,
    scale: Scale = 1,
    channels: Channels = "1x1",
    groups: Groups = 1,
    matrix: Matrix = False,
    json: Json = False,
) -> None:
    """A convolution."""
    from unconv.operators.geometry.conv import ConvGeometry

    geometry = ConvGeometry(
        spelling.all_axes("-i", input_size, dims),
        spelling.sizes("-k", kernel_size),
        spelling.sizes("-s", stride),
        spelling.padding("-p", padding),
        spelling.sizes("-d", dilation),
    )
    picture = Picture(out, view, numbers, theme, frame, scale)
    answer(geometry, picture, spelling.channels("--channels", channels), groups, matrix, json)


def transpose(
    input_size: InputSize,
    kernel_size: KernelSize,
    stride: Stride = "1",
    padding: Padding = "0",
    output_padding: OutputPadding = "0",
    dilation: Dilation = "1",
    dims: Dims = None,
    out: Out = None,
    view: View = "gather",
    numbers: Numbers = None,
    theme: Theme = "auto",
    frame: Frame = None,
    scale: Scale = 1,
    channels: Channels = "1x1",
    groups: Groups = 1,
    matrix: Matrix = False,
    json: Json = False,
) -> None:
    """A transposed convolution."""
    from unconv.operators.geometry.conv import ConvTransposeGeometry

    geometry = ConvTransposeGeometry(
        spelling.all_axes("-i", input_size, dims),
        spelling.sizes("-k", kernel_size),
        spelling.sizes("-s", stride),
        spelling.padding("-p", padding),
        spelling.sizes("-a", output_padding),
        spelling.sizes("-d", dilation),
    )
    picture = Picture(out, view, numbers, theme, frame, scale)
    answer(geometry, picture, spelling.channels("--channels", channels), groups, matrix, json)


def solve(
    start: Annotated[str, typer.Option("--from", help="Input size: 44, or 7x5.")],
    end: Annotated[str, typer.Option("--to", help="Output size: 88, or 14x11.")],
    conv: Annotated[bool, typer.Option("--conv", help="Convolutions, not transposed ones.")] = False,
    kernel_size: Fixed.KernelSize = None,
    stride: Fixed.Stride = None,
    padding: Fixed.Padding = None,
    output_padding: Fixed.OutputPadding = None,
    dilation: Dilation = "1",
    max_kernel_size: Annotated[
        int, typer.Option("--max-kernel-size", min=1, max=128, help="Largest kernel to try.")
    ] = 8,
    max_stride: Annotated[int, typer.Option("--max-stride", min=1, max=128, help="Largest stride to try.")] = 8,
    top: options.Top = 10,
    json: Json = False,
) -> None:
    """The transposed convolutions, or convolutions, that lead from one size to another, the best first."""
    from unconv.explain.report import facts, solutions_table
    from unconv.operators.geometry.solve import solve_conv, solve_transpose

    if conv and output_padding is not None:
        raise typer.BadParameter("-a belongs to transposed convolutions; leave it out, or --conv")
    given = (
        ("kernel_size", "-k", kernel_size),
        ("stride", "-s", stride),
        ("padding", "-p", padding),
        ("output_padding", "-a", output_padding),
        ("dilation", "-d", dilation),
    )
    fixed: Any = {name: spelling.sizes(option, text) for name, option, text in given if text is not None}
    method: Any = solve_conv if conv else solve_transpose
    sizes = spelling.sizes("--from", start), spelling.sizes("--to", end)
    found = method(*sizes, **fixed, max_kernel_size=max_kernel_size, max_stride=max_stride)
    if json:
        print_json({"solutions": [facts(geometry) for geometry in found[:top]], "found": len(found)})
    else:
        typer.echo(solutions_table(found, top))


add_command(app, conv, EXAMPLES["conv"], renamed=RENAMED, kind=WithViews)
add_command(app, transpose, EXAMPLES["transpose"], renamed=RENAMED, kind=WithViews)
add_command(app, solve, EXAMPLES["solve"])
