"""Options of ``unconv train``, and what is made of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unconv.cli.outputs import WEIGHTS, File, Folder
from unconv.errors import UnconvError

if TYPE_CHECKING:
    from unconv.train.loop.settings import Settings

Out: TypeAlias = Annotated[Path, typer.Option("-o", "--out", help="The weights, as .safetensors.")]
Epochs: TypeAlias = Annotated[int, typer.Option("--epochs", min=1, help="How often each example is seen.")]
BatchSize: TypeAlias = Annotated[int, typer.Option("--batch", min=1, help="Examples of a step.")]
Rate: TypeAlias = Annotated[float, typer.Option("--rate", help="Learning rate at its peak.")]
WeightDecay: TypeAlias = Annotated[float, typer.Option("--weight-decay", help="Decay of the weights, each step.")]
Optimiser: TypeAlias = Annotated[
    str, typer.Option("--optimiser", "--optimizer", help="adamw, or muon: fewer steps, more arithmetic in each.")
]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="Of weights, order, augmentation and dropout.")]
Precision: TypeAlias = Annotated[
    str, typer.Option("--precision", help="float32, or bfloat16 or float16 where they are enough.")
]
Device: TypeAlias = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or what else torch has.")]
Patience: TypeAlias = Annotated[
    int | None,
    typer.Option("--patience", min=1, help="Stop after so many epochs without a better one; its weights are kept."),
]
Flip: TypeAlias = Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror half of the pictures left to right.")]
Shift: TypeAlias = Annotated[float, typer.Option("--shift", help="Move pictures by up to this part of their side.")]
Checkpoint: TypeAlias = Annotated[
    Path | None, typer.Option("--checkpoint", help="Folder to resume from if killed; it is made.")
]
Log: TypeAlias = Annotated[Path | None, typer.Option("--log", help="Folder for the curves, as TensorBoard reads them.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the history as JSON.")]


def outputs(out: Path, checkpoint: Path | None, log: Path | None) -> list[File | Folder]:
    """What every training writes."""
    return [File("--out", out, WEIGHTS), Folder("--checkpoint", checkpoint), Folder("--log", log)]


def write(save: Callable[[Path], Path], out: Path, checkpoint: Path | None) -> None:
    """Write what was trained; where that fails it is not lost, and the message says where it is.

    Args:
        save: writes to a path, whole or not at all.
        out: where to.
        checkpoint: the folder that keeps the training; where there is none, a temporary folder takes the file.

    Raises UnconvError where ``out`` could not be written.
    """
    try:
        save(out)
    except UnconvError as error:
        if checkpoint is not None:
            raise UnconvError(
                f"{error}; {checkpoint} has the training: the same command with another -o ends it"
            ) from error
        rescued = save(Path(tempfile.mkdtemp(prefix="unconv-")) / out.name)
        raise UnconvError(f"{error}; what was trained is in {rescued}") from error


def settings(
    epochs: int,
    batch: int,
    rate: float,
    weight_decay: float,
    seed: int,
    precision: str,
    device: str,
    patience: int | None,
    optimiser: str = "adamw",
) -> Settings:
    """The settings of the loop.

    >>> settings(3, 64, 0.01, 0.0, 1, "float32", "cpu", None).batch_size
    64
    """
    from unconv.train.loop.settings import Settings

    return Settings(epochs, batch, rate, weight_decay, seed, precision, device, patience, optimiser)
