"""``unconv scan``: where in a collection of pictures every unit of a network is strongest."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import inputs, options
from unconv.cli.notes import tell_notes
from unconv.cli.outputs import WEIGHTS, File, Folder, check_outputs
from unconv.cli.skipped import tell_skipped
from unconv.errors import UnconvError

if TYPE_CHECKING:
    from unconv.visualize.scan.top_activations import TopActivations

EXAMPLES = (
    "unconv scan efficientnet-lite0 photos/ -o top.safetensors",
    "unconv scan torchvision:vgg16 photos/ --layers features.14 --top 16",
    "unconv scan torchvision:resnet50 shard-0.tar --checkpoint run",
)
RENAMED = {"--batch": "--batch-size", "--bfloat16": "--precision bfloat16"}
# torch's names of precisions.
PRECISIONS = ("float32", "bfloat16", "float16")


def scan(
    model: options.Model,
    images: options.Images,
    network: options.Network,
    held: inputs.Held,
    job: options.PictureJob,
    out: Annotated[Path, options.out("What is found, as .safetensors.")] = Path("top.safetensors"),
    layers: Annotated[str | None, options.layers("every convolution")] = None,
    top: options.Top = 9,
    per_image: Annotated[int, typer.Option("--per-image", min=1, help="How many of them one picture may hold.")] = 1,
    batch_size: options.BatchSize = 32,
    precision: options.Precision = "float32",
    device: options.Device = "auto",
    checkpoint: options.Checkpoint = None,
) -> None:
    """Find the pictures and places at which every unit is strongest, in one pass over any number of pictures."""
    check_outputs([File("--out", out, WEIGHTS), Folder("--checkpoint", checkpoint)], [model, *images, network.weights])
    if precision not in PRECISIONS:
        raise UnconvError(f"--precision {precision!r} is unknown; it is {', '.join(PRECISIONS)}")
    loaded = network.load(model)
    import torch

    chosen = options.layer_names(layers, loaded.module)
    loaded.module.to(options.device_for(device))

    from unconv.jobs import bar
    from unconv.visualize.scan.scan import scan as run

    start = time.perf_counter()
    found = run(
        loaded,
        images[0] if len(images) == 1 else images,
        chosen,
        top,
        per_image=per_image,
        batch_size=batch_size,
        dtype=None if precision == "float32" else getattr(torch, precision),
        checkpoint=checkpoint,
        progress=bar(),
        **held.read(),
    )
    seconds = time.perf_counter() - start
    found.save(out)
    tell(found, loaded.notes, out, seconds, job.json)


def tell(found: TopActivations, notes: tuple[str, ...], out: Path, seconds: float, json: bool) -> None:
    """What has come out, on stdout; what was left out, on stderr."""
    tell_skipped(found.skipped)
    units = sum(len(table) for table in found.values.values())
    dead = {layer: len(found.dead(layer)) for layer in found.layers}
    if json:
        told = {
            "pictures": found.count,
            "skipped": [str(item) for item in found.skipped],
            "layers": {layer: {"units": len(found.values[layer]), "dead": dead[layer]} for layer in found.layers},
            "notes": list(notes),
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
    tell_notes(notes)
    typer.echo(f"wrote {out}")
