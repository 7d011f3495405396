"""Answers of ``unconv arithmetic``: one geometry, said, drawn and printed."""

from __future__ import annotations

import json as json_format
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unconv.cli.outputs import File, check_outputs

if TYPE_CHECKING:
    from unconv.explain.drawing import Drawing
    from unconv.operators.geometry.base import Geometry


@dataclass(frozen=True)
class Picture:
    """What the options say about the picture."""

    out: Path | None
    view: str
    numbers: str | None
    theme: str
    frame: int | None
    scale: int

    def drawing(self, geometry: Geometry, channels: tuple[int, int], groups: int) -> Drawing:
        """The picture itself."""
        from unconv.explain.drawing import draw

        numbers = int(self.numbers) if self.numbers is not None and self.numbers.isdecimal() else self.numbers
        inputs, outputs = channels
        return draw(  # type: ignore[call-overload, no-any-return]
            geometry,
            self.view,
            numbers,
            in_channels=inputs,
            out_channels=outputs,
            groups=groups,
            theme=self.theme,
        )


def answer(
    geometry: Geometry, picture: Picture, channels: tuple[int, int], groups: int, matrix: bool, json: bool
) -> None:
    """Draw the geometry where a picture was asked for, and print what there is to say of it."""
    from unconv.explain import report
    from unconv.explain.drawing import FORMATS
    from unconv.explain.views.parts import DrawingLimitError

    check_outputs([File("--out", picture.out, FORMATS)])
    drawing, refusal, written = None, "", None
    try:
        drawing = picture.drawing(geometry, channels, groups)
    except DrawingLimitError as limit:
        if picture.out is not None:
            raise
        refusal = str(limit)
    if drawing is not None and picture.out is not None:
        written = drawing.save(picture.out, picture.frame, picture.scale)
    if json:
        facts = report.facts(geometry, *channels, groups)
        facts |= report.matrix_facts(geometry) if matrix else {}
        facts |= report.file_facts(drawing.scene, written) if drawing and written else {}
        print_json(facts)
        return
    typer.echo(report.summary(geometry, *channels, groups))
    if matrix:
        typer.echo(report.matrix_text(geometry))
    if drawing and written:
        typer.echo(f"Wrote {written}: {report.written(drawing.scene, written, picture.frame)}")
    elif not matrix:
        frame = drawing.frame_number(picture.frame) if drawing else 0
        typer.echo(report.picture(drawing.scene, frame) if drawing else f"No picture: {refusal}")


def print_json(value: dict[str, Any]) -> None:
    """Print plain data, one entry a line."""
    lines = [
        f"  {json_format.dumps(key)}: {json_format.dumps(entry, ensure_ascii=False)}" for key, entry in value.items()
    ]
    typer.echo("{\n" + ",\n".join(lines) + "\n}")
