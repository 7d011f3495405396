"""``unconv train segment``: a network that names every pixel."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import models, spelling
from unconv.cli.outputs import File, check_outputs
from unconv.cli.skipped import tell_skipped
from unconv.cli.train import options as options

if TYPE_CHECKING:
    from unconv.train.tasks.segment import Segmenter

EXAMPLES = """[bold]Examples[/]

unconv train segment -o weights.safetensors --sheet predictions.png    (fcn8s:compact on Fashion scenes)

unconv train segment --model fcn16s:compact --start fcn32s.safetensors -o fcn16s.safetensors

unconv train segment --data pets/ --model fcn8s:torchvision:resnet18 --start resnet18.safetensors

unconv train segment --data pets/ --model unet --size 128 --checkpoint run    (images/ and masks/; again to resume)"""


def segment(
    model: Annotated[
        str, typer.Option("--model", help="fcn8s:compact, unet, torchvision:NAME, file.py:callable and others.")
    ] = "fcn8s:compact",
    data: Annotated[
        str,
        typer.Option("--data", help="scenes, or a folder with images/ and masks/, VOCdevkit/ or oxford-iiit-pet/."),
    ] = "scenes",
    out: options.Out = Path("weights.safetensors"),
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="Different Fashion scenes of an epoch.")] = 6000,
    epochs: options.Epochs = 5,
    batch: options.BatchSize = 16,
    rate: options.Rate = 0.003,
    weight_decay: options.WeightDecay = 0.02,
    optimiser: options.Optimiser = "adamw",
    class_weights: Annotated[
        str | None,
        typer.Option("--class-weights", help="Of the loss: balanced, or a number a class joined by commas."),
    ] = None,
    jaccard: Annotated[
        float, typer.Option("--jaccard", help="Weight of the soft intersection over union in the loss.")
    ] = 0.0,
    start: Annotated[
        Path | None,
        typer.Option("--start", help="Weights to begin with: of the FCN of the stage before, or of its backbone."),
    ] = None,
    flip: options.Flip = True,
    shift: options.Shift = 0.0,
    seed: options.Seed = 0,
    precision: options.Precision = "float32",
    device: options.Device = "auto",
    patience: options.Patience = None,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    checkpoint: options.Checkpoint = None,
    log: options.Log = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Picture file: pictures held out, truth and prediction.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Train a network to name every pixel of a picture, from its first weights."""
    figure = File("--sheet", sheet, (".png", ".jpg", ".svg", ".pdf"), figure=True)
    check_outputs([*options.outputs(out, checkpoint, log), figure], [model, data, start])
    sides = None if size is None else spelling.all_axes("--size", size, 2)
    means, deviations = models.numbers("--mean", mean), models.numbers("--std", std)
    weights = class_weights if class_weights == "balanced" else models.numbers("--class-weights", class_weights)
    from unconv.jobs import bar
    from unconv.train.tasks.segment import segment as run

    begin = time.perf_counter()
    trained = run(
        model,
        data,
        options.settings(epochs, batch, rate, weight_decay, seed, precision, device, patience, optimiser),
        scenes=scenes,
        size=None if sides is None else (sides[0], sides[1]),
        mean=means,
        std=deviations,
        flip=flip,
        shift=shift,
        class_weights=weights,  # type: ignore[arg-type]
        jaccard=jaccard,
        start=start,
        checkpoint=checkpoint,
        log=log,
        progress=bar(),
    )
    seconds = time.perf_counter() - begin
    options.write(trained.save, out, checkpoint)
    if sheet is not None:
        from unconv.train.show.segment_sheet import save_sheet

        save_sheet(trained.network, trained.held_out, sheet)
    tell(trained, out, sheet, seconds, json)


def tell(trained: Segmenter, out: Path, sheet: Path | None, seconds: float, json: bool) -> None:
    """What has come out, on stdout; what was left out, on stderr."""
    tell_skipped(trained.skipped)
    if json:
        about = {**trained.about, "notes": trained.notes, "skipped": trained.skipped}
        told = {**about, "seconds": round(seconds, 3), "out": str(out), "sheet": None if sheet is None else str(sheet)}
        typer.echo(json_format.dumps(told, ensure_ascii=False))
        return
    for note in trained.notes:
        typer.echo(f"note: {note}")
    numbers = trained.epoch.held_out
    width = max(map(len, trained.classes))
    for name in trained.classes:
        iou = numbers.get(f"iou/{name}")
        typer.echo(f"{name:{width}}  " + ("not there" if iou is None else f"IoU {iou:.3f}"))
    typer.echo(
        f"{len(trained.history)} epochs in {seconds:.1f} s, loss {trained.epoch.train['loss']:.4f}; held out: mean IoU "
        f"{trained.miou:.3f}, {100 * numbers['pixel_accuracy']:.2f}% of the pixels named rightly"
    )
    for path in filter(None, (out, sheet)):
        typer.echo(f"wrote {path}")
