"""``unconv arithmetic``: sizes, relations, matrices and pictures of one geometry."""

from __future__ import annotations

import json as json_format
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unconv.cli import spelling
from unconv.cli.arithmetic.options import (
    EXAMPLES,
    CeilMode,
    Channels,
    Dilation,
    Dims,
    ExcludePad,
    Frame,
    Groups,
    InputSize,
    Json,
    KernelSize,
    Matrix,
    Numbers,
    Output,
    OutputPadding,
    Padding,
    PoolStride,
    Scale,
    Stride,
    Theme,
    View,
)

if TYPE_CHECKING:
    from unconv.explain.drawing import Drawing
    from unconv.operators.geometry.base import Geometry

app = typer.Typer(
    help="Sizes, relations and pictures of a convolution, a transposed convolution or a pooling.",
    invoke_without_command=True,
    rich_markup_mode="rich",
)


@app.callback(
    epilog="[bold]Examples[/]\n\nunconv arithmetic conv -i 5 -k 3 -s 2 -p 1\n\nunconv arithmetic --all -o gallery/"
)
def arithmetic(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Write the 19 published animations, SVG and GIF, with an index.html.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for --all.")] = None,
    theme: Theme = "auto",
    json: Json = False,
) -> None:
    """Sizes, relations and pictures of a convolution, a transposed convolution or a pooling."""
    if context.invoked_subcommand is not None:
        if everything or output is not None:
            raise typer.BadParameter(
                f"--all and -o before {context.invoked_subcommand!r} have no meaning; put -o behind it"
            )
        return
    if not everything:
        if output is not None:
            raise typer.BadParameter("-o needs --all, or one of conv, transpose, maxpool, avgpool before it")
        typer.echo(context.get_help())
        return
    from unconv.explain.gallery import write_gallery
    from unconv.explain.themes import check_theme

    files = write_gallery(output or Path("gallery"), check_theme(theme))
    if json:
        _print_json({"files": [str(path) for path in files]})
    else:
        typer.echo(f"{len(files) // 2} animations as SVG and GIF; look at {files[-1]}")


