"""Models on the command line: how one is named, and what changes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unconv.cli import spelling
from unconv.errors import UnconvError
from unconv.models.load.built_in import model_forms
from unconv.visualize.reverse.rules import rule_help

if TYPE_CHECKING:
    from unconv.models.load.resolve import LoadedModel

Model: TypeAlias = Annotated[str, typer.Argument(help=f"{model_forms()}.")]
Weights: TypeAlias = Annotated[Path | None, typer.Option("--weights", help="Weights file: safetensors or state dict.")]
RandomWeights: TypeAlias = Annotated[bool, typer.Option("--random-weights", help="Leave the network untrained.")]
Size: TypeAlias = Annotated[str | None, typer.Option("--size", help="Size the network is given: 224 or 192x256.")]
Mean: TypeAlias = Annotated[str | None, typer.Option("--mean", help="Subtracted from [0, 1]: 0.5 or 0.48,0.45,0.40.")]
Rule: TypeAlias = Annotated[str, typer.Option("--rule", help=rule_help())]
RuleOrAuto: TypeAlias = Annotated[str, typer.Option("--rule", help=rule_help(auto=True))]
Std: TypeAlias = Annotated[str | None, typer.Option("--std", help="Divided by: 0.25 or 0.23,0.22,0.22.")]


def load(
    model: str, weights: Path | None, random_weights: bool, size: str | None, mean: str | None, std: str | None
) -> LoadedModel:
    """The network, with what the options say about it; a misspelled option is refused before anything is loaded."""
    height_width = None if size is None else spelling.all_axes("--size", size, 2)
    means, deviations = numbers("--mean", mean), numbers("--std", std)
    from unconv.models.load.resolve import load_model

    return load_model(
        model,
        weights=weights,
        random_weights=random_weights,
        size=None if height_width is None else (height_width[0], height_width[1]),
        mean=means,
        std=deviations,
    )


def names(text: str | None) -> list[str] | None:
    """Names joined by commas.

    >>> names("features.3, features.8"), names(None)
    (['features.3', 'features.8'], None)
    """
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


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
