"""Pixel formats: what Pillow has read of a picture as colour planes and opacity in [0, 1].

1 bit is 0 or 1; 8 bits are divided by 255, 16 by 65535, 12 by 4095; floats in [0, 1] stay, other floats are mapped from
their smallest and largest value, with a note. CMYK goes through its embedded profile where there is one and by Pillow's
plain inversion otherwise, with a note. Profiles of RGB and grey pictures are not applied: networks are trained on the
numbers in the file. The orientation that EXIF or XMP asks for is applied.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image as PillowImage, ImageCms, ImageOps
from torch import Tensor

from unconv.data.arrays import Array
from unconv.errors import ImageError, one_line


def read_planes(image: PillowImage.Image) -> tuple[Tensor, Tensor | None, list[str]]:
    """Colour planes (1 or 3, height, width) and opacity (height, width) or None, upright, and what was done.

    Raises ImageError for numbers without a known white (32-bit integers) and for floats that are not finite.

    >>> planes, opacity, notes = read_planes(PillowImage.new("LA", (64, 48)))
    >>> planes.shape, opacity.shape, notes
    (torch.Size([1, 48, 64]), torch.Size([48, 64]), [])
    """
    # Loading empties the tile list, the only place that tells 16-bit colour from 8.
    raw_mode = _raw_mode(image)
    image.load()
    notes: list[str] = []
    upright = _turn_upright(image, notes)
    colour, alpha = _planes(upright, raw_mode, notes)
    if ";16" in raw_mode and upright.mode not in ("I", "I;16", "I;16L", "I;16B", "I;16N"):
        notes.append("16 bits a channel, read as 8")
    return colour, alpha, notes


def _raw_mode(image: PillowImage.Image) -> str:
    tiles = getattr(image, "tile", None)
    if not tiles:
        return image.mode
    arguments = tiles[0][3]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) else image.mode


def _turn_upright(image: PillowImage.Image, notes: list[str]) -> PillowImage.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:
        # The pixels are fine, only the metadata is not.
        notes.append(f"unreadable EXIF, not rotated: {one_line(error)}")
        return image


def _planes(image: PillowImage.Image, raw_mode: str, notes: list[str]) -> tuple[Tensor, Tensor | None]:
    """Colour planes (1 or 3, height, width) and opacity (height, width) or None, all in [0, 1]."""
    mode = image.mode
    if mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif mode in ("CMYK", "LAB"):
        image = _to_srgb(image, notes)
    elif mode in ("YCbCr", "HSV", "RGBX"):
        image = image.convert("RGB")
    elif mode in ("La", "RGBa"):
        image = image.convert(mode.replace("a", "A"))
    values = np.array(image)
    channels_first = values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)
    planes = torch.from_numpy(_unit_values(channels_first, image, raw_mode, notes))
    if image.mode in ("LA", "RGBA"):
        return planes[:-1], planes[-1]
    key = image.info.get("transparency")
    return planes, None if key is None else _opacity_from_key(channels_first, key, raw_mode)


def _unit_values(
    values: Array,
    image: PillowImage.Image,
    raw_mode: str,
    notes: list[str],
) -> Array:
    if image.mode == "F":
        return _unit_floats(np.ascontiguousarray(values, dtype=np.float32), notes)
    if image.mode == "1":
        white = 1
    elif image.mode.startswith("I;16"):
        white = 4095 if raw_mode == "I;12" else 65535
    elif image.mode == "I":
        # Pillow hands 16-bit PNG (until 10) and PGM over as 32-bit integers, already scaled to 16 bits.
        if image.format not in ("PNG", "PPM") and raw_mode not in ("I;16", "I;16B"):
            raise ImageError("32-bit integers have no known white; save as 8 or 16 bits, or as floats in [0, 1]")
        white = 65535
    else:
        white = 255
    # One copy, in the order the tensor wants: pictures of a hundred megapixels pass here.
    unit = np.ascontiguousarray(values, dtype=np.float32)
    unit /= white
    return unit


def _unit_floats(values: Array, notes: list[str]) -> Array:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ImageError(f"floats from {low:g} to {high:g} are no picture; replace what is not finite")
    if low >= 0 and high <= 1:
        return values
    notes.append(f"floats from {low:.4g} to {high:.4g}, mapped to 0 and 1")
    # float64: the range of two float32 may overflow.
    unit = (values.astype(np.float64) - low) / ((high - low) or 1.0)
    return unit.astype(np.float32)


def _opacity_from_key(values: Array, key: object, raw_mode: str) -> Tensor | None:
    """Opacity where one grey level or colour is declared transparent (PNG's tRNS chunk)."""
    if isinstance(key, bytes):
        return None
    # The chunk counts in the file's bits, the pixels are already unpacked to 8.
    scale = {"L;2": 85, "L;4": 17}.get(raw_mode, 1)
    wanted = np.array(key).reshape(-1, 1, 1) * scale
    if values.dtype == np.uint8 and ";16" in raw_mode:
        wanted = wanted >> 8
    elif values.dtype == np.bool_:
        wanted = wanted > 0
    return torch.from_numpy(~(values == wanted).all(axis=0)).to(torch.float32)


def _to_srgb(image: PillowImage.Image, notes: list[str]) -> PillowImage.Image:
    profile: Any
    embedded = image.info.get("icc_profile")
    if image.mode == "LAB":
        profile = ImageCms.createProfile("LAB")
    elif not embedded:
        notes.append("CMYK without a profile, converted by plain inversion")
        return image.convert("RGB")
    else:
        profile = io.BytesIO(embedded)
    try:
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, ImportError) as error:
        if image.mode == "LAB":
            raise ImageError(f"LAB colours cannot be converted: {one_line(error)}") from error
        notes.append(f"CMYK profile unusable ({one_line(error)}), converted by plain inversion")
        return image.convert("RGB")
    if converted is None:
        raise ImageError("colour conversion gave no picture")
    return converted
