"""One item of a source read: its picture, or why there is none."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PIL import Image as PillowImage

from unconv.data.arrays import Background, Mode, finish_picture
from unconv.data.convert import as_image_tensor
from unconv.data.decode import Decoded, decode_file, decode_pillow, decode_stream
from unconv.data.read.archive import read_member
from unconv.data.read.files import find_files
from unconv.data.read.items import Entry, Image, ImageFile, InMemory, Item, Member, Skipped
from unconv.errors import ImageError

MAX_PIXELS = 100_000_000
# Endings of archives and compressed files, which are not opened.
PACKED = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
# Under which samples of datasets have their picture and its class: Hugging Face's words, webdataset's suffixes.
LABEL_KEYS = ("label", "target", "class", "cls", "y")
IMAGE_KEYS = ("image", "img", "pixel_values", "x", "jpg", "jpeg", "png", "webp")


def read_item(
    item: Item, mode: Mode = "rgb", background: Background = 1.0, max_pixels: int = MAX_PIXELS
) -> Image | Skipped:
    """The picture of an item; arguments as for :func:`~unconv.data.images.read_images`.

    >>> import torch
    >>> read_item(InMemory("grey", torch.ones(1, 4, 4))).tensor.shape
    torch.Size([3, 4, 4])
    >>> read_item(InMemory("bright", torch.full((1, 4, 4), 255.0))).reason
    'image of shape (1, 4, 4): values from 255 to 255 are outside [0, 1]; divide by white'
    """
    item = open_item(item)
    if isinstance(item, Skipped):
        return item
    if isinstance(item, Image):
        return replace(item, tensor=finish_picture(item.tensor, None, mode, background))
    path = item.path if isinstance(item, ImageFile) else None
    try:
        picture, notes = _decoded(item, mode, background, max_pixels)
    except ImageError as error:
        packed = path is not None and path.suffix.lower() in PACKED
        return Skipped(item.name, f"{error}; unpack archives, or pack them as .tar" if packed else str(error), path)
    return Image(item.name, picture, path, notes)


def _decoded(item: Any, mode: Mode, background: Background, max_pixels: int) -> Decoded:
    if isinstance(item, ImageFile):
        return decode_file(item.path, mode=mode, background=background, max_pixels=max_pixels)
    if isinstance(item, Member):
        content = io.BytesIO(read_member(item))
        return decode_stream(content, mode=mode, background=background, max_pixels=max_pixels)
    if isinstance(item.value, Mapping):
        keys = ", ".join(map(str, list(item.value)[:3]))
        raise ImageError(f"a dict of {keys}; name its picture {', '.join(IMAGE_KEYS[:3])} or {IMAGE_KEYS[3]}")
    if isinstance(item.value, PillowImage.Image):
        return decode_pillow(item.value, mode=mode, background=background)
    return as_image_tensor(item.value, mode=mode, background=background), ()


def open_item(item: Item) -> ImageFile | Member | InMemory | Image | Skipped:
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
