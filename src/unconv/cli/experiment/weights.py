"""``unconv experiment`` on what a network has learned: evolution, first-layer, transfer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unconv.cli import inputs, options
from unconv.cli.experiment.input import class_folders, labelled, pictures
from unconv.cli.experiment.output import ENDINGS, Layers, Out, tell_json
from unconv.cli.groups import NETWORK
from unconv.cli.notes import tell_notes
from unconv.cli.outputs import File, check_outputs, write_figure

EVOLUTION = (
    "unconv experiment evolution n.py:f a/ --layer c1 --weights 1.pt --weights 2.pt",
    "unconv experiment evolution zfnet a/ --layer features.pool1 --weights last.pt",
)
EVOLUTION_RENAMED = {"--checkpoint": "--weights", "--random-weights": ""}

FIRST_LAYER = (
    "unconv experiment first-layer efficientnet-lite0 -o filters.png",
    "unconv experiment first-layer torchvision:alexnet photos/ --json",
)

TRANSFER = ("unconv experiment transfer efficientnet-lite0 photos/  # a folder a class",)
TRANSFER_RENAMED = {"--penalty": "--l2-penalty"}


def evolution(
    model: options.Model,
    images: options.Images,
    weights: Annotated[
        list[Path],
        typer.Option(
            "--weights",
            help="Weights: a file or FILE:PART; once for each stage, in the order of training.",
            rich_help_panel=NETWORK,
        ),
    ],
    network: options.Transform,
    held: inputs.Held,
    job: options.PictureJob,
    layer: Annotated[str, options.layer()],
    out: Out = None,
    units: options.Units = None,
    top_units: Annotated[int | None, options.top_units("6")] = None,
    rule: options.Rule = "deconvnet",
) -> None:
    """Follow units over checkpoints: the picture that excites each most, and its projection."""
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, *images, *weights])
    chosen = options.unit_choice(units, top_units)
    loaded = network.load(model, weights[-1])
    batch, _, names = pictures(loaded, images, 1)
    from unconv.visualize.experiments.evolution import evolution as run

    found = run(
        loaded,
        list(weights),
        batch,
        layer,
        chosen,
        top_units=top_units,
        rule=rule,  # type: ignore[arg-type]
        **held.read(),
    )
    notes = [*found.notes, *(note for note in loaded.notes if note not in loaded.fitted)]
    if out is not None:
        from unconv.visualize.experiments.figures.pictures import plot_evolution

        write_figure(plot_evolution(found), out)
    if job.json:
        tell_json(
            notes=notes,
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
    tell_notes(notes)


def first_layer(
    model: options.Model,
    network: options.Network,
    held: inputs.Held,
    job: options.PictureJob,
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGES", help="Pictures, to find filters that never fire.")
    ] = None,
    out: Out = None,
    layer: Annotated[str | None, options.layer("the first convolution")] = None,
) -> None:
    """Look at the filters of the first convolution: dead ones, dominant ones, aliasing."""
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, *(images or ()), network.weights])
    loaded = network.load(model)
    batch = pictures(loaded, images, 1)[0] if images else None
    from unconv.visualize.experiments.first_layer import first_layer as run

    found = run(loaded, batch, layer, **held.read())
    # Without pictures there is nothing to assume of them.
    notes = list(loaded.notes if images else loaded.fitted)
    if out is not None:
        from unconv.visualize.experiments.figures.pictures import plot_first_layer

        write_figure(plot_first_layer(found), out)
    if job.json:
        tell_json(
            notes=notes,
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
    tell_notes(notes)


def transfer(
    model: options.Model,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder with one sub-folder of pictures for each class.")
    ],
    network: options.Network,
    held: inputs.Held,
    job: options.PictureJob,
    out: Out = None,
    layers: Layers = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Parts of which each is held out once.")] = 5,
    grid: Annotated[int, typer.Option("--grid", min=1, help="Cells per axis that feature maps are averaged to.")] = 2,
    l2_penalty: Annotated[float, typer.Option("--l2-penalty", help="On the classifier's squared weights.")] = 1.0,
    seed: options.Seed = 0,
) -> None:
    """Put the features of every layer into a linear classifier of another task."""
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, folder, network.weights])
    classes = class_folders(folder)
    loaded = network.load(model)
    batch, labels = labelled(loaded, classes)
    from unconv.visualize.experiments.transfer import transfer as run

    found = run(
        loaded,
        batch,
        labels,
        options.layer_names(layers, loaded.module),
        grid=grid,
        folds=folds,
        l2_penalty=l2_penalty,
        seed=seed,
        **held.read(),
    )
    if out is not None:
        from unconv.visualize.experiments.figures.curves import plot_transfer

        write_figure(plot_transfer(found), out)
    mean_of, spread = found.accuracy.mean(1).tolist(), found.accuracy.std(1, correction=0).tolist()
    if job.json:
        tell_json(
            notes=list(loaded.notes),
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
    tell_notes(loaded.notes)
