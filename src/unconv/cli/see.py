"""``unconv see``: what the units of a network see in some pictures, as a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import inputs, options, spelling
from unconv.cli.notes import tell_notes
from unconv.cli.outputs import Folder, check_outputs
from unconv.cli.skipped import tell_skipped

if TYPE_CHECKING:
    from unconv.visualize.report.page import Report

EXAMPLES = (
    "unconv see efficientnet-lite0 photos/",
    "unconv see torchvision:vgg16 photos/ --layers features.14 --units 17,42",
    "unconv see torchvision:vgg16 photos/ --scan top.safetensors --layers all",
    "unconv see net.py:build photos/ --weights w.pt --size 96 --mean 0.5",
    "unconv see net.py:build photos/ --weights late.pt --compare early.pt",
)
RENAMED = {"--format": "--formats"}

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def see(
    model: options.Model,
    images: options.Images,
    network: options.Network,
    held: inputs.Held,
    job: options.PictureJob,
    out: Annotated[Path, options.out("Folder for index.html and report.json.")] = Path("report"),
    layers: Annotated[str | None, options.layers("five over the depth")] = None,
    units: options.Units = None,
    top_units: Annotated[int | None, options.top_units("16, and 4 in single pictures")] = None,
    top: options.Top = 9,
    scan: Annotated[Path | None, typer.Option("--scan", help="What unconv scan found in the same pictures.")] = None,
    compare: Annotated[
        str | None, typer.Option("--compare", help="Another MODEL, or a file of other weights; units are matched.")
    ] = None,
    fidelity: Annotated[
        str, typer.Option("--fidelity", help="Of how many units of each layer it is measured, or all; each costs 7.")
    ] = "2",
    rule: options.RuleOrAuto = "auto",
    output: options.Output = "auto",
    bands: Annotated[
        str | None, typer.Option("--bands", help="Channels that are shown, from 0: 3,2,1, or one.", show_default="all")
    ] = None,
    slice: Annotated[
        int | None,
        typer.Option(
            "--slice", min=0, help="Slice that is shown of clips and volumes, from 0.", show_default="the strongest"
        ),
    ] = None,
    formats: Annotated[str, typer.Option("--formats", help="html, png, pdf, joined by commas.")] = "html",
    single_file: Annotated[bool, typer.Option("--single-file", help="Put the pictures into the page.")] = False,
    force: options.Force = False,
) -> None:
    """Show what the units of a network are strongest for: patches and projections, over pictures and one by one."""
    names, chosen = layer_names(layers), options.unit_choice(units, top_units)
    measured = int(fidelity) if fidelity.isascii() and fidelity.isdigit() else fidelity
    from unconv.visualize.report.files import NAMES

    check_outputs([Folder("--out", out, NAMES, force)], [model, *images, network.weights, scan, compare])
    loaded = network.load(model)
    other = None
    if compare is not None:
        file = Path(compare) if compare.endswith(WEIGHTS) else None
        again = replace(network, weights=file, random_weights=network.random_weights and file is None)
        other = again.load(compare if file is None else model)
    from unconv.jobs import bar
    from unconv.models.load.transforms import read_transform
    from unconv.visualize.report.page import to_json
    from unconv.visualize.report.see import see as run
    from unconv.visualize.scan.top_activations import TopActivations

    # Where the shell says no other, the transform of the scan is taken.
    told = network.size is not None or network.mean is not None or network.std is not None
    found = None if scan is None else TopActivations.load(scan)
    transform = None if found is None or told else read_transform(str(found.about.get("preprocess")))
    if other is not None and transform is not None:
        other = replace(other, preprocess=transform)
    report = run(
        loaded,
        images,
        names,
        out,
        rule=rule,  # type: ignore[arg-type]
        units=chosen,
        top_units=top_units,
        single_file=single_file,
        progress=bar(),
        scan=found,
        transform=transform,
        top=top,
        compare=other,
        formats=spelling.names(formats) or (),  # type: ignore[arg-type]
        fidelity=measured,
        force=force,
        output=output,  # type: ignore[arg-type]
        bands=spelling.indices("--bands", bands),
        slice=slice,
        **held.read(),
    )
    tell_skipped(report.skipped)
    if job.json:
        typer.echo(to_json(report.numbers))
        return
    tell(report)


def layer_names(text: str | None) -> list[str] | str | None:
    """Layers joined by commas, or all.

    >>> layer_names("conv1, conv2"), layer_names("all"), layer_names(None)
    (['conv1', 'conv2'], 'all', None)
    """
    return text if text == "all" else spelling.names(text)


def tell(report: Report) -> None:
    """A line or two on stdout."""
    from unconv.explain.captions import counted

    numbers = report.numbers
    collection = numbers["collection"]
    pictures = counted(collection["used"] if collection else len(report.pictures), "picture")
    looked_into = counted(len(report.layers), "layer")
    typer.echo(f"{pictures}, {looked_into}, rule {report.rule} ({numbers['rule_reason']})")
    if collection:
        units, dead, redundant = (
            sum(len(layer[key]) for layer in collection["layers"]) for key in ("units", "dead", "redundant")
        )
        every = sum(layer["count"] for layer in collection["layers"])
        typer.echo(f"{units} of {every} units shown; of all, {dead} dead, {redundant} redundant")
    for layer in (numbers["compare"] or {"layers": []})["layers"]:
        died, born = len(layer["died"]), len(layer["born"])
        typer.echo(f"{layer['layer']}: {layer['same']} same, {layer['changed']} changed, {died} died, {born} born")
    tell_notes(numbers["notes"])
    for path in report.files or (report.path,):
        typer.echo(f"wrote {path}")
