"""``unconv inpaint``: a picture with its missing pixels filled in."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import Annotated

import typer

from unconv.cli.outputs import File, check_outputs
from unconv.cli.sparse import options as pictures
from unconv.errors import SparseError

EXAMPLES = """[bold]Examples[/]

unconv inpaint scratched.png -o whole.png --mask mask.png          (white is known, black is missing)

unconv inpaint scratched.png -o whole.png --mask mask.png --white-is-missing

unconv inpaint painted_over.png -o whole.png --colour '#ff00ff'"""


def inpaint(
    image: Annotated[Path, typer.Argument(help="A picture.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The completed picture.")],
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Picture of the same size: white is known, black is missing.")
    ] = None,
    white_is_missing: Annotated[
        bool, typer.Option("--white-is-missing", help="Read the mask the other way round.")
    ] = False,
    colour: Annotated[
        str | None, typer.Option("--colour", "--color", help="What missing pixels are painted in: '#ff00ff'.")
    ] = None,
    tolerance: Annotated[float, typer.Option("--tolerance", help="How far off that colour may be, in [0, 1].")] = 0.02,
    penalty: Annotated[str, typer.Option("--penalty", help="Sparsity; 0.02 suits most pictures.")] = "0.02",
    smooth_known: Annotated[
        bool, typer.Option("--smooth-known", help="Rebuild the known pixels too, instead of keeping them.")
    ] = False,
    dictionary: Annotated[
        str | None, typer.Option("-d", "--dictionary", help="grey-8x8x64, colour-8x8x64 or a file.")
    ] = None,
    turns: Annotated[int, typer.Option("--turns", min=1, max=4, help="More is better and slower.")] = 2,
    compare: Annotated[Path | None, typer.Option("--compare", help="Picture of before and after.")] = None,
    reference: Annotated[Path | None, typer.Option("--reference", help="The true picture, to measure against.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Fill in pixels of a picture that are missing, scratched or painted over."""
    check_outputs(
        [File("--out", out, pictures.PICTURES), File("--compare", compare, figure=True)],
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
        known = mask_from_colour(spoilt.tensor, shade, tolerance)
    start = time.perf_counter()
    result = run(spoilt.tensor, known, dictionary, penalty=wanted, keep_known=not smooth_known, turns=turns)
    numbers = {"seconds": time.perf_counter() - start, "missing": float((~known).float().mean())}
    filled = result.image.clamp(0, 1)
    shown = spoilt.tensor.where(known, 1.0)
    numbers |= pictures.compare(shown, filled, reference, compare, ("given", "inpainted", "reference"))
    save_image(filled, out)
    if json:
        typer.echo(json_format.dumps(numbers))
        return
    typer.echo(f"{numbers['missing']:.1%} of the pixels missing")
    pictures.tell(numbers)
    typer.echo(f"wrote {out}")