@app.command(epilog=EXAMPLES["conv"])
def conv(
    input_size: InputSize,
    kernel_size: KernelSize,
    stride: Stride = "1",
    padding: Padding = "0",
    dilation: Dilation = "1",
    dims: Dims = None,
    output: Output = None,
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
    picture = _Picture(output, view, numbers, theme, frame, scale)
    _tell(geometry, picture, spelling.channels("--channels", channels), groups, matrix, json)


@app.command(epilog=EXAMPLES["transpose"])
def transpose(
    input_size: InputSize,
    kernel_size: KernelSize,
    stride: Stride = "1",
    padding: Padding = "0",
    output_padding: OutputPadding = "0",
    dilation: Dilation = "1",
    dims: Dims = None,
    output: Output = None,
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
    picture = _Picture(output, view, numbers, theme, frame, scale)
    _tell(geometry, picture, spelling.channels("--channels", channels), groups, matrix, json)


@app.command(epilog=EXAMPLES["pool"])
def maxpool(
    input_size: InputSize,
    kernel_size: KernelSize,
    stride: PoolStride = None,
    padding: Padding = "0",
    dilation: Dilation = "1",
    ceil_mode: CeilMode = False,
    dims: Dims = None,
    output: Output = None,
    view: View = "gather",
    numbers: Numbers = None,
    theme: Theme = "auto",
    frame: Frame = None,
    scale: Scale = 1,
    matrix: Matrix = False,
    json: Json = False,
) -> None:
    """A max pooling."""
    from unconv.operators.geometry.pool import MaxPoolGeometry

    geometry = MaxPoolGeometry(
        spelling.all_axes("-i", input_size, dims),
        spelling.sizes("-k", kernel_size),
        None if stride is None else spelling.sizes("-s", stride),
        spelling.padding("-p", padding),
        spelling.sizes("-d", dilation),
        ceil_mode,
    )
    _tell(geometry, _Picture(output, view, numbers, theme, frame, scale), (1, 1), 1, matrix, json)


@app.command(epilog=EXAMPLES["pool"])
def avgpool(
    input_size: InputSize,
    kernel_size: KernelSize,
    stride: PoolStride = None,
    padding: Padding = "0",
    ceil_mode: CeilMode = False,
    exclude_pad: ExcludePad = False,
    dims: Dims = None,
    output: Output = None,
    view: View = "gather",
    numbers: Numbers = None,
    theme: Theme = "auto",
    frame: Frame = None,
    scale: Scale = 1,
    matrix: Matrix = False,
    json: Json = False,
) -> None:
    """An average pooling."""
    from unconv.operators.geometry.pool import AvgPoolGeometry

    geometry = AvgPoolGeometry(
        spelling.all_axes("-i", input_size, dims),
        spelling.sizes("-k", kernel_size),
        None if stride is None else spelling.sizes("-s", stride),
        spelling.padding("-p", padding),
        ceil_mode,
        not exclude_pad,
    )
    _tell(geometry, _Picture(output, view, numbers, theme, frame, scale), (1, 1), 1, matrix, json)


@app.command(epilog=EXAMPLES["solve"])
def solve(
    start: Annotated[str, typer.Option("--from", help="Input size: 44, or 7x5.")],
    end: Annotated[str, typer.Option("--to", help="Output size: 88, or 14x11.")],
    max_kernel_size: Annotated[
        int, typer.Option("--max-kernel-size", min=1, max=128, help="Largest kernel to try.")
    ] = 8,
    max_stride: Annotated[int, typer.Option("--max-stride", min=1, max=128, help="Largest stride to try.")] = 8,
    top: Annotated[int, typer.Option("--top", min=1, help="How many to list.")] = 10,
    json: Json = False,
) -> None:
    """The transposed convolutions that lead from one size to another, the best first."""
    from unconv.explain.report import solutions_table
    from unconv.operators.geometry.solve import solve_transpose

    found = solve_transpose(
        spelling.sizes("--from", start),
        spelling.sizes("--to", end),
        max_kernel_size=max_kernel_size,
        max_stride=max_stride,
    )
    if json:
        from unconv.explain.report import facts

        _print_json({"solutions": [facts(geometry) for geometry in found[:top]], "found": len(found)})
    else:
        typer.echo(solutions_table(start, end, found, top))


@dataclass(frozen=True)
class _Picture:
    """What the options say about the picture."""

    output: Path | None
    view: str
    numbers: str | None
    theme: str
    frame: int | None
    scale: int

    def drawing(self, geometry: Geometry, channels: tuple[int, int], groups: int) -> Drawing:
        from unconv.explain.drawing import draw

        numbers = int(self.numbers) if self.numbers is not None and self.numbers.isdecimal() else self.numbers
        inputs, outputs = channels
        return draw(
            geometry, self.view, numbers, in_channels=inputs, out_channels=outputs, groups=groups, theme=self.theme
        )


def _tell(
    geometry: Geometry, picture: _Picture, channels: tuple[int, int], groups: int, matrix: bool, json: bool
) -> None:
    from unconv.explain import report
    from unconv.explain.views.parts import DrawingLimitError

    drawing, refusal, written = None, "", None
    try:
        drawing = picture.drawing(geometry, channels, groups)
    except DrawingLimitError as limit:
        if picture.output is not None:
            raise
        refusal = str(limit)
    if drawing is not None and picture.output is not None:
        written = drawing.save(picture.output, picture.frame, picture.scale)
    if json:
        facts = report.facts(geometry, *channels, groups)
        facts |= report.matrix_facts(geometry) if matrix else {}
        facts |= report.file_facts(drawing.scene, written) if drawing and written else {}
        _print_json(facts)
        return
    typer.echo(report.summary(geometry, *channels, groups))
    if matrix:
        typer.echo(report.matrix_text(geometry))
    if drawing and written:
        typer.echo(f"Wrote {written}: {report.written(drawing.scene, written, picture.frame)}")
    elif not matrix:
        frame = drawing.frame_number(picture.frame) if drawing else 0
        typer.echo(report.picture(drawing.scene, frame) if drawing else f"No picture: {refusal}")


def _print_json(value: dict[str, Any]) -> None:
    lines = [
        f"  {json_format.dumps(key)}: {json_format.dumps(entry, ensure_ascii=False)}" for key, entry in value.items()
    ]
    typer.echo("{\n" + ",\n".join(lines) + "\n}")
