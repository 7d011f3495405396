"""``unconv inpaint``: a picture with its missing pixels filled in."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import Annotated

import typer

from unconv.cli import options
from unconv.cli.outputs import File, check_outputs
from unconv.cli.sparse import options as pictures
from unconv.errors import SparseError

EXAMPLES = (
    "unconv inpaint scratched.png -o whole.png --mask mask.png  # white is known",
    "unconv inpaint scratched.png -o whole.png --mask mask.png --white-is-missing",
    "unconv inpaint painted_over.png -o whole.png --colour '#ff00ff'",
)
RENAMED = {"--compare": "--plot", "--tolerance": "--colour-tolerance"}


def inpaint(
    image: options.Image,
    out: Annotated[Path, options.out("The completed picture.")],
    job: options.PictureJob,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Picture of the same size: white is known, black is missing.")
    ] = None,
    white_is_missing: Annotated[
        bool, typer.Option("--white-is-missing", help="Read the mask the other way round.")
    ] = False,
    colour: Annotated[
        str | None, typer.Option("--colour", "--color", help="What missing pixels are painted in: '#ff00ff'.")
    ] = None,
    colour_tolerance: Annotated[
        float, typer.Option("--colour-tolerance", help="How far off that colour may be, in [0, 1].")
    ] = 0.02,
    penalty: options.Penalty = "0.02",
    smooth_known: Annotated[
        bool, typer.Option("--smooth-known", help="Rebuild the known pixels too, instead of keeping them.")
    ] = False,
    dictionary: options.Dictionary = None,
    turns: pictures.Turns = 2,
    reference: pictures.Reference = None,
    plot: Annotated[Path | None, options.plot("before and after")] = None,
) -> None:
    """Fill in pixels of a picture that are missing, scratched or painted over."""
    check_outputs(
        [File("--out", out, pictures.PICTURES), File("--plot", plot, figure=True)],
        [image, mask, dictionary, reference],
    )
    wanted = pictures.penalty(penalty)
    if (mask is None) == (colour is None):
        raise SparseError("inpaint: say which pixels are missing: --mask FILE or --colour '#ff00ff', one of them")
    shade = None if colour is None else pictures.colour(colour)
    from unconv.data.images import save_image
    from unconv.sparse.restore.inpaint import inpaint as run, mask_from_colour, mask_from_file

    spoilt = pictures.one_picture(image, "keep" if shade is None else "rgb")
    if mask is not None:
        known = mask_from_file(mask, spoilt.size)
        known = ~known if white_is_missing else known
    elif shade is not None:
        known = mask_from_colour(spoilt.tensor, shade, colour_tolerance)
    start = time.perf_counter()
    result = run(spoilt.tensor, known, dictionary, penalty=wanted, keep_known=not smooth_known, turns=turns)
    numbers = {"seconds": time.perf_counter() - start, "missing": float((~known).float().mean())}
    filled = result.image.clamp(0, 1)
    shown = spoilt.tensor.where(known, 1.0)
    numbers |= pictures.compare(shown, filled, reference, plot, ("given", "inpainted", "reference"))
    save_image(filled, out)
    if job.json:
        typer.echo(json_format.dumps(numbers))
        return
    typer.echo(f"{numbers['missing']:.1%} of the pixels missing")
    pictures.tell(numbers)
    typer.echo(f"wrote {out}")
