"""``unconv train generate``: a network that makes pictures like those it is shown."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import options
from unconv.cli.notes import tell_notes
from unconv.cli.outputs import File, check_outputs
from unconv.cli.skipped import tell_skipped
from unconv.cli.train.options import (
    Epochs,
    Patience,
    Rate,
    Training,
    WeightDecay,
    data_option,
    model_option,
    write_trained,
)
from unconv.cli.train.sample import PlotKernels, draw

if TYPE_CHECKING:
    from unconv.train.tasks.generate import Generated

EXAMPLES = (
    "unconv train generate --plot samples.png  # dcgan-32 on Fashion-MNIST",
    "unconv train generate --model dcgan-32:resize --checkpoint run",
    "unconv train generate --data photos/ --model dcgan:32 --epochs 50 --rate 2e-4",
    "unconv sample generator.safetensors -o more.png --seed 2",
)
RENAMED = {"--batch": "--batch-size", "--sheet": "--plot", "--kernels": "--plot-kernels"}


def generate(
    training: Training,
    job: options.PictureJob,
    model: Annotated[
        str, model_option("dcgan or dcgan-32, :UPSAMPLER, :WIDTH or :UPSAMPLER:WIDTH behind.")
    ] = "dcgan-32",
    data: Annotated[
        str | None,
        data_option(
            "Folder of pictures, whatever they show, or a data set as for unconv train classify.", "Fashion-MNIST"
        ),
    ] = None,
    out: Annotated[Path, options.out("The weights, as .safetensors.")] = Path("generator.safetensors"),
    epochs: Epochs = 4,
    batch_size: options.BatchSize = 64,
    rate: Rate = 5e-4,
    discriminator_rate: Annotated[
        float, typer.Option("--discriminator-rate", help="Learning rate of the discriminator.")
    ] = 2e-4,
    smoothing: Annotated[
        float, typer.Option("--smoothing", help="Real pictures are to be told as real with 1 minus this.")
    ] = 0.1,
    average: Annotated[
        float, typer.Option("--average", help="Of the moving average of the generator's weights; 0: the last ones.")
    ] = 0.999,
    samples: Annotated[int, typer.Option("--samples", min=2, help="How many are measured after an epoch.")] = 2000,
    weight_decay: WeightDecay = 0.0,
    patience: Patience = None,
    plot: Annotated[Path | None, options.plot("100 samples, and two rows from one to another")] = None,
    plot_kernels: PlotKernels = None,
) -> None:
    """Train a DCGAN to make pictures like some that it is shown."""
    pictures = [File("--plot", plot, (".png",)), File("--plot-kernels", plot_kernels, (".png",))]
    check_outputs([*training.outputs(out), *pictures], [model, data])
    from unconv.jobs import bar
    from unconv.train.tasks.adversarial import Contest
    from unconv.train.tasks.generate import generate as run

    start = time.perf_counter()
    trained = run(
        model,
        data,
        training.settings(epochs, batch_size, rate, weight_decay, patience),
        Contest(discriminator_rate, smoothing, average),
        samples=samples,
        checkpoint=training.checkpoint,
        log=training.log,
        progress=bar(),
    )
    seconds = time.perf_counter() - start
    write_trained(trained.save, out, training.checkpoint)
    written = [out, *draw(trained.network, plot, plot_kernels)]
    tell(trained, written, seconds, job.json)


def tell(trained: Generated, written: list[Path], seconds: float, json: bool) -> None:
    """What has come out, on stdout; what was left out, on stderr."""
    tell_skipped(trained.skipped)
    if json:
        about = {**trained.about, "notes": trained.notes, "skipped": trained.skipped, "seconds": round(seconds, 3)}
        typer.echo(json_format.dumps({**about, "out": list(map(str, written))}, ensure_ascii=False))
        return
    tell_notes(trained.notes)
    first, last = trained.about["untrained"], trained.about["trained"]
    part = 100 * last["distance"] / first["distance"] if first["distance"] else 100.0
    typer.echo(
        f"{len(trained.history)} epochs in {seconds:.1f} s; {last['samples']:,} samples have a distance of "
        f"{last['distance']:.4g} from real pictures, {part:.2g}% of {first['distance']:.4g} before the training"
    )
    if "shares" in last:
        rarest = min(last["shares"], key=last["shares"].__getitem__)
        typer.echo(f"rarest among them: {rarest}, {100 * last['rarest']:.1f}%; entropy {last['entropy']:.3f}")
    scores = ", ".join(f"{name} {score:.2g}" for name, score in last["checkerboard"].items())
    pattern = last["stride_pattern"]
    typer.echo(
        f"checkerboard scores {scores}; pattern of stride 2 in samples {pattern['samples']:.2g}, in real pictures "
        f"{pattern['real']:.2g}"
    )
    for path in written:
        typer.echo(f"wrote {path}")
