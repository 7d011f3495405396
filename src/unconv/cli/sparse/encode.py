"""``unconv encode``: pictures as sparse codes of a dictionary."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from unconv.choices import Boundary
from unconv.cli import options
from unconv.cli.completion import complete_words
from unconv.cli.outputs import WEIGHTS, File, check_outputs, write_figure
from unconv.cli.sparse import options as pictures
from unconv.errors import SparseError

EXAMPLES = (
    "unconv encode cat.jpg -o codes.safetensors --plot codes.png",
    "unconv encode photos/ -d dictionary.safetensors --penalty 0.02 --json",
)


def encode(
    images: options.Images,
    job: options.PictureJob,
    out: Annotated[Path, options.out("The codes, as .safetensors.")] = Path("codes.safetensors"),
    dictionary: options.Dictionary = None,
    penalty: options.Penalty = "0.05",
    boundary: Annotated[
        str, typer.Option("--boundary", help="crop, valid or circular.", autocompletion=complete_words(Boundary))
    ] = "crop",
    nonnegative: Annotated[bool, typer.Option("--nonnegative", help="Codes of at least 0 only.")] = False,
    low_pass: options.LowPass = 5.0,
    tol: Annotated[float, typer.Option("--tol", help="Relative duality gap to reach.")] = 1e-3,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=0, help="Steps of the solver; until the gap is reached.")
    ] = None,
    plot: Annotated[Path | None, options.plot("the most used maps of the first picture")] = None,
) -> None:
    """Write the detail of pictures as sums of few kernels: which, where, and how much of each."""
    check_outputs([File("--out", out, WEIGHTS), File("--plot", plot, figure=True)], [*images, dictionary])
    wanted = pictures.penalty(penalty)
    from unconv.sparse.code.encode import encode as run
    from unconv.sparse.learn.dictionaries import dictionary_for
    from unconv.sparse.restore.details import detail_of

    kernels = dictionary_for(dictionary, 3, 2, "encode")
    if kernels.shape[1] not in (1, 3):
        raise SparseError(f"encode: dictionary of {kernels.shape[1]} channels; pictures have 1 or 3")
    found = pictures.pictures(images, "grey" if kernels.shape[1] == 1 else "rgb")
    details = [detail_of(image.tensor, low_pass) for image in found]
    encoding = run(  # type: ignore[call-overload]
        details,
        kernels,
        wanted,
        boundary=boundary,
        nonnegative=nonnegative,
        tol=tol,
        max_steps=max_steps,
        progress=len(found) > 1,
    )
    encoding.save(out)
    if plot is not None:
        from unconv.sparse.plots.codes import plot_codes

        write_figure(plot_codes(encoding, image=found[0].tensor), plot)
    rows = [
        {"picture": image.name, "objective": objective, "gap": gap, "nonzeros": len(values), "converged": converged}
        for image, objective, gap, (_, values), converged in zip(
            found,
            encoding.objective.tolist(),
            encoding.gap.tolist(),
            encoding.nonzeros,
            encoding.converged.tolist(),
            strict=True,
        )
    ]
    if job.json:
        typer.echo(json_format.dumps({"codes": str(out), "density": encoding.density, "pictures": rows}))
        return
    for row in rows:
        typer.echo(
            f"{row['picture']}: {row['nonzeros']} non-zeros, objective {row['objective']:.6g}, gap {row['gap']:.1e}"
        )
    typer.echo(f"wrote {out} (density {encoding.density:.2e})")
