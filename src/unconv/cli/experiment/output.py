"""Output of the experiments: their options, and how they tell their numbers."""

from __future__ import annotations

import json as json_format
import math
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from unconv.cli import options

# Endings of figures.
ENDINGS = (".png", ".pdf", ".svg")

Out: TypeAlias = Annotated[Path | None, options.out("Figure: .png, .pdf or .svg.")]
Layers: TypeAlias = Annotated[str | None, options.layers("some, over the depth")]


def tell_json(**numbers: Any) -> None:
    """One line of JSON; what is no number is null."""
    typer.echo(json_format.dumps(_finite(numbers), ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
