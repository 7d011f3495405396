"""What the commands of ``unconv train`` share: options, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unconv.errors import UnconvError

if TYPE_CHECKING:
    from unconv.train.settings import Settings

Out: TypeAlias = Annotated[Path, typer.Option("-o", "--out", help="The weights, as .safetensors.")]
Epochs: TypeAlias = Annotated[int, typer.Option("--epochs", min=1, help="How often each example is seen.")]
BatchSize: TypeAlias = Annotated[int, typer.Option("--batch", min=1, help="Examples of a step.")]
Rate: TypeAlias = Annotated[float, typer.Option("--rate", help="Learning rate at its peak.")]
WeightDecay: TypeAlias = Annotated[float, typer.Option("--weight-decay", help="Decay of the weights (AdamW).")]
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
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the history as JSON.")]


def check_out(out: Path) -> None:
    """Refuse, before anything is trained, a file that could not be written after.

    >>> check_out(Path("weights.pth"))
    Traceback (most recent call last):
    unconv.errors.UnconvError: --out weights.pth: files end in .safetensors
    """
    if out.suffix != ".safetensors":
        raise UnconvError(f"--out {out}: files end in .safetensors")
    if not out.parent.is_dir():
        raise UnconvError(f"--out {out}: there is no folder {out.parent}; make it first")


def settings(
    epochs: int,
    batch: int,
    rate: float,
    weight_decay: float,
    seed: int,
    precision: str,
    device: str,
    patience: int | None,
) -> Settings:
    """The settings of the loop.

    >>> settings(3, 64, 0.01, 0.0, 1, "float32", "cpu", None).batch_size
    64
    """
    from unconv.train.settings import Settings

    return Settings(epochs, batch, rate, weight_decay, seed, precision, device, patience)
