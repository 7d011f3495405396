"""Sheets of a generator's samples, and its kernels as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from math import ceil
from os import PathLike
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.files import write_whole
from unconv.models.dcgan import Generator, dcgan_form as dcgan_form
from unconv.operators.checkerboard import stride_pattern
from unconv.train.show.judge import noise, paint_samples

GAP = 1
BACKGROUND = 0.35
# Cells at the borders of an answer that are left out: fewer taps write them.
REACH = 4


def sheet(
    pictures: Float[Tensor, "count channels height width"], columns: int = 10
) -> Float[Tensor, "channels rows across"]:
    """Pictures in rows, with a line of grey between them.

    >>> sheet(torch.zeros(5, 1, 8, 8), columns=3).shape
    torch.Size([1, 19, 28])
    """
    if not len(pictures) or columns < 1:
        raise UnconvError(f"sheet: {len(pictures)} pictures in {columns} columns; give 1 or more of both")
    columns = min(columns, len(pictures))
    rows = ceil(len(pictures) / columns)
    missing = rows * columns - len(pictures)
    full = torch.cat([pictures, pictures.new_full((missing, *pictures.shape[1:]), BACKGROUND)])
    tiles = F.pad(full, (0, GAP, 0, GAP), value=BACKGROUND)
    whole = tiles.reshape(rows, columns, *tiles.shape[1:]).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
    return F.pad(whole, (GAP, 0, GAP, 0), value=BACKGROUND)


def stacked(sheets: Sequence[Float[Tensor, "channels rows across"]]) -> Float[Tensor, "channels rows across"]:
    """Sheets above each other, with a few lines between; narrower ones are filled up on the right.

    >>> stacked([torch.zeros(1, 19, 28), torch.zeros(1, 10, 28)]).shape
    torch.Size([1, 32, 28])
    """
    width = max(part.shape[2] for part in sheets)
    parts = [
        F.pad(part, (0, width - part.shape[2], 3 * GAP if n else 0, 0), value=BACKGROUND)
        for n, part in enumerate(sheets)
    ]
    return torch.cat(parts, 1)


def samples_sheet(generator: nn.Module, count: int = 100, seed: int = 0, columns: int = 10) -> Tensor:
    """Samples of a generator, and below them two rows between two latents each.

    Along a row the latent moves in equal steps on a straight line, as in figure 4 of Radford et al. (2015): where the
    pictures jump, the generator has learned single pictures by heart.

    >>> samples_sheet(Generator(dcgan_form("dcgan-32", "4")).eval(), count=20).shape
    torch.Size([1, 137, 331])
    """
    ends = noise(4, seed + 1)
    between = [torch.lerp(ends[n], ends[n + 1], torch.linspace(0, 1, columns)[:, None]) for n in (0, 2)]
    parts = [noise(count, seed), torch.cat(between)]
    return stacked([sheet(paint_samples(generator, latents), columns) for latents in parts])


def kernels(layer: nn.Module, channels: int) -> Float[Tensor, "channels out height width"]:
    """What one cell of each input map paints, at twice the size: the kernels, whatever kind of layer doubles it.

    Args:
        layer: doubles the size, without biases.
        channels: how many maps it takes.

    >>> layer = nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1, bias=False)
    >>> torch.equal(kernels(layer, 3)[..., 1:5, 1:5], layer.weight)
    True
    """
    return _answers(layer, channels, F.pad(torch.ones(1, 1), [1] * 4))


def kernel_sheet(generator: Generator, columns: int = 8) -> Float[Tensor, "channels rows across"]:
    """The kernels that paint the picture, those of the last doubling: grey is zero, white the largest weight.

    >>> kernel_sheet(Generator(dcgan_form("dcgan-32", "resize:4")), columns=2).shape
    torch.Size([1, 15, 15])
    """
    drawn = kernels(generator.layers.get_submodule(f"up{generator.form.doublings}"), generator.form.maps[-1])
    largest = drawn.abs().amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(drawn.dtype).tiny)
    return sheet(drawn / largest / 2 + 0.5, columns)


def pattern_scores(generator: Generator) -> dict[str, float]:
    """The checkerboard score of each layer that doubles the size: what a constant input has of a pattern, 0 to 1.

    For transposed and sub-pixel convolutions it is that of :func:`~unconv.operators.checkerboard.checkerboard_score`
    and :func:`~unconv.operators.checkerboard.subpixel_score`; measured, it is defined for all.

    >>> pattern_scores(Generator(dcgan_form("dcgan-32", "resize:4")))["up3"] < 1e-6
    True
    """
    scores = {}
    for number, channels in enumerate(generator.form.maps, start=1):
        layer = generator.layers.get_submodule(f"up{number}")
        inner = slice(REACH, -REACH)
        answers = _answers(layer, channels, torch.ones(REACH + 2, REACH + 2))
        scores[f"up{number}"] = stride_pattern(answers[..., inner, inner], 2)
    return scores


def _answers(layer: nn.Module, channels: int, cells: Tensor) -> Tensor:
    """What a layer makes of the same cells in one of its input maps, for each map."""
    weight = next(layer.parameters())
    answers = []
    with torch.inference_mode():
        for part in torch.split(torch.eye(channels, dtype=weight.dtype, device=weight.device), 64):
            answers.append(layer(part[..., None, None] * cells.to(weight)).float().cpu())
    return torch.cat(answers)


def save_picture(picture: Float[Tensor, "channels height width"], path: str | PathLike[str], scale: int = 1) -> Path:
    """Write a picture in [0, 1] as PNG, each pixel ``scale`` pixels wide.

    Raises UnconvError for a file of another kind, and where the place cannot be written to.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() != ".png":
        raise UnconvError(f"sheet {path}: files end in .png")
    levels = picture.mul(255).round().to(torch.uint8).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    image = Image.fromarray((levels[0] if len(levels) == 1 else levels.permute(1, 2, 0)).contiguous().numpy())
    stream = BytesIO()
    image.save(stream, "PNG")
    return write_whole(path, stream.getvalue())
