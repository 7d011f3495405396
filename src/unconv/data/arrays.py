"""Pictures as tensors: from arrays in, to eight bits and files out.

Inside unconv a picture is a float32 tensor (channels, height, width) with values in [0, 1], 0 black and 1 white,
in the picture's own (sRGB) encoding: what networks are trained on.
"""

from __future__ import annotations

from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt
import torch
from jaxtyping import Float, UInt8
from PIL import Image as PillowImage
from torch import Tensor

from unconv.choices import Layout as Layout, Mode as Mode
from unconv.describe import by_size
from unconv.errors import ImageError, one_line, printable
from unconv.files import write_whole

Array: TypeAlias = npt.NDArray[Any]
Background: TypeAlias = float | tuple[float, float, float]

# ITU-R BT.601, what Pillow and torchvision call grey.
LUMA = (0.299, 0.587, 0.114)
# Arithmetic on pictures leaves [0, 1] by rounding; more than this is another scale.
ROUNDING = 1e-4
WHITE = {torch.bool: 1, torch.uint8: 255, torch.uint16: 65535}
CHANNELS = (1, 3, 4)


def finish_picture(
    picture: Float[Tensor, "channels height width"],
    alpha: Float[Tensor, "height width"] | None,
    mode: Mode,
    background: Background,
) -> Float[Tensor, "out_channels height width"]:
    """Lay a picture over a background and give it the channels asked for.

    Composition is α·picture + (1 − α)·background, channel by channel in the picture's own encoding, as browsers do.

    Args:
        picture: one grey or three colour channels in [0, 1].
        alpha: opacity in [0, 1], or None for an opaque picture.
        mode: ``"rgb"`` three channels (grey is repeated), ``"grey"`` one (BT.601 luma), ``"keep"`` as it is.
        background: grey level or (red, green, blue) in [0, 1] that shows through.

    Raises ImageError for a mode or background that is none of these.

    >>> finish_picture(torch.ones(1, 2, 2), torch.full((2, 2), 0.5), "rgb", background=(0.0, 0.0, 1.0))[:, 0, 0]
    tensor([0.5000, 0.5000, 1.0000])
    """
    check_finish(mode, background)
    if alpha is not None:
        behind = torch.tensor(background, dtype=picture.dtype).reshape(-1, 1, 1)
        # Three channels only where needed (grey over a grey level stays grey); lerp leaves opaque pixels exact.
        picture = torch.lerp(behind, picture, alpha)
    if mode == "rgb" and picture.shape[0] == 1:
        return picture.repeat(3, 1, 1)
    if mode == "grey" and picture.shape[0] == 3:
        return torch.einsum("c,chw->hw", picture.new_tensor(LUMA), picture)[None]
    return picture.contiguous()


def check_pixels(size: tuple[int, ...], max_pixels: int) -> None:
    """Refuse what has more pixels than are allowed.

    Args:
        size: (height, width), with the frames in front where there are several.
        max_pixels: how many there may be.

    >>> check_pixels((48, 64), 10_000)
    >>> check_pixels((9000, 12000), 100_000_000)
    Traceback (most recent call last):
    unconv.errors.ImageError: 9000×12000 pixels are more than 100,000,000; max_pixels=108000000 lets them through
    """
    if prod(size) > max_pixels:
        raise ImageError(
            f"{by_size(size)} pixels are more than {max_pixels:,}; max_pixels={prod(size)} lets them through"
        )


def check_finish(mode: str, background: Background) -> None:
    """Refuse a mode or a background that no picture could be given.

    >>> check_finish("bgr", 1.0)
    Traceback (most recent call last):
    unconv.errors.ImageError: images: mode 'bgr' is unknown; it is 'rgb', 'grey' or 'keep'
    """
    if mode not in ("rgb", "grey", "keep"):
        raise ImageError(f"images: mode {mode!r} is unknown; it is 'rgb', 'grey' or 'keep'")
    levels = background if isinstance(background, tuple) else (background,)
    if len(levels) not in (1, 3) or not all(0 <= level <= 1 for level in levels):
        raise ImageError(
            f"images: background {background!r} is neither a grey level nor a (red, green, blue) in [0, 1]"
        )


def to_uint8(image: Float[Tensor, "channels height width"]) -> UInt8[Tensor, "channels height width"]:
    """Round a picture in [0, 1] to bytes, round(255·x); what lies outside is clipped.

    Raises ImageError for a picture with NaN, which no byte can stand for.

    >>> to_uint8(torch.tensor([[[0.0, 0.5, 1.2]]]))
    tensor([[[  0, 128, 255]]], dtype=torch.uint8)
    """
    if image.isnan().any():
        raise ImageError(f"image of shape {tuple(image.shape)}: NaN cannot be drawn")
    return (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)


def to_pil(image: Float[Tensor, "channels height width"]) -> PillowImage.Image:
    """Make a Pillow picture: grey of 1 channel, RGB of 3, RGBA of 4; clipped to [0, 1].

    Raises ImageError for another number of channels.

    >>> to_pil(torch.rand(3, 48, 64)).size
    (64, 48)
    """
    if image.shape[0] not in CHANNELS:
        raise ImageError(
            f"image of shape {tuple(image.shape)}: {image.shape[0]} channels are no picture; 1, 3 or 4 are"
        )
    pixels = to_uint8(image).permute(1, 2, 0).contiguous().numpy()
    return PillowImage.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def save_image(image: Float[Tensor, "channels height width"], path: str | Path) -> Path:
    """Write a picture in [0, 1] to a file of 8 bits a channel, in the format its suffix names.

    Raises ImageError for a suffix that names no format, a format that cannot hold the channels, and a place that
    cannot be written to; what was there stays.

    >>> import tempfile
    >>> save_image(torch.rand(3, 48, 64), Path(tempfile.mkdtemp()) / "noise.png").name
    'noise.png'
    """
    path = Path(path)
    kind = PillowImage.registered_extensions().get(path.suffix.lower())
    content = BytesIO()
    try:
        if kind is None:
            raise ValueError(f"unknown file extension: {path.suffix}")
        to_pil(image).save(content, kind)
        return write_whole(path, content.getvalue())
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{printable(path)}: cannot be written: {one_line(error)}") from error
