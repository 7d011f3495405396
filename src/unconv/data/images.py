"""Pictures read: files, folders, archives, arrays and datasets in, tensors and a list of what was skipped out.

A picture is a float32 tensor (channels, height, width) with values in [0, 1]. What cannot be read is reported as
Skipped with its reason and never stops the others. Folders are walked with their sub-folders (classes, often), in
the order of their names; what begins with a dot is passed over. What may hold pictures is recognised in
``unconv.data.read.source``; how each pixel format becomes numbers is written in ``unconv.data.decode``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unconv.arguments import tell_wrong_arguments
from unconv.data.arrays import Background, Mode, check_finish, save_image, to_pil, to_uint8
from unconv.data.convert import as_image_tensor
from unconv.data.read.files import list_images
from unconv.data.read.items import Image, ImageFile, ImageSet, Skipped
from unconv.data.read.read_item import read_item
from unconv.data.read.reading import Reading, pixel_limit
from unconv.data.read.source import source_of
from unconv.errors import ImageError

__all__ = [
    "Image",
    "ImageFile",
    "ImageSet",
    "Skipped",
    "as_image_tensor",
    "iter_images",
    "list_images",
    "pixel_limit",
    "read_images",
    "save_image",
    "to_pil",
    "to_uint8",
]


@tell_wrong_arguments
def read_images(
    inputs: Any, *, mode: Mode = "rgb", background: Background = 1.0, max_pixels: int | None = None
) -> ImageSet:
    """Read every picture of some files, folders, arrays and datasets into memory.

    Args:
        inputs: one or several of: a file, a folder, a ``.tar`` of pictures, a tensor, an array (a fourth axis in front
            counts pictures), a Pillow picture; a dataset or loader of torch, a generator: see
            :func:`~unconv.data.read.source.source_of`.
        mode: ``"rgb"`` three channels, ``"grey"`` one (BT.601 luma), ``"keep"`` one or three as in the file.
        background: what shows through where a picture is transparent: grey level or (red, green, blue) in [0, 1].
        max_pixels: larger files are skipped from what their header says, before anything is decoded; 100,000,000
            unless given, or :func:`~unconv.data.read.reading.pixel_limit` says another.

    Raises ImageError when nothing at all could be read, naming what was tried, and for a dataset that has neither a
    length nor an end. For more pictures than memory holds, see iter_images.

    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = save_image(torch.rand(3, 48, 64), folder / "noise.png")
    >>> _ = (folder / "notes.txt").write_text("no picture")
    >>> pictures = read_images(folder)
    >>> [image.name for image in pictures], [(s.name, s.reason) for s in pictures.skipped]
    (['noise.png'], [('notes.txt', 'not a picture in a known format')])
    """
    images, skipped = [], []
    for result in iter_images(inputs, mode=mode, background=background, max_pixels=max_pixels):
        if isinstance(result, Image):
            images.append(result)
        else:
            skipped.append(result)
    if not images:
        raise ImageError(_nothing_read(skipped))
    return ImageSet(tuple(images), tuple(skipped))


def _nothing_read(skipped: list[Skipped]) -> str:
    if not skipped:
        return "images: none given; name a picture or a folder"
    first = "; ".join(str(item) for item in skipped[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"images: nothing readable in {len(skipped)} tried: {first}{more}"


def iter_images(
    inputs: Any, *, mode: Mode = "rgb", background: Background = 1.0, max_pixels: int | None = None
) -> Iterator[Image | Skipped]:
    """Read pictures one by one, each when it is asked for; arguments as for read_images.

    >>> import numpy as np
    >>> [image.tensor.shape for image in iter_images(np.zeros((2, 48, 64, 3), dtype=np.uint8))]
    [torch.Size([3, 48, 64]), torch.Size([3, 48, 64])]
    """
    check_finish(mode, background)
    with pixel_limit(max_pixels):
        reading = Reading(mode, background)
    return (read_item(item, reading) for item in source_of(inputs))
