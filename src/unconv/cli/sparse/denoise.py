"""``unconv denoise``: a picture without its noise."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import Annotated

import typer

from unconv.choices import Noise
from unconv.cli import options
from unconv.cli.completion import complete_words
from unconv.cli.outputs import File, check_outputs
from unconv.cli.sparse import options as pictures

EXAMPLES = (
    "unconv denoise noisy.png -o clean.png --plot before_after.png",
    "unconv denoise noisy.png -o clean.png --sigma 0.1",
    "unconv denoise salt_and_pepper.png -o clean.png --noise impulse",
)
RENAMED = {"--compare": "--plot"}


def denoise(
    image: options.Image,
    out: Annotated[Path, options.out("The restored picture.")],
    job: options.PictureJob,
    sigma: Annotated[
        float | None, typer.Option("--sigma", help="Standard deviation of the noise, white being 1; else estimated.")
    ] = None,
    noise: Annotated[
        str,
        typer.Option("--noise", help="gaussian or impulse (salt and pepper).", autocompletion=complete_words(Noise)),
    ] = "gaussian",
    dictionary: options.Dictionary = None,
    turns: pictures.Turns = 2,
    reference: pictures.Reference = None,
    plot: Annotated[Path | None, options.plot("before and after")] = None,
) -> None:
    """Take Gaussian or impulse noise out of a picture."""
    check_outputs(
        [File("--out", out, pictures.PICTURES), File("--plot", plot, figure=True)],
        [image, dictionary, reference],
    )
    from unconv.data.images import save_image
    from unconv.sparse.restore.denoise import denoise as run

    noisy = pictures.one_picture(image)
    start = time.perf_counter()
    result = run(noisy.tensor, dictionary, noise=noise, sigma=sigma, turns=turns)  # type: ignore[arg-type]
    numbers = {"seconds": time.perf_counter() - start, "sigma": result.sigma.tolist()}
    if result.impulses is not None:
        numbers["impulses"] = float(result.impulses.float().mean())
    restored = result.image.clamp(0, 1)
    numbers |= pictures.compare(noisy.tensor, restored, reference, plot, ("noisy", "denoised", "reference"))
    save_image(restored, out)
    if job.json:
        typer.echo(json_format.dumps(numbers))
        return
    if result.impulses is not None:
        typer.echo(f"impulses: {numbers['impulses']:.1%} of the values")
    else:
        typer.echo("sigma " + ", ".join(f"{level:.4f}" for level in result.sigma.tolist()))
    pictures.tell(numbers)
    typer.echo(f"wrote {out}")
