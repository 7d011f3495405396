"""``unconv scan``: where in a collection of pictures every unit of a network is strongest."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import models
from unconv.cli.outputs import WEIGHTS, File, Folder, check_outputs
from unconv.cli.skipped import tell_skipped

if TYPE_CHECKING:
    from unconv.visualize.scan.top_activations import TopActivations

EXAMPLES = """[bold]Examples[/]

unconv scan efficientnet-lite0 photos/ -o top.safetensors

unconv scan torchvision:vgg16 photos/ --layers features.14,features.28 --top 16

unconv scan torchvision:resnet50 shard-000.tar --checkpoint run    (again to resume)"""


def scan(
    model: models.Model,
    images: Annotated[list[str], typer.Argument(help="Picture files and folders, or one .tar of pictures.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="What is found, as .safetensors.")] = Path("top.safetensors"),
    layers: Annotated[
        str | None, typer.Option("--layers", help="Layers, joined by commas; every convolution unless given.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Places kept for each unit.")] = 9,
    per_image: Annotated[int, typer.Option("--per-image", min=1, help="How many of them one picture may hold.")] = 1,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pictures computed together.")] = 32,
    bfloat16: Annotated[bool, typer.Option("--bfloat16", help="Compute in bfloat16.")] = False,
    weights: models.Weights = None,
    random_weights: models.RandomWeights = False,
    size: models.Size = None,
    mean: models.Mean = None,
    std: models.Std = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Folder to resume from if killed; it is made.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Find the pictures and places at which every unit is strongest, in one pass over any number of pictures."""
    check_outputs([File("--out", out, WEIGHTS), Folder("--checkpoint", checkpoint)], [model, *images, weights])
    chosen = models.names(layers)
    loaded = models.load(model, weights, random_weights, size, mean, std)
    import torch

    from unconv.jobs import bar
    from unconv.visualize.scan.scan import scan as run

    start = time.perf_counter()
    found = run(
        loaded,
        images[0] if len(images) == 1 else images,
        chosen,
        top,
        per_image=per_image,
        batch_size=batch,
        dtype=torch.bfloat16 if bfloat16 else None,
        checkpoint=checkpoint,
        progress=bar(),
    )
    seconds = time.perf_counter() - start
    found.save(out)
    tell(found, out, seconds, json)


def tell(found: TopActivations, out: Path, seconds: float, json: bool) -> None:
    """What has come out, on stdout; what was left out, on stderr."""
    tell_skipped(found.skipped)
    units = sum(len(table) for table in found.values.values())
    dead = {layer: len(found.dead(layer)) for layer in found.layers}
    if json:
        told = {
            "pictures": found.count,
            "skipped": [str(item) for item in found.skipped],
            "layers": {layer: {"units": len(found.values[layer]), "dead": dead[layer]} for layer in found.layers},
            "seconds": round(seconds, 3),
            "out": str(out),
        }
        typer.echo(json_format.dumps(told, ensure_ascii=False))
        return
    typer.echo(
        f"{found.count - len(found.skipped)} pictures, {len(found.layers)} layers, {units} units in {seconds:.1f} s"
    )
    never = sum(dead.values())
    if never:
        typer.echo(f"{never} units are above zero in none of them")
    typer.echo(f"wrote {out}")
