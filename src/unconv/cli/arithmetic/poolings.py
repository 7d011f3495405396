"""The commands of poolings, one for each geometry in the table, with the options that it takes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import typer

from unconv.cli import spelling
from unconv.cli.arithmetic.answer import Picture, answer
from unconv.cli.arithmetic.options import (
    EXAMPLES,
    POOL_SETTINGS,
    RENAMED,
    Dims,
    Frame,
    InputSize,
    Json,
    KernelSize,
    Matrix,
    Numbers,
    Out,
    Padding,
    PoolStride,
    Scale,
    Theme,
    View,
    WithViews,
)
from unconv.cli.command import add_command, new_group
from unconv.operators.geometry.pool import POOLINGS, PoolGeometry


def pool_commands() -> dict[str, Any]:
    """A command for every pooling, by its name.

    >>> list(pool_commands())
    ['maxpool', 'avgpool']
    """
    app = new_group("Poolings.", ())
    for geometry in POOLINGS:
        name = geometry.kind.name
        add_command(
            app,
            pool_command(geometry),
            EXAMPLES.get(name, (f"unconv arithmetic {name} -i 6 -k 3 -s 2",)),
            name=name,
            renamed=RENAMED,
            kind=WithViews,
        )
    # With one command alone, typer would make no group of them.
    app.callback()(lambda: None)
    return dict(typer.main.get_group(app).commands)


def pool_command(pooling: type[PoolGeometry]) -> Callable[..., None]:
    """The function behind one pooling's command, with a parameter for each setting of its geometry."""
    settings = pooling.settings()

    def command(
        input_size: str,
        kernel_size: str,
        stride: str | None,
        padding: str,
        dims: int | None,
        out: Path | None,
        view: str,
        numbers: str | None,
        theme: str,
        frame: int | None,
        scale: int,
        matrix: bool,
        json: bool,
        **given: Any,
    ) -> None:
        geometry = pooling(
            spelling.all_axes("-i", input_size, dims),
            spelling.sizes("-k", kernel_size),
            None if stride is None else spelling.sizes("-s", stride),
            spelling.padding("-p", padding),
            **{name: POOL_SETTINGS[name].read(value) for name, value in given.items()},
        )
        answer(geometry, Picture(out, view, numbers, theme, frame, scale), (1, 1), 1, matrix, json)

    title = pooling.kind.title
    command.__doc__ = f"{'An' if title[0] in 'AEIOU' else 'A'} {title[0].lower()}{title[1:]}."
    own = [(name, POOL_SETTINGS[name].option, POOL_SETTINGS[name].default(value)) for name, value in settings.items()]
    command.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=option, default=default)
            for name, option, default in (*_BEFORE, *own, *_BEHIND)
        ]
    )
    command.__annotations__ = {}
    return command


# Name, option and default of what every pooling is told, before its own settings and behind them.
_BEFORE: tuple[tuple[str, Any, Any], ...] = (
    ("input_size", InputSize, Parameter.empty),
    ("kernel_size", KernelSize, Parameter.empty),
    ("stride", PoolStride, None),
    ("padding", Padding, "0"),
)
_BEHIND: tuple[tuple[str, Any, Any], ...] = (
    ("dims", Dims, None),
    ("out", Out, None),
    ("view", View, "gather"),
    ("numbers", Numbers, None),
    ("theme", Theme, "auto"),
    ("frame", Frame, None),
    ("scale", Scale, 1),
    ("matrix", Matrix, False),
    ("json", Json, False),
)
