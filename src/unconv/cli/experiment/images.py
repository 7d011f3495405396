"""``unconv experiment`` with changed pictures: occlusion, correspondence, invariance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unconv.cli import inputs, options, spelling
from unconv.cli.experiment.input import normalised, parts_file, pictures, target_of
from unconv.cli.experiment.output import ENDINGS, Layers, Out, tell_json
from unconv.cli.notes import tell_notes
from unconv.cli.outputs import File, check_outputs, write_figure

OCCLUSION = (
    "unconv experiment occlusion efficientnet-lite0 cat.jpg -o occlusion.png",
    "unconv experiment occlusion torchvision:vgg16 cat.jpg --target 281 --square 48",
    "unconv experiment occlusion net.py:build cat.jpg --stride 8 --fill 0.5 --json",
)
OCCLUSION_RENAMED = {"--step": "--stride", "--grey": "--fill"}

CORRESPONDENCE = ("unconv experiment correspondence efficientnet-lite0 dogs/ --parts parts.json",)

INVARIANCE = (
    "unconv experiment invariance efficientnet-lite0 cat.jpg --transform rotation",
    "unconv experiment invariance zfnet-28 a.png --transform scale --values 1,1.5,2",
)


def occlusion(
    model: options.Model,
    image: options.Image,
    network: options.Network,
    held: inputs.Held,
    job: options.PictureJob,
    out: Out = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Class: its index or name; the most probable unless given.")
    ] = None,
    output: options.Output = "auto",
    layer: Annotated[str | None, options.layer("the last with a grid")] = None,
    square: Annotated[
        str | None,
        typer.Option("--square", help="Its size: 64 or 48x64.", show_default="a quarter of the shorter side"),
    ] = None,
    stride: Annotated[str | None, options.stride("a quarter of the square")] = None,
    fill: Annotated[
        str | None,
        typer.Option("--fill", help="Its brightness: 0.5 or 0.48,0.45,0.40.", show_default="the mean colour"),
    ] = None,
) -> None:
    """Slide a grey square over a picture: what does the network still make of it?"""
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, image, network.weights])
    sides = spelling.sides("--square", square), spelling.sides("--stride", stride)
    shade = spelling.numbers("--fill", fill)
    loaded = network.load(model)
    batch, shown, _ = pictures(loaded, [str(image)], 1)
    from unconv.visualize.experiments.occlusion.sensitivity import occlusion as run

    maps = run(
        loaded,
        batch,
        target_of(target),
        layer,
        output=output,  # type: ignore[arg-type]
        square=sides[0],
        stride=sides[1],
        fill=0.0 if shade is None else normalised(loaded, shade),
        **held.read(),
    )
    row, column = divmod(int(maps.followed.argmin()), maps.followed.shape[1])
    if out is not None:
        from unconv.visualize.experiments.figures.occlusion import plot_occlusion

        write_figure(plot_occlusion(maps, shown[0]), out)
    if job.json:
        names = ("probability", "score", "activation", "label")
        tell_json(
            notes=list(loaded.notes),
            target=maps.target,
            target_name=maps.target_name,
            layer=maps.layer,
            unit=maps.unit,
            square=list(maps.square),
            stride=list(maps.stride),
            rows=[list(interval) for interval in maps.rows],
            columns=[list(interval) for interval in maps.columns],
            **{name: getattr(maps, name).tolist() for name in names},
            **{f"clean_{name}": getattr(maps, f"clean_{name}") for name in names},
            names={str(label): name for label, name in maps.names.items()},
            computed=maps.computed,
            output=maps.output,
        )
        return
    least = float(maps.followed.min())
    typer.echo(f"{maps.target_name}: {maps.clean_followed:.3f} without square; {maps.followed.numel()} places")
    typer.echo(f"least {least:.3f} with it at rows {_span(maps.rows[row])}, columns {_span(maps.columns[column])}")
    if maps.probable:
        others = int((maps.label != maps.clean_label).sum())
        typer.echo(f"another class than {maps.names[maps.clean_label]} is the most probable at {others} places")
    typer.echo(f"outputs read as {spelling.in_shell(maps.output)}")
    tell_notes(loaded.notes)


def correspondence(
    model: options.Model,
    images: options.Images,
    network: options.Network,
    held: inputs.Held,
    job: options.PictureJob,
    parts: Annotated[Path, typer.Option("--parts", help="JSON: part, picture, box (top, left, height, width).")],
    out: Out = None,
    layers: Layers = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Sets of random boxes.")] = 20,
    seed: options.Seed = 0,
) -> None:
    """Cover the same part in several pictures: do their features change alike?

    parts.json: {"left eye": {"a.jpg": [60, 90, 30, 40], "b.jpg": [50, 80, 30, 40]}}

    Boxes are top, left, height, width, in pixels of the picture as the network sees it (224 x 224, often).
    """
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, *images, parts, network.weights])
    loaded = network.load(model)
    batch, _, names = pictures(loaded, images, 2)
    from unconv.visualize.experiments.correspondence import correspondence as run

    found = run(
        loaded,
        batch,
        parts_file(parts, names),
        options.layer_names(layers, loaded.module),
        draws=draws,
        seed=seed,
        **held.read(),
    )
    if out is not None:
        from unconv.visualize.experiments.figures.curves import plot_correspondence

        write_figure(plot_correspondence(found), out)
    if job.json:
        tell_json(
            notes=list(loaded.notes),
            images=names,
            draws=draws,
            layers={
                layer: {
                    one.part: {"mean": one.mean, "deviation": one.deviation, "total": one.total} for one in parts_of
                }
                for layer, parts_of in found.parts.items()
            },
        )
        return
    for layer, figures in found.parts.items():
        told = ", ".join(f"{one.part} {one.mean:.3f} ± {one.deviation:.3f}" for one in figures)
        typer.echo(f"{layer}: {told}")
    tell_notes(loaded.notes)


def invariance(
    model: options.Model,
    images: options.Images,
    network: options.Network,
    held: inputs.Held,
    job: options.PictureJob,
    out: Out = None,
    transform: Annotated[str, typer.Option("--transform", help="translation, scale or rotation.")] = "translation",
    values: Annotated[
        str | None, typer.Option("--values", help="Pixels down, factors or degrees, joined by commas.")
    ] = None,
    layers: Layers = None,
    output: options.Output = "auto",
) -> None:
    """Move, enlarge or turn pictures: how far do features and probabilities move?"""
    check_outputs([File("--out", out, ENDINGS, figure=True)], [model, *images, network.weights])
    chosen = spelling.numbers("--values", values)
    loaded = network.load(model)
    batch, _, names = pictures(loaded, images, 1)
    from unconv.visualize.experiments.invariance import invariance as run

    found = run(
        loaded,
        batch,
        transform,
        chosen,
        options.layer_names(layers, loaded.module),
        output=output,  # type: ignore[arg-type]
        **held.read(),
    )
    if out is not None:
        from unconv.visualize.experiments.figures.curves import plot_invariance

        write_figure(plot_invariance(found), out)
    if job.json:
        tell_json(
            notes=list(loaded.notes),
            transform=transform,
            values=list(found.values),
            images=names,
            distance={layer: found.distance[layer].tolist() for layer in found.layers},
            normalised={layer: found.normalised[layer].tolist() for layer in found.layers},
            classes=list(found.names),
            probability=found.probability.tolist(),
            score=found.score.tolist(),
            output=found.output,
        )
        return
    for layer in found.layers:
        mean_of = found.normalised[layer].nanmean(0)
        typer.echo(f"{layer}: normalised distance {float(mean_of.max()):.3f} at most, {float(mean_of.mean()):.3f} mean")
    curves = found.probability if found.probability.shape[1] else found.score
    for name, label, row in zip(names, found.names, curves, strict=False):
        typer.echo(f"{name}: {label} from {float(row.max()):.3f} down to {float(row.min()):.3f}")
    typer.echo(f"outputs read as {spelling.in_shell(found.output)}" if found.names else found.output)
    tell_notes(loaded.notes)


def _span(interval: tuple[int, int]) -> str:
    return f"{interval[0]} to {interval[1] - 1}"
