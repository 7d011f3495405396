"""Options of ``unconv train``, and what is made of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from unconv.cli import options
from unconv.cli.groups import OUTPUT, OptionGroup
from unconv.cli.outputs import WEIGHTS, File, Folder
from unconv.errors import UnconvError

if TYPE_CHECKING:
    from unconv.train.loop.settings import Settings

Epochs: TypeAlias = Annotated[int, typer.Option("--epochs", min=1, help="How often each example is seen.")]
Rate: TypeAlias = Annotated[float, typer.Option("--rate", help="Learning rate at its peak.")]
WeightDecay: TypeAlias = Annotated[float, typer.Option("--weight-decay", help="Decay of the weights, each step.")]
Optimiser: TypeAlias = Annotated[
    str, typer.Option("--optimiser", "--optimizer", help="adamw, or muon: fewer steps, more arithmetic in each.")
]
Patience: TypeAlias = Annotated[
    int | None,
    typer.Option("--patience", min=1, help="Stop after so many epochs without a better one; its weights are kept."),
]
Shift: TypeAlias = Annotated[float, typer.Option("--shift", help="Move pictures by up to this part of their side.")]
Log: TypeAlias = Annotated[
    Path | None,
    typer.Option("--log", help="Folder for the curves, as TensorBoard reads them.", rich_help_panel=OUTPUT),
]


def flip_option(default: str | bool = True) -> Any:
    """The option of mirrored pictures; whether they are where nothing is said."""
    return typer.Option("--flip/--no-flip", help="Mirror half of the pictures left to right.", show_default=default)


def model_option(text: str) -> Any:
    """The option of the network that is trained."""
    return typer.Option("--model", help=text)


def data_option(text: str, default: str | bool = True) -> Any:
    """The option of what is trained on; what it is unless given."""
    return typer.Option("--data", help=text, show_default=default)


@dataclass(frozen=True)
class Training(OptionGroup):
    """What every training takes alike, whatever its task."""

    seed: options.Seed = 0
    precision: options.Precision = "float32"
    device: options.Device = "auto"
    checkpoint: options.Checkpoint = None
    log: Log = None

    def outputs(self, out: Path) -> list[File | Folder]:
        """What every training writes."""
        return [File("--out", out, WEIGHTS), Folder("--checkpoint", self.checkpoint), Folder("--log", self.log)]

    def settings(
        self,
        epochs: int,
        batch_size: int,
        rate: float,
        weight_decay: float,
        patience: int | None,
        optimiser: str = "adamw",
    ) -> Settings:
        """The settings of the loop; a device that is not the processor is told on stderr.

        >>> Training(seed=1, device="cpu").settings(3, 64, 0.01, 0.0, None).batch_size
        64
        """
        from unconv.train.loop.settings import Settings

        made = Settings(
            epochs,
            batch_size,
            rate,
            weight_decay,
            self.seed,
            self.precision,  # type: ignore[arg-type]
            self.device,
            patience,
            optimiser,  # type: ignore[arg-type]
        )
        options.device_for(self.device)
        return made


def write_trained(save: Callable[[Path], Path], out: Path, checkpoint: Path | None) -> None:
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
