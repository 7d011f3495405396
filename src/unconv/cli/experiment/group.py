"""``unconv experiment``: the experiments of Zeiler & Fergus (2013) on any network, as numbers and as a figure."""

from __future__ import annotations

import typer

from unconv.cli.experiment import images as images, weights as weights

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Experiments of Zeiler & Fergus (2013) on any network: numbers and figures.",
)
app.command(epilog=images.OCCLUSION)(images.occlusion)
app.command(epilog=images.CORRESPONDENCE)(images.correspondence)
app.command(epilog=images.INVARIANCE)(images.invariance)
app.command(epilog=weights.EVOLUTION)(weights.evolution)
app.command("first-layer", epilog=weights.FIRST_LAYER)(weights.first_layer)
app.command(epilog=weights.TRANSFER)(weights.transfer)
