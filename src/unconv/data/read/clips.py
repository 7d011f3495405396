"""Clips: videos and volumes, from files of several frames, folders of frames, and arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PillowImage
from torch import Tensor

from unconv.data.arrays import WHITE, Array, Mode, check_pixels, finish_picture
from unconv.data.convert import from_numpy, unit_range
from unconv.data.decode import Decoded, DecodedClip, decode_file, decode_frames
from unconv.data.read.array_files import is_array_file, load_array
from unconv.data.read.items import Clip, ImageFile, Item
from unconv.data.read.reading import Reading
from unconv.describe import by_size
from unconv.errors import ImageError

# Formats that may hold several frames; whether a file does is asked of its header.
SEVERAL = (".gif", ".tif", ".tiff", ".webp")
# What is known as a video, and read by no decoder here.
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv")
# Where an array of four axes may have its channels, in the order in which they are looked for.
CHANNEL_AXES = ((0, "channels first"), (3, "channels last"), (1, "frames, then channels"))


def clips_of(found: Iterable[Item]) -> Iterator[Item]:
    """The clips of some files: each that holds several frames, and those of one frame with the others of their folder.

    Frames follow each other by the numbers in their names: ``frame10.png`` comes behind ``frame9.png``. What is no
    file stays as it is.

    >>> files = [ImageFile(Path("jump") / name, f"jump/{name}") for name in ("10.png", "9.png")]
    >>> [(clip.name, [file.name for file in clip.files]) for clip in clips_of(files)]
    [('jump', ['9.png', '10.png'])]
    """
    items = list(found)
    yield from (one for one in items if not isinstance(one, ImageFile))
    files = [one for one in items if isinstance(one, ImageFile)]
    for folder, some in groupby(files, key=lambda one: one.path.parent):
        frames = []
        for one in some:
            if _holds_frames(one.path):
                yield Clip(one.name, (one.path,), one.path)
            else:
                frames.append(one)
        if len(frames) == 1:
            yield Clip(frames[0].name, (frames[0].path,), frames[0].path)
        elif frames:
            name = frames[0].name.rpartition("/")[0] or folder.name or str(folder)
            paths = sorted((one.path for one in frames), key=lambda path: _by_numbers(path.name))
            yield Clip(name, tuple(paths), folder)


def _by_numbers(name: str) -> list[tuple[int, int, str]]:
    """What names are sorted by: text as text, numbers as numbers."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _holds_frames(path: Path) -> bool:
    if is_array_file(path):
        try:
            return load_array(path).ndim > 2
        except ImageError:
            return True
    if path.suffix.lower() not in SEVERAL:
        return path.suffix.lower() in VIDEOS
    try:
        with PillowImage.open(path) as image:
            return int(getattr(image, "n_frames", 1)) > 1
    except Exception:  # broken files fail in any way; the decoder says why
        return False


def read_clip(clip: Clip, reading: Reading) -> DecodedClip:
    """A clip ``(channels, frames, height, width)`` and what was done on the way.

    Frames are pictures in [0, 1]; an array of floats is as it is. Raises ImageError for what cannot be read, and for
    frames of several sizes.
    """
    if reading.channels == 1:
        reading = replace(reading, mode="grey")
    if len(clip.files) == 1:
        return _read_frames(clip.files[0], reading)
    each = replace(reading, max_pixels=reading.max_pixels // len(clip.files))
    frames: list[Tensor] = []
    notes: dict[str, None] = {}
    for file in clip.files:
        try:
            frame, told = _read_frame(file, each)
        except ImageError as error:
            raise ImageError(f"frame {file.name}: {error}") from error
        if frames and frame.shape != frames[0].shape:
            here, there = by_size(frame.shape), by_size(frames[0].shape)
            raise ImageError(f"frame {file.name} is {here} and the first is {there}; bring frames to one size")
        frames.append(frame)
        notes.update(dict.fromkeys(told))
    names = f"{clip.files[0].name} to {clip.files[-1].name}"
    return torch.stack(frames, dim=1), (f"a clip of {len(frames)} frames, {names}", *notes)


def _read_frames(file: Path, reading: Reading) -> DecodedClip:
    """A file of several frames."""
    if is_array_file(file):
        array = load_array(file)
        if array.ndim == 2:
            return _read_frame(file, reading)[0][:, None], ()
        check_pixels(array.shape, reading.max_pixels * (reading.channels or 1))
        clip, notes = clip_of_array(array, reading.channels)
        return clip if reading.every_channel else finish_clip(clip, reading.mode), notes
    if file.suffix.lower() in VIDEOS:
        raise ImageError("a video file, which is not decoded; save its frames as a folder of pictures, a GIF or .npy")
    return decode_frames(file, mode=reading.mode, background=reading.background, max_pixels=reading.max_pixels)


def _read_frame(file: Path, reading: Reading) -> Decoded:
    """A file of one frame."""
    if is_array_file(file):
        clip, notes = clip_of_array(load_array(file)[None])
        return clip[:, 0] if reading.every_channel else finish_clip(clip, reading.mode)[:, 0], notes
    return decode_file(
        file,
        mode=reading.mode,
        background=reading.background,
        max_pixels=reading.max_pixels,
        channels=reading.channels,
    )


def clip_of_array(
    array: Array | Tensor, channels: int | None = None
) -> tuple[Float[Tensor, "channels frames height width"], tuple[str, ...]]:
    """An array as a clip, and how it was read.

    Three axes are (frames, height, width). Of four, the channels' is the first, the last or the second one that has as
    many entries as the network takes channels, or 1 or 3 where it takes either. Bytes are divided by 255, unsigned 16
    bits by 65535; all other numbers stay as they are.

    Raises ImageError for arrays of other axes, and complex numbers.

    >>> clip_of_array(np.zeros((16, 40, 60, 3), dtype=np.uint8), 3)[0].shape
    torch.Size([3, 16, 40, 60])
    """
    shape = tuple(array.shape)
    tensor = from_numpy(array) if isinstance(array, np.ndarray) else array.detach().cpu()
    if tensor.is_complex() or len(shape) not in (3, 4) or 0 in shape:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ImageError(
            f"array of shape {shape} and {kind}: a clip is (frames, height, width), with channels in front or behind, "
            "of real numbers"
        )
    values = unit_range(tensor) if tensor.dtype in WHITE else tensor.to(torch.float32)
    if len(shape) == 3:
        return values[None], ()
    for counts in ((channels,), (1, 3) if channels in (None, 1, 3) else ()):
        for axis, told in CHANNEL_AXES:
            if shape[axis] in counts:
                return values.movedim(axis, 0).contiguous(), (f"array {by_size(shape)}, {told}",)
    raise ImageError(f"array of shape {shape}: no axis of {channels or '1 or 3'} channels, which the network takes")


def finish_clip(
    clip: Float[Tensor, "channels frames height width"], mode: Mode
) -> Float[Tensor, "out_channels frames height width"]:
    """The channels that a mode asks for, as :func:`~unconv.data.arrays.finish_picture` gives them to a picture.

    >>> finish_clip(torch.ones(1, 4, 2, 2), "rgb").shape
    torch.Size([3, 4, 2, 2])
    """
    column = finish_picture(clip.flatten(1, 2), None, mode, 1.0)
    return column.reshape(len(column), *clip.shape[1:])
