"""``unconv train classify``: a network that tells classes of pictures apart."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import options
from unconv.cli.notes import tell_notes
from unconv.cli.outputs import File, check_outputs
from unconv.cli.skipped import tell_skipped
from unconv.cli.train.options import (
    Epochs,
    Optimiser,
    Patience,
    Rate,
    Shift,
    Training,
    WeightDecay,
    data_option,
    flip_option,
    model_option,
    write_trained,
)

if TYPE_CHECKING:
    from unconv.train.show.confusion_table import Share
    from unconv.train.tasks.classify import Classifier

MOST_LINES = 20

EXAMPLES = (
    "unconv train classify -o weights.safetensors  # zfnet-28 on Fashion-MNIST",
    "unconv train classify --data photos/ --model torchvision:resnet18 --size 96",
    "unconv train classify --data photos/ --model net.py:build --patience 5",
    "unconv train classify --data digits --shift 0.1 --epochs 30",
)
RENAMED = {"--batch": "--batch-size"}


def classify(
    network: options.Transform,
    training: Training,
    job: options.PictureJob,
    model: Annotated[str, model_option("zfnet-28 and others, see unconv models.")] = "zfnet-28",
    data: Annotated[
        str | None,
        data_option(
            "Folder with a folder of pictures for each class, or digits, fashion-mnist, cifar10:DIR, "
            "cifar100:DIR, mnist:DIR (DIR as torchvision fills it).",
            "Fashion-MNIST",
        ),
    ] = None,
    out: Annotated[Path, options.out("The weights, as .safetensors.")] = Path("weights.safetensors"),
    epochs: Epochs = 10,
    batch_size: options.BatchSize = 128,
    rate: Rate = 0.003,
    weight_decay: WeightDecay = 0.02,
    patience: Patience = None,
    optimiser: Optimiser = "adamw",
    flip: Annotated[bool | None, flip_option("all but digits")] = None,
    shift: Shift = 0.08,
    plot: Annotated[Path | None, options.plot("the kernels of the first convolution")] = None,
) -> None:
    """Train a network to tell classes of pictures apart, from its first weights."""
    check_outputs([*training.outputs(out), File("--plot", plot, (".png", ".jpg"))], [model, data])
    transform = network.read()
    from unconv.jobs import bar
    from unconv.train.tasks.classify import classify as run

    begin = time.perf_counter()
    trained = run(
        model,
        data,
        training.settings(epochs, batch_size, rate, weight_decay, patience, optimiser),
        **transform,
        flip=flip,
        shift=shift,
        checkpoint=training.checkpoint,
        log=training.log,
        progress=bar(),
    )
    seconds = time.perf_counter() - begin
    write_trained(trained.save, out, training.checkpoint)
    if plot is not None:
        from unconv.train.show.confusion_table import draw_kernels

        draw_kernels(trained.network.module, plot)
    tell(trained, out, plot, seconds, job.json)


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
    tell_notes(trained.notes)
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
