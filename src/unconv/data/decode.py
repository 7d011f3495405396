"""Decoding: one picture file to one tensor, every pixel format that Pillow knows, bounded before it is decoded.

How numbers become [0, 1] is told in :mod:`unconv.data.pixel_formats`.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

import torch
from jaxtyping import Float
from PIL import Image as PillowImage, UnidentifiedImageError
from torch import Tensor

from unconv.data.arrays import Background, Mode, check_pixels, finish_picture
from unconv.data.pixel_formats import read_planes
from unconv.describe import by_size, counted
from unconv.errors import ImageError, one_line

# Named one by one: others either run a program (EPS), draw vectors (WMF) or only recognise without decoding (HDF5).
FORMATS = (
    "PNG", "JPEG", "MPO", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO", "PSD", "PCX", "QOI",
    "SGI", "TGA",
)  # fmt: skip

# What is said where only one of several frames is read.
FIRST = "the first of several frames"

# Seekable, as decoders go back and forth.
Stream: TypeAlias = io.BufferedReader | io.BytesIO
Decoded: TypeAlias = tuple[Float[Tensor, "channels height width"], tuple[str, ...]]
DecodedClip: TypeAlias = tuple[Float[Tensor, "channels frames height width"], tuple[str, ...]]

Read = TypeVar("Read", Decoded, DecodedClip)

# Pillow's bomb limit and Python's warning filters belong to the whole process.
_PROCESS_WIDE = threading.RLock()


def decode_file(
    path: Path, *, mode: Mode, background: Background, max_pixels: int, channels: int | None = None
) -> Decoded:
    """Read one file into a picture in [0, 1] and notes of what was done on the way.

    The message of the ImageError it may raise is the bare reason, without the file name.

    Args:
        path: an existing file.
        mode: ``"rgb"``, ``"grey"`` or ``"keep"``.
        background: what shows through where the picture is transparent.
        max_pixels: larger pictures are refused from what their header says, before anything is decoded.
        channels: of the network; with another number than 1 or 3 every channel of the file is taken, its opacity and
            its pages too.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> PillowImage.new("L", (64, 48)).save(path)
    >>> decode_file(path, mode="rgb", background=1.0, max_pixels=10_000)[0].shape
    torch.Size([3, 48, 64])
    >>> decode_file(path, mode="rgb", background=1.0, max_pixels=1_000)
    Traceback (most recent call last):
    unconv.errors.ImageError: 48×64 pixels are more than 1,000; max_pixels=3072 lets them through
    """

    def read() -> Decoded:
        with path.open("rb") as stream, _opened(stream, max_pixels) as image:
            return picture_from_pillow(image, mode=mode, background=background, channels=channels)

    return _guarded(read, max_pixels)


def decode_frames(path: Path, *, mode: Mode, background: Background, max_pixels: int) -> DecodedClip:
    """All frames or pages of a file, ``(channels, frames, height, width)``; other arguments as for decode_file.

    Args:
        max_pixels: of all frames together.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "moving.gif"
    >>> first, *rest = (PillowImage.new("L", (64, 48), level) for level in (0, 100, 200))
    >>> first.save(path, save_all=True, append_images=rest)
    >>> decode_frames(path, mode="grey", background=1.0, max_pixels=10_000)[0].shape
    torch.Size([1, 3, 48, 64])
    """

    def read() -> DecodedClip:
        with path.open("rb") as stream, _opened(stream, max_pixels) as image:
            count = int(getattr(image, "n_frames", 1))
            check_pixels((count, image.height, image.width), max_pixels)
            frames, notes = [], {f"a clip of {count} frames": None}
            for number in range(count):
                image.seek(number)
                frame, told = picture_from_pillow(image, mode=mode, background=background)
                frames.append(frame)
                notes.update(dict.fromkeys(note for note in told if note != FIRST))
            return _stacked(frames), tuple(notes)

    return _guarded(read, max_pixels)


def _stacked(frames: list[Tensor]) -> Tensor:
    other = next((frame for frame in frames if frame.shape != frames[0].shape), None)
    if other is not None:
        raise ImageError(f"frames of {by_size(frames[0].shape)} and {by_size(other.shape)}; bring them to one size")
    return torch.stack(frames, dim=1)


def decode_stream(
    stream: Stream, *, mode: Mode, background: Background, max_pixels: int, channels: int | None = None
) -> Decoded:
    """The same for a file that is open already, a member of an archive for instance.

    >>> decode_stream(io.BytesIO(b"no picture"), mode="rgb", background=1.0, max_pixels=10_000)
    Traceback (most recent call last):
    unconv.errors.ImageError: not a picture in a known format
    """

    def read() -> Decoded:
        with _opened(stream, max_pixels) as image:
            return picture_from_pillow(image, mode=mode, background=background, channels=channels)

    return _guarded(read, max_pixels)


@contextmanager
def _opened(stream: Stream, max_pixels: int) -> Iterator[PillowImage.Image]:
    """A picture whose header was read, and is not too large."""
    if not stream.read(1):
        raise ImageError("empty file (0 bytes)")
    stream.seek(0)
    PillowImage.init()
    known = [name for name in FORMATS if name in PillowImage.OPEN]
    limit, PillowImage.MAX_IMAGE_PIXELS = PillowImage.MAX_IMAGE_PIXELS, None
    try:
        # Its own refusal does not name the size.
        image = PillowImage.open(stream, formats=known)
    finally:
        PillowImage.MAX_IMAGE_PIXELS = limit
    with image:
        check_pixels((image.height, image.width), max_pixels)
        yield image


def decode_pillow(
    image: PillowImage.Image, *, mode: Mode, background: Background, channels: int | None = None
) -> Decoded:
    """The same for a picture that Pillow has opened already, and perhaps not yet read from its file.

    >>> decode_pillow(PillowImage.new("1", (64, 48), 1), mode="keep", background=1.0)[0].mean()
    tensor(1.)
    """
    size = max(1, image.width * image.height)

    def read() -> Decoded:
        return picture_from_pillow(image, mode=mode, background=background, channels=channels)

    return _guarded(read, max_pixels=size)


def _guarded(read: Callable[[], Read], max_pixels: int) -> Read:
    """Run a decoder with its warnings turned into notes, and whatever it raises into an ImageError."""
    said: list[warnings.WarningMessage] = []
    try:
        with _own_limits(max_pixels, said):
            picture, notes = read()
    except ImageError:
        raise
    except PillowImage.DecompressionBombError as error:
        # A part of the file is larger than its header says.
        raise ImageError(f"more than the {max_pixels:,} pixels of max_pixels when it is decoded") from error
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


def _unknown_reason(said: list[warnings.WarningMessage]) -> str:
    # TGA has no signature, so every file that is something else fails as TGA too.
    told = [line for line in (str(warning.message) for warning in said) if not line.startswith("TGA")]
    return f"not a picture Pillow can read: {told[0]}" if told else "not a picture in a known format"


def picture_from_pillow(
    image: PillowImage.Image, *, mode: Mode, background: Background, channels: int | None = None
) -> Decoded:
    """Turn a Pillow picture in any of its modes into a tensor in [0, 1], and say what was done.

    Raises ImageError for numbers without a known white (32-bit integers) and for floats that are not finite.

    >>> picture, notes = picture_from_pillow(PillowImage.new("CMYK", (64, 48)), mode="keep", background=1.0)
    >>> picture.shape, notes
    (torch.Size([3, 48, 64]), ('CMYK without a profile, converted by plain inversion',))
    """
    colour, alpha, notes = read_planes(image)
    if channels not in (None, 1, 3):
        return _every_channel(image, colour if alpha is None else torch.cat([colour, alpha[None]]), channels, notes)
    if _has_more_frames(image):
        notes.append(FIRST)
    return finish_picture(colour, alpha, mode, background), tuple(notes)


def _every_channel(image: PillowImage.Image, planes: Tensor, channels: int, notes: list[str]) -> Decoded:
    """The channels that a network takes: those of the file, opacity the last, or its pages."""
    pages = int(getattr(image, "n_frames", 1)) if _has_more_frames(image) else 1
    if len(planes) == channels:
        told = "the last of them opacity, " if image.mode in ("RGBA", "LA", "PA", "P") else ""
        return planes, (*notes, f"{channels} channels of the file, {told}as they are", *([FIRST] if pages > 1 else []))
    if len(planes) == 1 and pages == channels:
        read = [planes]
        for page in range(1, pages):
            image.seek(page)
            read.append(read_planes(image)[0])
        return _stacked(read)[0], (*notes, f"{pages} pages of the file as channels")
    own = counted(len(planes), "channel") + (f" and {pages} pages" if pages > 1 else "")
    rgba = "RGBA, " if channels == 4 else ""
    raise ImageError(
        f"{own}, and the network takes {channels}; give {rgba}.npy of {channels} channels, or so many pages"
    )


def _has_more_frames(image: PillowImage.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        # GIF looks for a second frame to answer; a broken one is still one more.
        return True
