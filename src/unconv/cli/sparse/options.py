"""Options of restoring pictures, and pictures in and out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from unconv.cli.outputs import write_figure
from unconv.cli.skipped import tell_skipped
from unconv.errors import SparseError

if TYPE_CHECKING:
    from torch import Tensor

    from unconv.data.arrays import Mode
    from unconv.data.images import Image

Turns: TypeAlias = Annotated[
    int, typer.Option("--turns", min=1, max=4, help="Turned copies of the dictionary: more is better and slower.")
]
Reference: TypeAlias = Annotated[Path | None, typer.Option("--reference", help="The true picture, to measure against.")]

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


def penalty(text: str) -> float | str:
    """A positive number, or a part of the largest penalty that has any effect.

    >>> penalty("0.05"), penalty("0.1max")
    (0.05, '0.1max')
    """
    try:
        return text if text.strip().endswith("max") else float(text)
    except ValueError:
        raise SparseError(f"--penalty {text!r} is not a number; write 0.05, or 0.1max for a part of the most") from None


def mode(text: str) -> Mode:
    """How pictures are read.

    >>> mode("grey")
    'grey'
    """
    if text == "rgb" or text == "grey":
        return "rgb" if text == "rgb" else "grey"
    raise SparseError(f"--mode {text!r} is not rgb or grey")


def colour(text: str) -> tuple[float, float, float]:
    """A colour as the web writes it, each channel in [0, 1].

    >>> colour("#ff0080"), colour("f0f")
    ((1.0, 0.0, 0.5019607843137255), (1.0, 0.0, 1.0))
    """
    digits = text.removeprefix("#")
    if not re.fullmatch(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", digits):
        raise SparseError(
            f"--colour {text!r} is not a colour; write #ff00ff or #f0f (and quote it: # begins a comment)"
        )
    pairs = [digit * 2 for digit in digits] if len(digits) == 3 else [digits[i : i + 2] for i in (0, 2, 4)]
    red, green, blue = (int(pair, 16) / 255 for pair in pairs)
    return red, green, blue


def one_picture(path: Path, mode: str = "keep") -> Image:
    """The picture in a file; what a reader should know of how it was read goes to stderr."""
    from unconv.data.images import read_images

    picture = read_images(path, mode=mode)[0]  # type: ignore[arg-type]
    for note in picture.notes:
        typer.echo(f"note: {picture.name}: {note}", err=True)
    return picture


def pictures(paths: list[str], mode: str) -> list[Image]:
    """All pictures of some files and folders; what could not be read is told on stderr."""
    from unconv.data.images import read_images

    found = read_images(paths, mode=mode)  # type: ignore[arg-type]
    tell_skipped(found.skipped)
    return list(found)


def compare(
    before: Tensor, after: Tensor, reference: Path | None, place: Path | None, names: tuple[str, str, str]
) -> dict[str, float]:
    """PSNR before and after where there is a true picture, and the picture of both where it is asked for."""
    from unconv.sparse.plots.results import plot_before_after, psnr

    truth = None
    told = {}
    if reference is not None:
        truth = one_picture(reference, "grey" if len(after) == 1 else "rgb").tensor
        if truth.shape != after.shape:
            raise SparseError(
                f"--reference {reference}: {truth.shape[2]}×{truth.shape[1]} pixels, the picture has "
                f"{after.shape[2]}×{after.shape[1]}"
            )
        told = {"psnr_before": psnr(before, truth), "psnr_after": psnr(after, truth)}
    if place is not None:
        write_figure(plot_before_after(before, after, truth, names=names), place)
    return told


def tell(numbers: dict[str, Any]) -> None:
    """PSNR, where it is known, and seconds."""
    if "psnr_after" in numbers:
        typer.echo(f"PSNR {numbers['psnr_before']:.2f} dB before, {numbers['psnr_after']:.2f} dB after")
    typer.echo(f"{numbers['seconds']:.1f} s")
