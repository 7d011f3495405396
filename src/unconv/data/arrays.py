"""Pictures as tensors: from arrays in, to eight bits and files out.

Inside unconv a picture is a float32 tensor (channels, height, width) with values in [0, 1], 0 black and 1 white,
in the picture's own (sRGB) encoding: what networks are trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, UInt8
from PIL import Image as PillowImage
from torch import Tensor

from unconv.errors import ImageError

Mode: TypeAlias = Literal["rgb", "grey", "keep"]
Layout: TypeAlias = Literal["CHW", "HWC"]
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


def as_image_tensor(
    image: Tensor | Array | PillowImage.Image,
    *,
    layout: Layout | None = None,
    mode: Mode = "keep",
    background: Background = 1.0,
) -> Float[Tensor, "channels height width"]:
    """Turn a tensor, an array or a Pillow picture into a float32 tensor (channels, height, width) in [0, 1].

    Two axes are a grey picture. Of three, the channel axis is the one with 1, 3 or 4 entries; where the first and the
    last both have, a tensor is read as (channels, height, width) and an array as (height, width, channels), each as
    its own world writes them. Four channels are colour and opacity. Bytes are divided by 255, unsigned 16 bit numbers
    by 65535; floating-point numbers must lie in [0, 1] already.

    Args:
        image: the picture; it is copied, never changed.
        layout: ``"CHW"`` or ``"HWC"`` where the rule above reads it wrongly.
        mode: ``"rgb"``, ``"grey"`` or ``"keep"``.
        background: what shows through where the picture is transparent: grey level or (red, green, blue).

    Raises ImageError for other shapes, other number types, and values that are not in [0, 1].

    >>> as_image_tensor(np.zeros((48, 64, 3), dtype=np.uint8)).shape
    torch.Size([3, 48, 64])
    >>> as_image_tensor(torch.ones(3, 48, 64), mode="grey").shape
    torch.Size([1, 48, 64])
    >>> as_image_tensor(torch.full((3, 8, 8), 128.0))
    Traceback (most recent call last):
    unconv.errors.ImageError: image of shape (3, 8, 8): values from 128 to 128 are outside [0, 1]; divide by white
    """
    if isinstance(image, PillowImage.Image):
        # decode builds on this module; floats of another range are mapped there, with a note that has no place here.
        from unconv.data.decode import decode_pillow

        if image.mode != "F":
            return decode_pillow(image, mode=mode, background=background)[0]
        image = np.array(image)
    if not isinstance(image, Tensor | np.ndarray):
        raise ImageError(
            f"image of type {type(image).__name__}: neither a tensor, an array, a Pillow picture nor a path"
        )
    tensor = _from_numpy(image) if isinstance(image, np.ndarray) else image.detach().cpu()
    picture = _unit_range(_channels_first(tensor, layout, prefer_last=isinstance(image, np.ndarray)))
    if picture.shape[0] == 4:
        return finish_picture(picture[:3], picture[3], mode, background)
    return finish_picture(picture, None, mode, background)


def _from_numpy(array: Array) -> Tensor:
    try:
        # torch takes neither foreign byte order nor negative strides, and warns of read-only memory.
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    except TypeError as error:
        raise ImageError(
            f"image of shape {array.shape}: numbers of type {array.dtype} are no picture; use uint8 or float32"
        ) from error


def _channels_first(tensor: Tensor, layout: Layout | None, prefer_last: bool) -> Tensor:
    shape = tuple(tensor.shape)
    if tensor.ndim == 2 and 0 not in shape:
        return tensor[None]
    if tensor.ndim != 3 or 0 in shape:
        raise ImageError(
            f"image of shape {shape}: a picture is (height, width), (channels, height, width) or "
            "(height, width, channels), none of them 0"
        )
    first, last = shape[0] in CHANNELS, shape[2] in CHANNELS
    if layout is None:
        layout = "HWC" if last and (prefer_last or not first) else "CHW"
    if layout not in ("CHW", "HWC"):
        raise ImageError(f"image of shape {shape}: layout {layout!r} is unknown; it is 'CHW' or 'HWC'")
    if not (first if layout == "CHW" else last):
        raise ImageError(
            f"image of shape {shape}: no channel axis; the first or the last axis must have 1, 3 or 4 entries"
        )
    return tensor if layout == "CHW" else tensor.permute(2, 0, 1)


def _unit_range(tensor: Tensor) -> Tensor:
    shape = tuple(tensor.shape)
    if tensor.dtype in WHITE:
        return tensor.to(torch.float32) / WHITE[tensor.dtype]
    if not tensor.is_floating_point():
        raise ImageError(
            f"image of shape {shape}: numbers of type {str(tensor.dtype).removeprefix('torch.')} have no known "
            "white; convert to uint8, uint16 or to floats in [0, 1]"
        )
    picture = tensor.to(torch.float32)
    low, high = (bound.item() for bound in picture.aminmax())
    # aminmax hands NaN on, and NaN compares false.
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise ImageError(
            f"image of shape {shape}: values from {low:.4g} to {high:.4g} are outside [0, 1]; divide by white"
        )
    return picture.clamp(0, 1)


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
    cannot be written to.

    >>> import tempfile
    >>> save_image(torch.rand(3, 48, 64), Path(tempfile.mkdtemp()) / "noise.png").name
    'noise.png'
    """
    path = Path(path)
    try:
        to_pil(image).save(path)
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{printable(path)}: cannot be written: {one_line(error)}") from error
    return path


def printable(path: str | Path) -> str:
    """A file name as it can stand in a one-line message: what does not print is escaped.

    >>> printable(Path("two\\nlines.png"))
    'two\\\\nlines.png'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(path))


def one_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing.

    >>> one_line(ValueError("bad header\\nat byte 3")), one_line(MemoryError())
    ('bad header', 'MemoryError')
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    reason = getattr(error, "reason", None)
    if isinstance(reason, OSError):
        # urllib wraps what the network said.
        return one_line(reason)
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
