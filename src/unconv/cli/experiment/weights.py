"""``unconv experiment`` on what a network has learned: evolution, first-layer, transfer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unconv.cli import models
from unconv.cli.experiment.input import class_folders, labelled, pictures
from unconv.cli.experiment.output import ENDINGS, Images, Json, Layers, Out, tell_json
from unconv.cli.outputs import File, check_outputs, write_figure
from unconv.errors import UnconvError

EVOLUTION = """[bold]Examples[/]

unconv experiment evolution net.py:build photos/ --layer 6 --checkpoint 1.pt --checkpoint 5.pt -o evolution.png"""

FIRST_LAYER = """[bold]Examples[/]

unconv experiment first-layer efficientnet-lite0 -o filters.png

unconv experiment first-layer torchvision:alexnet photos/ --json"""

TRANSFER = """[bold]Examples[/]

unconv experiment transfer efficientnet-lite0 photos/ -o transfer.png    (photos/ has a folder for each class)"""


def evolution(
    model: models.Model,
    images: Images,
    layer: Annotated[str, typer.Option("--layer", help="Layer of the units.")],
    checkpoint: Annotated[
        list[Path], typer.Option("--checkpoint", help="Weights file, in the order of training; once for each.")
    ],
    out: Out = None,
    units: Annotated[
        str | None, typer.Option("--units", help="Indices joined by commas; the six strongest at the end unless given.")
    ] = None,
    rule: models.Rule = "deconvnet",
    random_weights: models.RandomWeights = False,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    json: Json = False,
) -> None:
    """Follow units over checkpoints: the picture that excites each most, and its projection."""
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, *images, *checkpoint])
    chosen = _integers("--units", units)
    loaded = models.load(model, None, random_weights, size, mean, std)
    batch, _, names = pictures(loaded, images, 1)
    from unconv.visualize.experiments.evolution import evolution as run

    found = run(loaded, list(checkpoint), batch, layer, chosen, rule=rule)
    if out is not None:
        from unconv.visualize.experiments.figures.pictures import plot_evolution

        write_figure(plot_evolution(found), out)
    if json:
        tell_json(
            checkpoints=list(found.checkpoints),
            layer=layer,
            units=list(found.units),
            rule=rule,
            images=[[names[image] for image in row] for row in found.images.tolist()],
            positions=found.positions.tolist(),
            activations=found.activations.tolist(),
            moved=found.moved.tolist(),
        )
        return
    for column, unit in enumerate(found.units):
        jumps = int((found.images[1:, column] != found.images[:-1, column]).sum())
        last = names[int(found.images[-1, column])]
        typer.echo(
            f"unit {unit}: {jumps} changes of picture, {last} at the end ({float(found.activations[-1, column]):.3g})"
        )


def first_layer(
    model: models.Model,
    images: Annotated[list[str] | None, typer.Argument(help="Pictures, to find filters that never fire.")] = None,
    out: Out = None,
    layer: Annotated[str | None, typer.Option("--layer", help="Another convolution than the first.")] = None,
    weights: models.Weights = None,
    random_weights: models.RandomWeights = False,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    json: Json = False,
) -> None:
    """Look at the filters of the first convolution: dead ones, dominant ones, aliasing."""
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, *(images or ()), weights])
    loaded = models.load(model, weights, random_weights, size, mean, std)
    batch = pictures(loaded, images, 1)[0] if images else None
    from unconv.visualize.experiments.first_layer import first_layer as run

    found = run(loaded, batch, layer)
    if out is not None:
        from unconv.visualize.experiments.figures.pictures import plot_first_layer

        write_figure(plot_first_layer(found), out)
    if json:
        tell_json(
            layer=found.layer,
            size=list(found.filters.shape[1:]),
            stride=list(found.stride),
            images=found.images,
            total_aliasing=found.total_aliasing,
            filters=[
                {
                    name: getattr(found, name)[number].item()
                    for name in ("norm", "mean", "aliasing", "weak", "dominant", "silent")
                }
                for number in range(len(found.filters))
            ],
        )
        return
    shape = "x".join(map(str, found.filters.shape[2:]))
    typer.echo(f"{found.layer}: {len(found.filters)} filters {shape}, stride {found.stride[0]}x{found.stride[1]}")
    silent = f"{int(found.silent.sum())} never fire in {found.images} pictures" if found.images else "no pictures given"
    typer.echo(f"{int(found.weak.sum())} weak, {silent}, {int(found.dominant.sum())} dominant")
    typer.echo(f"{found.total_aliasing:.1%} of the energy of all filters is beyond the Nyquist frequency of the stride")


def transfer(
    model: models.Model,
    folder: Annotated[Path, typer.Argument(help="A folder with one sub-folder of pictures for each class.")],
    out: Out = None,
    layers: Layers = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Parts of which each is held out once.")] = 5,
    grid: Annotated[int, typer.Option("--grid", min=1, help="Cells per axis that feature maps are averaged to.")] = 2,
    penalty: Annotated[float, typer.Option("--penalty", help="On the classifier's squared weights.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the dealing of pictures to folds.")] = 0,
    weights: models.Weights = None,
    random_weights: models.RandomWeights = False,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    json: Json = False,
) -> None:
    """Put the features of every layer into a linear classifier of another task."""
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, folder, weights])
    classes = class_folders(folder)
    loaded = models.load(model, weights, random_weights, size, mean, std)
    batch, labels = labelled(loaded, classes)
    from unconv.visualize.experiments.transfer import transfer as run

    found = run(loaded, batch, labels, models.names(layers), grid=grid, folds=folds, penalty=penalty, seed=seed)
    if out is not None:
        from unconv.visualize.experiments.figures.curves import plot_transfer

        write_figure(plot_transfer(found), out)
    mean_of, spread = found.accuracy.mean(1).tolist(), found.accuracy.std(1, correction=0).tolist()
    if json:
        tell_json(
            classes=[one.name for one in classes],
            images=found.images,
            chance=found.chance,
            layers={
                layer: {"features": count, "accuracy": accuracy, "deviation": deviation, "fitted": fitted}
                for layer, count, accuracy, deviation, fitted in zip(
                    found.layers, found.features, mean_of, spread, found.fitted.mean(1).tolist(), strict=True
                )
            },
        )
        return
    typer.echo(f"{found.images} pictures, {found.classes} classes; the most frequent is {found.chance:.1%} of them")
    for layer, count, accuracy, deviation in zip(found.layers, found.features, mean_of, spread, strict=True):
        typer.echo(f"{layer}: {accuracy:.1%} ± {deviation:.1%} ({count} features)")


def _integers(option: str, text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UnconvError(f"{option} {text!r} is not a list of indices; write 3 or 3,17,40") from None
