"""``unconv learn``: a dictionary from pictures."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import spelling
from unconv.cli.outputs import WEIGHTS, File, Folder, check_outputs, write_figure
from unconv.cli.skipped import tell_skipped
from unconv.cli.sparse import options as pictures

if TYPE_CHECKING:
    from torch import Tensor

    from unconv.data.arrays import Mode
    from unconv.sparse.restore.details import Details

EXAMPLES = """[bold]Examples[/]

unconv learn photos/ -o dictionary.safetensors --plot kernels.png

unconv learn photos/ -o dictionary.safetensors --grey --kernels 100 --size 12x12 --penalty 0.2

unconv learn photos/ -o dictionary.safetensors --batch 16 --rounds 5 --checkpoint run    (again to resume)"""


def learn(
    images: Annotated[list[str], typer.Argument(help="Picture files and folders.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The dictionary, as .safetensors.")] = Path(
        "dictionary.safetensors"
    ),
    kernels: Annotated[int, typer.Option("--kernels", min=1, help="How many kernels.")] = 64,
    size: Annotated[str, typer.Option("--size", help="Size of a kernel: 8 or 8x8.")] = "8x8",
    penalty: Annotated[str, typer.Option("--penalty", help="Sparsity: 0.1, or 0.1max for a part of the most.")] = "0.1",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds; with --batch passes over all pictures.")] = 50,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, help="Learn online, so many pictures at a time.")
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Learn from grey pictures.")] = False,
    low_pass: Annotated[
        float, typer.Option("--low-pass", min=0.0, help="Strength of the low-pass taken off first; 0: none.")
    ] = 5.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first kernels and the order.")] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Folder to resume from if killed; it is made.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Picture of the kernels, most used first.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the history as JSON.")] = False,
) -> None:
    """Learn kernels of which pictures are sums of few pieces, by convolutional sparse coding."""
    check_outputs(
        [File("--out", out, WEIGHTS), File("--plot", plot, figure=True), Folder("--checkpoint", checkpoint)], images
    )
    height, width = spelling.all_axes("--size", size, 2)
    wanted = pictures.penalty(penalty)
    from unconv.sparse.learn.dictionaries import save_dictionary
    from unconv.sparse.learn.learner import DictionaryLearner

    mode: Mode = "grey" if grey else "rgb"
    learner = DictionaryLearner(
        n_kernels=kernels,
        kernel_size=(height, width),
        penalty=wanted,
        max_rounds=rounds,
        batch_size=batch,
        random_state=seed,
        checkpoint=checkpoint,
        progress=True,
    ).fit(_details(images, mode, low_pass, seed, in_memory=batch is None))
    count = learner.history_[-1].images if batch is None else sum(each.images for each in learner.history_) // rounds
    history = [
        {"round": each.number, "seconds": each.seconds, "objective": each.objective, "nonzeros": each.nonzeros}
        for each in learner.history_
    ]
    save_dictionary(learner.dictionary_, out, {"use": learner.kernel_use_.tolist(), "low-pass strength": low_pass})
    if plot is not None:
        from unconv.sparse.plots.dictionary import plot_dictionary

        write_figure(plot_dictionary(learner), plot)
    if json:
        typer.echo(json_format.dumps({"pictures": count, "dictionary": str(out), "history": history}))
        return
    last = history[-1]
    typer.echo(
        f"{count} pictures, {learner.n_iter_} rounds in {last['seconds']:.1f} s, objective {last['objective']:.6g}"
    )
    typer.echo(f"wrote {out}")


def _details(images: list[str], mode: Mode, low_pass: float, seed: int, in_memory: bool) -> Sequence[Tensor] | Details:
    """What kernels are learned from: in memory where every round codes every picture."""
    from unconv.sparse.restore.details import Details, detail_of

    if in_memory:
        return [detail_of(image.tensor, low_pass) for image in pictures.pictures(images, mode)]
    details = Details(images, mode, low_pass, seed)
    tell_skipped(details.skipped)
    return details
