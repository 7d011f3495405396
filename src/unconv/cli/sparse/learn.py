"""``unconv learn``: a dictionary from pictures."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import options, spelling
from unconv.cli.groups import COMPUTATION
from unconv.cli.outputs import WEIGHTS, File, Folder, check_outputs, write_figure
from unconv.cli.skipped import tell_skipped
from unconv.cli.sparse import options as pictures

if TYPE_CHECKING:
    from torch import Tensor

    from unconv.data.arrays import Mode

EXAMPLES = (
    "unconv learn photos/ -o dictionary.safetensors --plot kernels.png",
    "unconv learn photos/ --mode grey --n-kernels 100 --kernel-size 12x12",
    "unconv learn photos/ --batch-size 16 --max-iter 5 --checkpoint run",
)
RENAMED = {
    "--kernels": "--n-kernels",
    "--size": "--kernel-size",
    "--rounds": "--max-iter",
    "--batch": "--batch-size",
    "--grey": "--mode grey",
}


def learn(
    images: options.Images,
    job: options.PictureJob,
    out: Annotated[Path, options.out("The dictionary, as .safetensors.")] = Path("dictionary.safetensors"),
    n_kernels: Annotated[int, typer.Option("--n-kernels", min=1, help="How many kernels.")] = 64,
    kernel_size: Annotated[str, options.kernel_size()] = "8",
    penalty: options.Penalty = "0.1",
    max_iter: Annotated[
        int, typer.Option("--max-iter", min=1, help="Rounds at most; with --batch-size passes over all pictures.")
    ] = 50,
    mode: Annotated[str, typer.Option("--mode", help="How pictures are read: rgb or grey.")] = "rgb",
    low_pass: options.LowPass = 5.0,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, help="Computed together.", show_default="all", rich_help_panel=COMPUTATION),
    ] = None,
    seed: options.Seed = 0,
    checkpoint: options.Checkpoint = None,
    plot: Annotated[Path | None, options.plot("the kernels, most used first")] = None,
) -> None:
    """Learn kernels of which pictures are sums of few pieces, by convolutional sparse coding."""
    check_outputs(
        [File("--out", out, WEIGHTS), File("--plot", plot, figure=True), Folder("--checkpoint", checkpoint)], images
    )
    height, width = spelling.all_axes("--kernel-size", kernel_size, 2)
    wanted, read_as = pictures.penalty(penalty), pictures.mode(mode)
    from unconv.sparse.estimator.learner import DictionaryLearner
    from unconv.sparse.learn.dictionaries import save_dictionary

    learner = DictionaryLearner(
        n_kernels=n_kernels,
        kernel_size=(height, width),
        penalty=wanted,
        max_iter=max_iter,
        batch_size=batch_size,
        random_state=seed,
        checkpoint=checkpoint,
        progress=True,
        mode=read_as,
        low_pass=low_pass,
    ).fit(_source(images, read_as, in_memory=batch_size is None))
    tell_skipped(learner.skipped_)
    seen = [each.images for each in learner.history_]
    count = seen[-1] if batch_size is None else sum(seen) // max_iter
    history = [
        {"round": each.number, "seconds": each.seconds, "objective": each.objective, "nonzeros": each.nonzeros}
        for each in learner.history_
    ]
    save_dictionary(learner.dictionary_, out, {"use": learner.kernel_use_.tolist(), "low-pass strength": low_pass})
    if plot is not None:
        from unconv.sparse.plots.dictionary import plot_dictionary

        write_figure(plot_dictionary(learner), plot)
    if job.json:
        typer.echo(json_format.dumps({"pictures": count, "dictionary": str(out), "history": history}))
        return
    last = history[-1]
    typer.echo(
        f"{count} pictures, {learner.n_iter_} rounds in {last['seconds']:.1f} s, objective {last['objective']:.6g}"
    )
    typer.echo(f"wrote {out}")


def _source(images: list[str], mode: Mode, in_memory: bool) -> Sequence[Tensor] | list[str]:
    """What kernels are learned from: read into memory where every round codes every picture."""
    return [image.tensor for image in pictures.pictures(images, mode)] if in_memory else images
