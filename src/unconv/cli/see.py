"""``unconv see``: what the units of a network see in some pictures, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import models
from unconv.cli.outputs import Folder, check_outputs
from unconv.cli.skipped import tell_skipped
from unconv.errors import UnconvError

if TYPE_CHECKING:
    from unconv.visualize.report.page import Report

EXAMPLES = """[bold]Examples[/]

unconv see efficientnet-lite0 photos/

unconv see torchvision:vgg16 photos/ --scan top.safetensors --layers all --units all -o report

unconv see net.py:build photos/ --weights net.safetensors --size 96 --mean 0.5 --std 0.25

unconv see net.py:build photos/ --weights late.safetensors --compare early.safetensors"""

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def see(
    model: models.Model,
    images: Annotated[list[str], typer.Argument(help="Picture files and folders, or one .tar of pictures.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for index.html and report.json.")] = Path("report"),
    layers: Annotated[
        str | None, typer.Option("--layers", help="Layers, joined by commas; all; five over the depth unless given.")
    ] = None,
    units: Annotated[
        str | None,
        typer.Option("--units", help="How many of each layer, strongest first; all; or which: 3,17 (3, for one)."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Places shown of each unit.")] = 9,
    scan: Annotated[Path | None, typer.Option("--scan", help="What unconv scan found in the same pictures.")] = None,
    compare: Annotated[
        str | None, typer.Option("--compare", help="Another MODEL, or a file of other weights; units are matched.")
    ] = None,
    fidelity: Annotated[
        str,
        typer.Option("--fidelity", help="Of how many units of each layer it is measured (they cost 7 others); all."),
    ] = "2",
    rule: models.RuleOrAuto = "auto",
    formats: Annotated[str, typer.Option("--format", help="html, png, pdf, joined by commas.")] = "html",
    weights: models.Weights = None,
    random_weights: models.RandomWeights = False,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace others' files in the folder that have the names of a report's.")
    ] = False,
    single_file: Annotated[bool, typer.Option("--single-file", help="Put the pictures into the page.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Show what the units of a network are strongest for: patches and projections, over pictures and one by one."""
    names, chosen = layer_names(layers), unit_choice(units)
    measured = int(fidelity) if fidelity.isascii() and fidelity.isdigit() else fidelity
    from unconv.visualize.report.files import NAMES

    check_outputs([Folder("--out", out, NAMES, force)], [model, *images, weights, scan, compare])
    loaded = models.load(model, weights, random_weights, size, mean, std)
    other = None
    if compare is not None:
        file = Path(compare) if compare.endswith(WEIGHTS) else None
        again = model if file is not None else compare
        other = models.load(again, file, random_weights and file is None, size, mean, std)
    from unconv.jobs import bar
    from unconv.visualize.report.page import to_json
    from unconv.visualize.report.see import see as run

    report = run(
        loaded,
        images,
        names,
        out,
        rule=rule,
        units=None if isinstance(chosen, int) else chosen,
        top_units=chosen if isinstance(chosen, int) else None,
        single_file=single_file,
        progress=bar(),
        scan=scan,
        top=top,
        compare=other,
        formats=models.names(formats) or (),
        fidelity=measured,
        force=force,
    )
    tell_skipped(report.skipped)
    if json:
        typer.echo(to_json(report.numbers))
        return
    tell(report)


def layer_names(text: str | None) -> list[str] | str | None:
    """Layers joined by commas, or all.

    >>> layer_names("conv1, conv2"), layer_names("all"), layer_names(None)
    (['conv1', 'conv2'], 'all', None)
    """
    return text if text == "all" else models.names(text)


def unit_choice(text: str | None) -> int | str | list[int] | None:
    """How many units, which, or all.

    >>> unit_choice("12"), unit_choice("3,17"), unit_choice("3,"), unit_choice("all"), unit_choice(None)
    (12, [3, 17], [3], 'all', None)
    """
    if text is None or text == "all":
        return text
    parts = models.names(text) or []
    if not parts or not all(part.isascii() and part.isdigit() for part in parts):
        raise UnconvError(f"--units {text!r}: give a number, indices joined by commas, or all")
    return [int(part) for part in parts] if "," in text else int(text)


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
    for note in numbers["notes"]:
        typer.echo(f"note: {note}")
    for path in report.files or (report.path,):
        typer.echo(f"wrote {path}")
