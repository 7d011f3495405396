"""``unconv train classify``: a network that tells classes of pictures apart."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import models, spelling
from unconv.cli.outputs import File, check_outputs
from unconv.cli.skipped import tell_skipped
from unconv.cli.train import options as options
from unconv.models.load.sources import source_forms

if TYPE_CHECKING:
    from unconv.train.show.confusion_table import Share
    from unconv.train.tasks.classify import Classifier

MOST_LINES = 20

EXAMPLES = """[bold]Examples[/]

unconv train classify -o weights.safetensors    (zfnet-28 on Fashion-MNIST)

unconv train classify --data photos/ --model torchvision:resnet18 --size 96 --checkpoint run    (again to resume)

unconv train classify --data photos/ --model net.py:build --epochs 30 --patience 5 --log curves

unconv train classify --data digits --shift 0.1 --epochs 30"""


def classify(
    model: Annotated[str, typer.Option("--model", help=f"zfnet-28, {source_forms()}.")] = "zfnet-28",
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
    optimiser: options.Optimiser = "adamw",
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
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the kernels of the first convolution into this PNG.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Train a network to tell classes of pictures apart, from its first weights."""
    check_outputs([*options.outputs(out, checkpoint, log), File("--plot", plot, (".png", ".jpg"))], [model, data])
    sides = None if size is None else spelling.all_axes("--size", size, 2)
    means, deviations = models.numbers("--mean", mean), models.numbers("--std", std)
    from unconv.jobs import bar
    from unconv.train.tasks.classify import classify as run

    begin = time.perf_counter()
    trained = run(
        model,
        data,
        options.settings(epochs, batch, rate, weight_decay, seed, precision, device, patience, optimiser),
        size=None if sides is None else (sides[0], sides[1]),
        mean=means,
        std=deviations,
        flip=flip,
        shift=shift,
        checkpoint=checkpoint,
        log=log,
        progress=bar(),
    )
    seconds = time.perf_counter() - begin
    options.write(trained.save, out, checkpoint)
    if plot is not None:
        from unconv.train.show.confusion_table import draw_kernels

        draw_kernels(trained.network.module, plot)
    tell(trained, out, plot, seconds, json)


def tell(trained: Classifier, out: Path, plot: Path | None, seconds: float, json: bool) -> None:
    """What has come out, on stdout; what was left out, on stderr."""
    from unconv.train.show.confusion_table import shares

    tell_skipped(trained.skipped)
    classes, told = trained.about["classes"], shares(trained.confusion)
    if json:
        by_class = {name: share and share.right for name, share in zip(classes, told, strict=True)}
        report = {
            **trained.about,
            "accuracy": trained.accuracy,
            "by_class": by_class,
            "confusion": trained.confusion.tolist(),
            "notes": trained.notes,
            "skipped": trained.skipped,
            "seconds": round(seconds, 3),
            "out": str(out),
            "plot": None if plot is None else str(plot),
        }
        typer.echo(json_format.dumps(report, ensure_ascii=False))
        return
    for note in trained.notes:
        typer.echo(f"note: {note}")
    for line in class_lines(classes, told):
        typer.echo(line)
    typer.echo(
        f"{len(trained.history)} epochs in {seconds:.1f} s, loss {trained.epoch.train['loss']:.4f}; of the pictures "
        f"held out {100 * trained.accuracy:.2f}% named rightly"
    )
    for path in filter(None, (out, plot)):
        typer.echo(f"wrote {path}")


def class_lines(classes: Sequence[str], told: Sequence[Share | None]) -> list[str]:
    """A line for each class, the most often mistaken ones first, and no more than MOST_LINES.

    >>> from unconv.train.show.confusion_table import Share
    >>> told = [Share(0.9, 1, 0.1), Share(0.5, 0, 0.3), Share(1, None, 0)]
    >>> print(*class_lines(["coat", "shirt", "bag"], told), sep="\\n")
    shirt   50.0%, for coat 30.0%
    coat    90.0%, for shirt 10.0%
    bag    100.0%
    """
    there = sorted((share.right, number) for number, share in enumerate(told) if share is not None)
    width = max(len(classes[number]) for _, number in there)
    lines = []
    for right, number in there[:MOST_LINES]:
        share = told[number]
        mistaken = ""
        if share is not None and share.taken_for is not None:
            mistaken = f", for {classes[share.taken_for]} {100 * share.share:.1f}%"
        lines.append(f"{classes[number]:{width}}  {100 * right:5.1f}%{mistaken}")
    if len(there) > MOST_LINES:
        lines.append(f"… and {len(there) - MOST_LINES} classes that are mistaken less often")
    return lines
