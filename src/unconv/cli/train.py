"""``unconv train``: networks trained on the user's data."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import models, spelling
from unconv.errors import UnconvError

if TYPE_CHECKING:
    from unconv.train.classify import Classifier

app = typer.Typer(no_args_is_help=True, help="Train a network.")

EXAMPLES = """[bold]Examples[/]

unconv train classify -o weights.safetensors    (zfnet28 on Fashion-MNIST)

unconv train classify --data photos/ --model torchvision:resnet18 --size 96 --checkpoint run    (again to resume)

unconv train classify --data photos/ --model net.py:build --epochs 30 --no-flip"""


@app.callback()
def train() -> None:
    """Train a network."""


@app.command(epilog=EXAMPLES)
def classify(
    model: Annotated[
        str, typer.Option("--model", help="zfnet28, torchvision:NAME, timm:NAME or file.py:callable.")
    ] = "zfnet28",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of Fashion-MNIST, or with a folder of pictures for each class."),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The weights, as .safetensors.")] = Path(
        "weights.safetensors"
    ),
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How often each picture is seen.")] = 10,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pictures of a step.")] = 128,
    rate: Annotated[float, typer.Option("--rate", help="Learning rate at its peak.")] = 0.003,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Decay of the weights (AdamW).")] = 0.02,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror half of the pictures left to right.")] = True,
    shift: Annotated[float, typer.Option("--shift", help="Move pictures by up to this part of their side.")] = 0.08,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, order, augmentation and dropout.")] = 0,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Folder to resume from if killed; it is made.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the history as JSON.")] = False,
) -> None:
    """Train a network to tell classes of pictures apart, from its first weights."""
    if out.suffix != ".safetensors":
        raise UnconvError(f"--out {out}: files end in .safetensors")
    if not out.parent.is_dir():
        raise UnconvError(f"--out {out}: there is no folder {out.parent}; make it first")
    sides = None if size is None else spelling.all_axes("--size", size, 2)
    means, deviations = models.numbers("--mean", mean), models.numbers("--std", std)
    from unconv.jobs import bar
    from unconv.train.classify import classify as run
    from unconv.train.loop import Settings

    start = time.perf_counter()
    trained = run(
        model,
        data,
        Settings(epochs, batch, rate, weight_decay, seed),
        size=None if sides is None else (sides[0], sides[1]),
        mean=means,
        std=deviations,
        flip=flip,
        shift=shift,
        checkpoint=checkpoint,
        progress=bar(),
    )
    trained.save(out)
    tell(trained, out, time.perf_counter() - start, json)


def tell(trained: Classifier, out: Path, seconds: float, json: bool) -> None:
    """What has come out, on stdout; what was left out, on stderr."""
    for item in trained.skipped:
        typer.echo(f"skipped {item}", err=True)
    if json:
        told = {**trained.about, "seconds": round(seconds, 3), "skipped": list(trained.skipped), "out": str(out)}
        typer.echo(json_format.dumps(told, ensure_ascii=False))
        return
    for note in trained.notes:
        typer.echo(f"note: {note}")
    last = trained.history[-1]
    typer.echo(
        f"{len(trained.history)} epochs in {seconds:.1f} s, loss {last.train['loss']:.4f}; of the pictures held out "
        f"{100 * trained.accuracy:.2f}% named rightly"
    )
    typer.echo(f"wrote {out}")
