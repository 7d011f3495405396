"""``unconv train segment``: a network that names every pixel."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import options, spelling
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
    from unconv.train.tasks.segment import Segmenter

EXAMPLES = (
    "unconv train segment --plot predictions.png  # fcn8s:compact on Fashion scenes",
    "unconv train segment --model fcn16s:compact --start fcn32s.safetensors",
    "unconv train segment --model fcn8s:torchvision:resnet18 --start resnet18.pt",
    "unconv train segment --data pets/ --model unet --size 128 --checkpoint run",
)
RENAMED = {"--batch": "--batch-size", "--sheet": "--plot"}


def segment(
    network: options.Transform,
    training: Training,
    job: options.PictureJob,
    model: Annotated[str, model_option("fcn8s:compact, unet and others, see unconv models.")] = "fcn8s:compact",
    data: Annotated[
        str, data_option("scenes, or a folder with images/ and masks/, VOCdevkit/ or oxford-iiit-pet/.")
    ] = "scenes",
    out: Annotated[Path, options.out("The weights, as .safetensors.")] = Path("weights.safetensors"),
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="Different Fashion scenes of an epoch.")] = 6000,
    epochs: Epochs = 5,
    batch_size: options.BatchSize = 16,
    rate: Rate = 0.003,
    weight_decay: WeightDecay = 0.02,
    patience: Patience = None,
    optimiser: Optimiser = "adamw",
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
    flip: Annotated[bool, flip_option()] = True,
    shift: Shift = 0.0,
    plot: Annotated[Path | None, options.plot("pictures held out, truth and prediction")] = None,
) -> None:
    """Train a network to name every pixel of a picture, from its first weights."""
    figure = File("--plot", plot, (".png", ".jpg", ".svg", ".pdf"), figure=True)
    check_outputs([*training.outputs(out), figure], [model, data, start])
    transform = network.read()
    weights = class_weights if class_weights == "balanced" else spelling.numbers("--class-weights", class_weights)
    from unconv.jobs import bar
    from unconv.train.tasks.segment import segment as run

    begin = time.perf_counter()
    trained = run(
        model,
        data,
        training.settings(epochs, batch_size, rate, weight_decay, patience, optimiser),
        scenes=scenes,
        **transform,
        flip=flip,
        shift=shift,
        class_weights=weights,  # type: ignore[arg-type]
        jaccard=jaccard,
        start=start,
        checkpoint=training.checkpoint,
        log=training.log,
        progress=bar(),
    )
    seconds = time.perf_counter() - begin
    write_trained(trained.save, out, training.checkpoint)
    if plot is not None:
        from unconv.train.show.segment_sheet import save_sheet

        save_sheet(trained.network, trained.held_out, plot)
    tell(trained, out, plot, seconds, job.json)


def tell(trained: Segmenter, out: Path, plot: Path | None, seconds: float, json: bool) -> None:
    """What has come out, on stdout; what was left out, on stderr."""
    tell_skipped(trained.skipped)
    if json:
        about = {**trained.about, "notes": trained.notes, "skipped": trained.skipped}
        told = {**about, "seconds": round(seconds, 3), "out": str(out), "plot": None if plot is None else str(plot)}
        typer.echo(json_format.dumps(told, ensure_ascii=False))
        return
    tell_notes(trained.notes)
    numbers = trained.epoch.held_out
    width = max(map(len, trained.classes))
    for name in trained.classes:
        iou = numbers.get(f"iou/{name}")
        typer.echo(f"{name:{width}}  " + ("not there" if iou is None else f"IoU {iou:.3f}"))
    typer.echo(
        f"{len(trained.history)} epochs in {seconds:.1f} s, loss {trained.epoch.train['loss']:.4f}; held out: mean IoU "
        f"{trained.miou:.3f}, {100 * numbers['pixel_accuracy']:.2f}% of the pixels named rightly"
    )
    for path in filter(None, (out, plot)):
        typer.echo(f"wrote {path}")
