"""Decoding: one picture file to one tensor, every pixel format that Pillow knows, bounded before it is decoded.

How numbers become [0, 1]: 1 bit is 0 or 1; 8 bits are divided by 255, 16 by 65535, 12 by 4095; floats in [0, 1] stay,
other floats are mapped from their smallest and largest value, with a note. CMYK goes through its embedded profile
where there is one and by Pillow's plain inversion otherwise, with a note. Profiles of RGB and grey pictures are not
applied: networks are trained on the numbers in the file. The orientation that EXIF or XMP asks for is applied.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PillowImage, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from unconv.data.arrays import Array, Background, Mode, finish_picture
from unconv.errors import ImageError, one_line

# Named one by one: others either run a program (EPS), draw vectors (WMF) or only recognise without decoding (HDF5).
FORMATS = (
    "PNG", "JPEG", "MPO", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO", "PSD", "PCX", "QOI",
    "SGI", "TGA",
)  # fmt: skip

# Seekable, as decoders go back and forth.
Stream: TypeAlias = io.BufferedReader | io.BytesIO
Decoded: TypeAlias = tuple[Float[Tensor, "channels height width"], tuple[str, ...]]

# Pillow's bomb limit and Python's warning filters belong to the whole process.
_PROCESS_WIDE = threading.RLock()


def decode_file(path: Path, *, mode: Mode, background: Background, max_pixels: int) -> Decoded:
    """Read one file into a picture in [0, 1] and notes of what was done on the way.

    The message of the ImageError it may raise is the bare reason, without the file name.

    Args:
        path: an existing file.
        mode: ``"rgb"``, ``"grey"`` or ``"keep"``.
        background: what shows through where the picture is transparent.
        max_pixels: larger pictures are refused from what their header says, before anything is decoded.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> PillowImage.new("L", (64, 48)).save(path)
    >>> decode_file(path, mode="rgb", background=1.0, max_pixels=10_000)[0].shape
    torch.Size([3, 48, 64])
    >>> decode_file(path, mode="rgb", background=1.0, max_pixels=1_000)
    Traceback (most recent call last):
    unconv.errors.ImageError: 3,072 pixels exceed the limit of 1,000; raise max_pixels to read it
    """

    def read() -> Decoded:
        with path.open("rb") as stream:
            return _from_stream(stream, mode, background)

    return _guarded(read, max_pixels)


def decode_stream(stream: Stream, *, mode: Mode, background: Background, max_pixels: int) -> Decoded:
    """The same for a file that is open already, a member of an archive for instance.

    >>> decode_stream(io.BytesIO(b"no picture"), mode="rgb", background=1.0, max_pixels=10_000)
    Traceback (most recent call last):
    unconv.errors.ImageError: not a picture in a known format
    """
    return _guarded(lambda: _from_stream(stream, mode, background), max_pixels)


def _from_stream(stream: Stream, mode: Mode, background: Background) -> Decoded:
    if not stream.read(1):
        raise ImageError("empty file (0 bytes)")
    stream.seek(0)
    PillowImage.init()
    known = [name for name in FORMATS if name in PillowImage.OPEN]
    with PillowImage.open(stream, formats=known) as image:
        return picture_from_pillow(image, mode=mode, background=background)


def decode_pillow(image: PillowImage.Image, *, mode: Mode, background: Background) -> Decoded:
    """The same for a picture that Pillow has opened already, and perhaps not yet read from its file.

    >>> decode_pillow(PillowImage.new("1", (64, 48), 1), mode="keep", background=1.0)[0].mean()
    tensor(1.)
    """
    size = max(1, image.width * image.height)
    return _guarded(lambda: picture_from_pillow(image, mode=mode, background=background), max_pixels=size)


def _guarded(read: Callable[[], Decoded], max_pixels: int) -> Decoded:
    """Run a decoder with its warnings turned into notes, and whatever it raises into an ImageError."""
    said: list[warnings.WarningMessage] = []
    try:
        with _own_limits(max_pixels, said):
            picture, notes = read()
    except ImageError:
        raise
    except PillowImage.DecompressionBombError as error:
        raise ImageError(_bomb_reason(error, max_pixels)) from error
    except UnidentifiedImageError as error:
        raise ImageError(_unknown_reason(said)) from error
    except Exception as error:
        # Decoders of broken files fail in any way there is (struct.error, SyntaxError, zlib.error, MemoryError …), and
        # none of them may end the work on the other files.
        raise ImageError(one_line(error)) from error
    pillow_notes = tuple(dict.fromkeys(f"Pillow: {str(w.message).strip().splitlines()[0]}" for w in said))
    return picture, notes + pillow_notes


@contextmanager
def _own_limits(max_pixels: int, said: list[warnings.WarningMessage]) -> Iterator[None]:
    with _PROCESS_WIDE, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Ours is the limit: Pillow warns above its own and raises above twice its own.
        warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)
        before = PillowImage.MAX_IMAGE_PIXELS, getattr(PillowImage, "WARN_POSSIBLE_FORMATS", False)
        PillowImage.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]
        PillowImage.WARN_POSSIBLE_FORMATS = True
        try:
            yield
        finally:
            PillowImage.MAX_IMAGE_PIXELS, PillowImage.WARN_POSSIBLE_FORMATS = before
            said.extend(caught)


def _bomb_reason(error: Exception, max_pixels: int) -> str:
    count = re.search(r"\((\d+) pixels\)", str(error))
    pixels = f"{int(count[1]):,} pixels exceed" if count else "the picture exceeds"
    return f"{pixels} the limit of {max_pixels:,}; raise max_pixels to read it"


def _unknown_reason(said: list[warnings.WarningMessage]) -> str:
    # TGA has no signature, so every file that is something else fails as TGA too.
    told = [line for line in (str(warning.message) for warning in said) if not line.startswith("TGA")]
    return f"not a picture Pillow can read: {told[0]}" if told else "not a picture in a known format"


def picture_from_pillow(image: PillowImage.Image, *, mode: Mode, background: Background) -> Decoded:
    """Turn a Pillow picture in any of its modes into a tensor in [0, 1], and say what was done.

    Raises ImageError for numbers without a known white (32-bit integers) and for floats that are not finite.

    >>> picture, notes = picture_from_pillow(PillowImage.new("CMYK", (64, 48)), mode="keep", background=1.0)
    >>> picture.shape, notes
    (torch.Size([3, 48, 64]), ('CMYK without a profile, converted by plain inversion',))
    """
    # Loading empties the tile list, the only place that tells 16-bit colour from 8.
    raw_mode = _raw_mode(image)
    image.load()
    notes: list[str] = []
    upright = _turn_upright(image, notes)
    colour, alpha = _planes(upright, raw_mode, notes)
    if ";16" in raw_mode and upright.mode not in ("I", "I;16", "I;16L", "I;16B", "I;16N"):
        notes.append("16 bits a channel, read as 8")
    if _has_more_frames(image):
        notes.append("the first of several frames")
    return finish_picture(colour, alpha, mode, background), tuple(notes)


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


def _has_more_frames(image: PillowImage.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        # GIF looks for a second frame to answer; a broken one is still one more.
        return True


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
