"""The options of ``unconv arithmetic``, and the examples under its help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import not_
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperOption

from unconv.choices import ThemeName, ViewName
from unconv.cli import options, spelling
from unconv.cli.command import Command
from unconv.cli.completion import complete_words
from unconv.cli.groups import OUTPUT

InputSize = Annotated[str, typer.Option("-i", "--input-size", help="Input size: 5 (5 × 5), 7x5, 4x5x6.")]
KernelSize = Annotated[str, options.kernel_size()]
Stride = Annotated[str, options.stride()]
PoolStride = Annotated[str | None, options.stride("the kernel size")]
Padding = Annotated[
    str,
    typer.Option("-p", "--padding", help="1, 1x0, before:after as 1:2x0:1, or same, same_upper, same_lower, valid."),
]
Dilation = Annotated[str, typer.Option("-d", "--dilation", help="Dilation: 2, or 2x1.")]
OutputPadding = Annotated[str, typer.Option("-a", "--output-padding", help="Rows added at the end: 1, or 1x0.")]
CeilMode = Annotated[bool, typer.Option("--ceil-mode", help="Round the output size up, as torch does.")]
ExcludePad = Annotated[bool, typer.Option("--exclude-pad", help="Leave the padding out of the mean.")]
Dims = Annotated[int | None, typer.Option("--dims", min=1, max=3, help="Axes, where -i is a single number (2).")]
Out = Annotated[Path | None, options.out("Draw into this file: .svg, .gif, .mp4, .png or .html.")]
View = Annotated[
    str, typer.Option("--view", help="Which view is drawn.", autocompletion=complete_words(ViewName))
]  # WithViews lists them
Numbers = Annotated[
    str | None, typer.Option("--numbers", help="Calculate in the cells: 'random', or a seed such as 7.")
]
Frame = Annotated[
    int | None, typer.Option("--frame", min=0, help="This step alone, from 0: an SVG stands still, a PNG shows it.")
]
Scale = Annotated[int, typer.Option("--scale", help="Pixels of GIF, MP4 and PNG, times this (1 to 4).")]
Theme = Annotated[
    str,
    typer.Option(
        "--theme",
        help="auto (SVG and HTML follow the reader), light or dark.",
        autocompletion=complete_words(ThemeName),
    ),
]
Channels = Annotated[str, typer.Option("--channels", help="Channels in and out: 3x2.")]
Groups = Annotated[int, typer.Option("--groups", help="Groups that the channels are divided into.")]
Matrix = Annotated[bool, typer.Option("--matrix", help="Write the matrix out in symbols, and its transpose.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT)]
# Spellings of the version before.
RENAMED = {"--output": "--out"}


class Fixed:
    """Options that hold a setting fixed while others are looked for."""

    KernelSize = Annotated[str | None, options.kernel_size("any")]
    Stride = Annotated[str | None, options.stride("any")]
    Padding = Annotated[
        str | None, typer.Option("-p", "--padding", help="This padding alone: 1, or 1x0.", show_default="any")
    ]
    OutputPadding = Annotated[
        str | None,
        typer.Option("-a", "--output-padding", help="Rows added at the end: 1, or 1x0.", show_default="any"),
    ]


@dataclass(frozen=True)
class Setting:
    """An option of a pooling's own: how it is spelled, and how what was written is read."""

    option: Any
    read: Callable[[Any], Any] = lambda value: value
    default: Callable[[Any], Any] = lambda value: value


# By the names that geometries give them.
POOL_SETTINGS = {
    "dilation": Setting(Dilation, partial(spelling.sizes, "-d"), str),
    "ceil_mode": Setting(CeilMode),
    "count_include_pad": Setting(ExcludePad, not_, not_),
}


class WithViews(Command):
    """A command whose help lists the views of what it draws."""

    def format_help(self, context: Any, formatter: Any) -> None:
        """Write the help; views are imported for it alone."""
        from unconv.explain.views.all_views import views_of
        from unconv.operators.geometry.base import Geometry
        from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
        from unconv.operators.geometry.pool import POOLINGS

        geometries: tuple[type[Geometry], ...] = (ConvGeometry, ConvTransposeGeometry, *POOLINGS)
        drawn = next(geometry for geometry in geometries if geometry.kind.name == self.name)
        shown = [f"{view.name} ({view.shows})" for view in views_of(drawn).values()]
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.name == "view":
                parameter.help = f"{', '.join(shown[:-1])} or {shown[-1]}."
        super().format_help(context, formatter)


EXAMPLES = {
    "conv": (
        "unconv arithmetic conv -i 5 -k 3 -s 2 -p 1",
        "unconv arithmetic conv -i 4 -k 3 --matrix",
        "unconv arithmetic conv -i 7x5 -k 3x2 --json",
        "unconv arithmetic conv -i 32 -k 5 --channels 3x2 -o maps.svg",
    ),
    "transpose": (
        "unconv arithmetic transpose -i 3 -k 3 -s 2 -p 1 --output-padding 1 -o up.gif",
        "unconv arithmetic transpose -i 3 -k 3 -s 2 --view zeros --numbers 7 -o up.html",
    ),
    "maxpool": (
        "unconv arithmetic maxpool -i 6 -k 3 -s 2 --ceil-mode",
        "unconv arithmetic maxpool -i 4 -k 2 --numbers random -o switches.svg",
    ),
    "avgpool": (
        "unconv arithmetic avgpool -i 6 -k 3 -s 2 --ceil-mode",
        "unconv arithmetic avgpool -i 5 -k 3 -s 1 --numbers random -o mean.svg",
    ),
    "solve": (
        "unconv arithmetic solve --from 44 --to 88",
        "unconv arithmetic solve --from 13 --to 50 -k 4",
        "unconv arithmetic solve --from 224 --to 112 --conv -k 7",
        "unconv arithmetic solve --from 7x5 --to 14x11 --json",
    ),
}
