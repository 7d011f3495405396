"""``unconv train classify``: a network that tells classes of pictures apart."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import models, spelling, train_options as options

if TYPE_CHECKING:
    from unconv.train.classify import Classifier

EXAMPLES = """[bold]Examples[/]

unconv train classify -o weights.safetensors    (zfnet28 on Fashion-MNIST)

unconv train classify --data photos/ --model torchvision:resnet18 --size 96 --checkpoint run    (again to resume)

unconv train classify --data photos/ --model net.py:build --epochs 30 --patience 5 --log curves

unconv train classify --data digits --shift 0.1 --epochs 30"""


def classify(
    model: Annotated[
        str, typer.Option("--model", help="zfnet28, torchvision:NAME, timm:NAME or file.py:callable.")
    ] = "zfnet28",
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Folder with a folder of pictures for each class, or digits, fashion-mnist, cifar10:DIR, "
            "cifar100:DIR, mnist:DIR (DIR as torchvision fills it). Fashion-MNIST unless given.",
        ),
    ] = None,
    out: options.Out = Path("weights.safetensors"),
    epochs: options.Epochs = 10,
    batch: options.BatchSize = 128,
    rate: options.Rate = 0.003,
    weight_decay: options.WeightDecay = 0.02,
    flip: Annotated[
        bool | None,
        typer.Option("--flip/--no-flip", help="Mirror half of the pictures left to right; digits are not."),
    ] = None,
    shift: options.Shift = 0.08,
    seed: options.Seed = 0,
    precision: options.Precision = "float32",
    device: options.Device = "auto",
    patience: options.Patience = None,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    checkpoint: options.Checkpoint = None,
    log: options.Log = None,
    json: options.Json = False,
) -> None:
    """Train a network to tell classes of pictures apart, from its first weights."""
    options.check_out(out)
    sides = None if size is None else spelling.all_axes("--size", size, 2)
    means, deviations = models.numbers("--mean", mean), models.numbers("--std", std)
    from unconv.jobs import bar
    from unconv.train.classify import classify as run

    start = time.perf_counter()
    trained = run(
        model,
        data,
        options.settings(epochs, batch, rate, weight_decay, seed, precision, device, patience),
        size=None if sides is None else (sides[0], sides[1]),
        mean=means,
        std=deviations,
        flip=flip,
        shift=shift,
        checkpoint=checkpoint,
        log=log,
        progress=bar(),
    )
    options.write(trained.save, out, checkpoint)
    tell(trained, out, time.perf_counter() - start, json)


def tell(trained: Classifier, out: Path, seconds: float, json: bool) -> None:
    """What has come out, on stdout; what was left out, on stderr."""
    for item in trained.skipped:
        typer.echo(f"skipped {item}", err=True)
    if json:
        about = {**trained.about, "notes": trained.notes, "skipped": trained.skipped}
        told = {**about, "seconds": round(seconds, 3), "out": str(out)}
        typer.echo(json_format.dumps(told, ensure_ascii=False))
        return
    for note in trained.notes:
        typer.echo(f"note: {note}")
    typer.echo(
        f"{len(trained.history)} epochs in {seconds:.1f} s, loss {trained.epoch.train['loss']:.4f}; of the pictures "
        f"held out {100 * trained.accuracy:.2f}% named rightly"
    )
    typer.echo(f"wrote {out}")
