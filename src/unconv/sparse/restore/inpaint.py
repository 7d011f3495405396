"""Inpainting: missing pixels, filled in by what a dictionary makes of the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.choices import Boundary, Solver
from unconv.errors import SparseError
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.validate import as_float, as_image, as_tensor, kernel_channels
from unconv.sparse.learn.dictionaries import dictionary_for, opened
from unconv.sparse.restore.coding import Controls, code_in_turns
from unconv.sparse.restore.colour import planes_for, take_opacity
from unconv.sparse.restore.lowpass import bands_of, renamed_strength
from unconv.sparse.restore.restored import Restored
from unconv.sparse.types import DictionarySource, ImageLike, MaskLike, PenaltyLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Inpainted(Restored):
    """What :func:`inpaint` returns.

    Attributes:
        image: the completed image, of the shape given.
        known: which values were known.
        encodings: the codes of the detail, one a turn of the dictionary.
    """

    image: Float[Tensor, "channels ..."]
    known: Bool[Tensor, "channels ..."]
    encodings: tuple[Encoding, ...]

    def plot(self, clean: ImageLike | None = None) -> Figure:
        """Draw the known values, on white, beside the completed image, and a clean one where it is given, with PSNR.

        Raises MissingExtraError where matplotlib is not installed, SparseError where shapes differ.
        """
        known = torch.where(self.known, self.image, torch.nan)
        return self._beside({"known": known, "inpainted": self.image, "clean": clean})

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield from super()._facts()
        missing = int((~self.known).sum())
        yield "filled in", f"{missing:,} values of {self.known.numel():,}, {missing / self.known.numel():.1%}"


@tell_wrong_arguments
def inpaint(
    image: ImageLike,
    mask: MaskLike,
    dictionary: DictionarySource | None = None,
    *,
    penalty: PenaltyLike = 0.02,
    low_pass: float = 2.0,
    keep_known: bool = True,
    turns: int = 2,
    boundary: Boundary = "crop",
    tol: float = 1e-2,
    solver: Solver = "auto",
    threads: int | None = None,
    strength: float | None = None,
) -> Inpainted:
    """Fill in what is missing from an image.

    The slow part comes from the known pixels alone, ½‖W(x − s)‖² + (λ/2)Σ‖G x‖²; then the detail is coded with the same
    mask, ½‖W(s − x − D·z)‖² + λ‖z‖₁ (Heide, Heidrich & Wetzstein 2015), and x + D·z is the image, also where W = 0. The
    mean is taken over several turns of the dictionary, whose errors differ. Holes much larger than a kernel stay
    smooth.

    >>> image = torch.rand(1, 32, 32)
    >>> known = torch.rand(1, 32, 32) < 0.7
    >>> result = inpaint(torch.where(known, image, float("nan")), known, torch.randn(8, 1, 5, 5))
    >>> result.image.shape, bool((result.image[known] == image[known]).all()), bool(result.image.isfinite().all())
    (torch.Size([1, 32, 32]), True, True)

    Args:
        image: (C, H, W), or (C, T) for signals; uint8 counts as value / 255; anything, NaN too, where it is not known.
            Or a picture: a file, Pillow's, what ``read_images`` gives. The last of 2 or 4 channels of a picture is
            opacity and stays as it is.
        mask: W, broadcast against the image: 1 or True where a value is known, 0 where it is missing; between them a
            weight.
        dictionary: as for :func:`~unconv.sparse.restore.denoise.denoise`.
        penalty: as for :func:`~unconv.sparse.code.encode.encode`; 0.02 suits pictures in [0, 1].
        low_pass: strength of the low-pass, in pixels²; 0: none.
        keep_known: whether values of weight 1 stay exactly as they are; without it they become x + D·z too, which
            takes out a little noise.
        turns: by how many quarter turns of the dictionary, 1 to 4; time grows with it.
        boundary, tol, solver, threads: as for encode.
        strength: the name of ``low_pass`` before.

    Raises :class:`~unconv.errors.SparseError` for what does not fit together.
    """
    low_pass = renamed_strength("inpaint", low_pass, strength)
    controls = Controls(turns, boundary, tol, solver, threads)
    dictionary = opened(dictionary)
    picture = as_image(image, "inpaint", kernel_channels(dictionary))
    colour, opacity = take_opacity(picture)
    weight = _weight(mask, picture, colour)
    kernels = dictionary_for(dictionary, colour.shape[0], colour.ndim - 1, "inpaint")
    kernels = kernels.to(colour)
    known = torch.where(weight > 0, colour, 0)
    alike = weight.shape[0] == 1 or bool((weight == weight[:1]).all())
    planes = planes_for(known, kernels.shape[1], "inpaint", rotate=alike)
    weights = planes_for(weight[:1].expand_as(known) if alike else weight, kernels.shape[1], "inpaint", rotate=False)
    bands = [bands_of(plane, low_pass, own) for plane, own in zip(planes.stack, weights.stack, strict=True)]
    stack = torch.stack([each.detail for each in bands])
    encodings, detail = code_in_turns(stack, kernels, penalty, controls, mask=weights.stack)
    filled = planes.join(torch.stack([each.low for each in bands]) + detail)
    if keep_known:
        filled = torch.where(weight == 1, colour, filled)
    sure = (weight > 0).expand_as(colour)
    if opacity is not None:
        filled, sure = torch.cat([filled, opacity]), torch.cat([sure, torch.ones_like(opacity).bool()])
    return Inpainted(filled, sure, encodings)


def _weight(mask: MaskLike, picture: Tensor, colour: Tensor) -> Tensor:
    """The mask as numbers, one channel or as many as the colour has."""
    found = as_tensor(mask, "mask", "inpaint")
    if found.is_complex():
        raise SparseError("inpaint: the mask is complex; use bool or numbers from 0 to 1")
    weight = found.to(colour)
    if weight.ndim == picture.ndim - 1:
        weight = weight[None]
    if weight.ndim == picture.ndim and weight.shape[0] == picture.shape[0]:
        weight = weight[: colour.shape[0]]
    fits = weight.ndim == colour.ndim and all(
        size in (1, wanted) for size, wanted in zip(weight.shape, colour.shape, strict=True)
    )
    if not fits:
        raise SparseError(
            f"inpaint: mask of shape {tuple(found.shape)} does not fit the image {tuple(picture.shape)}; give one "
            "value a pixel, or one a value"
        )
    if not bool((weight >= 0).all() and weight.isfinite().all()):
        raise SparseError("inpaint: the mask has values that are negative, NaN or infinite; 1 is known, 0 missing")
    return weight.expand(weight.shape[0], *colour.shape[1:])


def mask_from_colour(
    image: Float[Tensor, "channels height width"], colour: tuple[float, ...], tolerance: float = 0.02
) -> Bool[Tensor, "1 height width"]:
    """The mask of a picture in which missing pixels are painted in one colour: False where they are.

    Args:
        image: (C, H, W) in [0, 1].
        colour: one value a channel, in [0, 1].
        tolerance: how far each channel may be off, as files with losses are.

    >>> mask_from_colour(torch.tensor([[[1.0, 0.2]], [[0.0, 0.2]], [[1.0, 0.2]]]), (1.0, 0.0, 1.0))
    tensor([[[False,  True]]])

    Raises :class:`~unconv.errors.SparseError` where the channels do not match or no pixel has that colour.
    """
    picture = as_float(as_tensor(image, "image", "inpaint"), "image", "inpaint", eight_bits=True)
    if picture.ndim != 3 or picture.shape[0] != len(colour):
        raise SparseError(f"inpaint: colour of {len(colour)} channels for an image of shape {tuple(picture.shape)}")
    painted = ((picture - picture.new_tensor(colour).reshape(-1, 1, 1)).abs() <= tolerance).all(dim=0, keepdim=True)
    if not bool(painted.any()):
        raise SparseError(f"inpaint: no pixel of the colour {colour}; raise the tolerance, or name another")
    return ~painted


def mask_from_file(path: str | os.PathLike[str], size: tuple[int, int]) -> Bool[Tensor, "1 height width"]:
    """The mask in a picture file: white is known, black is missing, the middle decides.

    Raises :class:`~unconv.errors.SparseError` where its size is not that of the image, and
    :class:`~unconv.errors.ImageError` where the file is no picture.
    """
    from unconv.data.images import read_images

    picture = read_images(path, mode="grey")[0]
    if picture.size != size:
        raise SparseError(
            f"inpaint: mask {picture.name} has {picture.size[1]}×{picture.size[0]} pixels and the image "
            f"{size[1]}×{size[0]}; they must be one size"
        )
    return picture.tensor >= 0.5
