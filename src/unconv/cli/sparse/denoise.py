"""``unconv denoise``: a picture without its noise."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import Annotated

import typer

from unconv.cli.outputs import File, check_outputs
from unconv.cli.sparse import options as pictures

EXAMPLES = """[bold]Examples[/]

unconv denoise noisy.png -o clean.png --compare before_after.png

unconv denoise noisy.png -o clean.png --sigma 0.1

unconv denoise salt_and_pepper.png -o clean.png --noise impulse"""


def denoise(
    image: Annotated[Path, typer.Argument(help="A picture.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The restored picture.")],
    sigma: Annotated[
        float | None, typer.Option("--sigma", help="Standard deviation of the noise, white being 1; else estimated.")
    ] = None,
    noise: Annotated[str, typer.Option("--noise", help="gaussian or impulse (salt and pepper).")] = "gaussian",
    dictionary: Annotated[
        str | None, typer.Option("-d", "--dictionary", help="grey-8x8x64, colour-8x8x64 or a file.")
    ] = None,
    turns: Annotated[int, typer.Option("--turns", min=1, max=4, help="More is better and slower.")] = 2,
    compare: Annotated[Path | None, typer.Option("--compare", help="Picture of before and after.")] = None,
    reference: Annotated[Path | None, typer.Option("--reference", help="The true picture, to measure against.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Take Gaussian or impulse noise out of a picture."""
    check_outputs(
        [File("--out", out, pictures.PICTURES), File("--compare", compare, figure=True)],
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
    numbers |= pictures.compare(noisy.tensor, restored, reference, compare, ("noisy", "denoised", "reference"))
    save_image(restored, out)
    if json:
        typer.echo(json_format.dumps(numbers))
        return
    if result.impulses is not None:
        typer.echo(f"impulses: {numbers['impulses']:.1%} of the values")
    else:
        typer.echo("sigma " + ", ".join(f"{level:.4f}" for level in result.sigma.tolist()))
    pictures.tell(numbers)
    typer.echo(f"wrote {out}")
