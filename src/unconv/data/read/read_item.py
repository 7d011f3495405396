"""One item of a source read: its picture, or why there is none."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from torch import Tensor

from unconv.data.arrays import finish_picture
from unconv.data.convert import as_image_tensor
from unconv.data.decode import Decoded, DecodedClip, decode_file, decode_pillow, decode_stream
from unconv.data.read.archive import read_member
from unconv.data.read.array_files import is_array_file, read_array
from unconv.data.read.clips import clip_of_array, finish_clip, read_clip
from unconv.data.read.files import find_files
from unconv.data.read.items import Clip, Entry, Image, ImageFile, InMemory, Item, Member, Skipped
from unconv.data.read.reading import Reading
from unconv.errors import ImageError

# Endings of archives and compressed files, which are not opened.
PACKED = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
# Under which samples of datasets have their picture and its class: Hugging Face's words, webdataset's suffixes.
LABEL_KEYS = ("label", "target", "class", "cls", "y")
IMAGE_KEYS = ("image", "img", "pixel_values", "x", "jpg", "jpeg", "png", "webp")


def read_item(item: Item, reading: Reading | None = None) -> Image | Skipped:
    """The picture of an item, in colour unless ``reading`` says otherwise.

    >>> import torch
    >>> read_item(InMemory("grey", torch.ones(1, 4, 4))).tensor.shape
    torch.Size([3, 4, 4])
    >>> read_item(InMemory("bright", torch.full((1, 4, 4), 255.0))).reason
    'image of shape (1, 4, 4): values from 255 to 255 are outside [0, 1]; divide by white'
    """
    reading = reading or Reading()
    item = open_item(item)
    if isinstance(item, Skipped):
        return item
    if isinstance(item, Image):
        return replace(item, tensor=_finished(item.tensor, reading))
    path = item.path if isinstance(item, ImageFile) else None
    try:
        picture, notes = _decoded(item, reading)
    except ImageError as error:
        packed = path is not None and path.suffix.lower() in PACKED
        return Skipped(item.name, f"{error}; unpack archives, or pack them as .tar" if packed else str(error), path)
    return Image(item.name, picture, path, notes)


def _finished(picture: Tensor, reading: Reading) -> Tensor:
    """What was read before, with the channels that are wanted."""
    if reading.every_channel:
        return picture
    if picture.ndim == 4:
        return finish_clip(picture, reading.mode)
    return finish_picture(picture, None, reading.mode, reading.background)


def _decoded(item: Any, reading: Reading) -> Decoded | DecodedClip:
    if isinstance(item, Clip):
        return read_clip(item, reading)
    looks: dict[str, Any] = {"mode": reading.mode, "background": reading.background, "channels": reading.channels}
    if isinstance(item, ImageFile):
        if is_array_file(item.path):
            return read_array(item.path, reading)
        return decode_file(item.path, max_pixels=reading.max_pixels, **looks)
    if isinstance(item, Member):
        return decode_stream(io.BytesIO(read_member(item)), max_pixels=reading.max_pixels, **looks)
    if isinstance(item.value, Mapping):
        keys = ", ".join(map(str, list(item.value)[:3]))
        raise ImageError(f"a dict of {keys}; name its picture {', '.join(IMAGE_KEYS[:3])} or {IMAGE_KEYS[3]}")
    if isinstance(item.value, PillowImage.Image):
        return decode_pillow(item.value, **looks)
    if reading.clips and isinstance(item.value, Tensor | np.ndarray):
        return clip_of_array(item.value, reading.channels)
    return as_image_tensor(item.value, **looks), ()


def open_item(item: Item) -> ImageFile | Clip | Member | InMemory | Image | Skipped:
    """The item itself; an entry of a dataset is fetched, and whatever that raises makes it a skipped one.

    >>> open_item(Entry({}, 3, "image 3"))
    Skipped(name='image 3', reason='3', path=None)
    """
    if not isinstance(item, Entry):
        return item
    try:
        sample = item.dataset[item.number]
    except Exception as error:  # a dataset's own code fails in any way
        return Skipped(item.name, " ".join(str(error).split()) or type(error).__name__)
    return sample_item(sample, item.name)


def picture_of(sample: Any) -> Any:
    """What of a sample is the picture: the first of a tuple, the entry of a dict that is called so, or all of it.

    >>> picture_of(("picture", 3)), picture_of({"label": 3, "image": "picture"}), picture_of("picture")
    ('picture', 'picture', 'picture')
    """
    if isinstance(sample, Mapping):
        return next((sample[key] for key in IMAGE_KEYS if key in sample), sample)
    if isinstance(sample, tuple | list) and sample:
        return sample[0]
    return sample


def label_of(sample: Any) -> str | None:
    """The class that a sample names behind its picture: a number or a word.

    >>> label_of(("picture", 3)), label_of({"image": "picture", "label": "cat"}), label_of("picture")
    ('3', 'cat', None)
    """
    label = None
    if isinstance(sample, Mapping):
        label = next((sample[key] for key in LABEL_KEYS if key in sample), None)
    elif isinstance(sample, tuple | list) and len(sample) > 1:
        label = sample[1]
    if isinstance(label, str):
        return label
    number = getattr(label, "__index__", None)
    try:
        return None if number is None else str(number())
    except (TypeError, ValueError):  # a tensor of several numbers
        return None


def sample_item(sample: Any, name: str) -> ImageFile | Member | InMemory | Image | Skipped:
    """A sample of a dataset as an item: the picture that it is or begins with, or the file that it names.

    >>> sample_item(("nowhere.png", 3), "image 0").reason
    'no such file or folder'
    """
    picture = picture_of(sample)
    if isinstance(picture, ImageFile | Member | InMemory | Image | Skipped):
        return picture
    if not isinstance(picture, str | os.PathLike):
        return InMemory(name, picture, prepared=True, label=label_of(sample))
    files = tuple(find_files(picture))
    if len(files) > 1:
        return Skipped(name, f"a folder with {len(files)} files, where a sample has one picture")
    return files[0]
