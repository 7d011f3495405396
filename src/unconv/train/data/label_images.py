"""Label images: files whose pixels are numbers of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image as PillowImage
from torch import Tensor

from unconv.errors import ImageError, one_line, printable

# The label of pixels that nobody is asked about, as PASCAL VOC has it.
NOT_COUNTED = 255
LOSSLESS = "save masks as PNG, grey or with a palette, one number of a class a pixel"


def read_labels(path: Path) -> UInt8[Tensor, "height width"]:
    """The labels of a mask: its grey levels, or its places in the palette.

    Raises ImageError for a file that cannot be read, is stored with loss (JPEG), or has colours instead of numbers.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> PillowImage.fromarray(np.array([[0, 1], [255, 2]], np.uint8)).save(path)
    >>> read_labels(path)
    tensor([[  0,   1],
            [255,   2]], dtype=torch.uint8)
    """
    name = f"mask {printable(path)}"
    try:
        with PillowImage.open(path) as image:
            if image.format == "JPEG":
                raise ImageError(f"{name}: JPEG changes labels where it saves bytes; {LOSSLESS}")
            if image.mode not in ("L", "P", "1", "I;16", "I"):
                raise ImageError(f"{name}: {image.mode} colours are no numbers of classes; {LOSSLESS}")
            values = np.asarray(image)
    except ImageError:
        raise
    except Exception as error:  # a broken file fails in any way that its format's reader can
        raise ImageError(f"{name}: cannot be read: {one_line(error)}; {LOSSLESS}") from error
    if values.size and (int(values.max()) > 255 or int(values.min()) < 0):
        raise ImageError(f"{name}: label {values.max()}, where 255 (not counted) is the last; {LOSSLESS}")
    return torch.from_numpy(values.astype(np.uint8))


def check_size(mask: Path, of_mask: tuple[int, ...], picture: Path, of_picture: tuple[int, int]) -> None:
    """Refuse a mask that has not the size of its picture.

    >>> check_size(Path("a.png"), (4, 5), Path("a.jpg"), (5, 4))
    Traceback (most recent call last):
    unconv.errors.ImageError: mask a.png: 4x5, its picture a.jpg is 5x4; give each picture a mask of its own size
    """
    if of_mask != of_picture:
        there, here = ("x".join(map(str, size)) for size in (of_mask, of_picture))
        raise ImageError(
            f"mask {printable(mask)}: {there}, its picture {printable(picture)} is {here}; "
            "give each picture a mask of its own size"
        )


ORIENTATION, TURNED = 0x0112, 5


def picture_size(path: Path) -> tuple[int, int] | None:
    """Height and width that a picture will have when it is read, from its head alone; None where that cannot be read.

    Cameras write a picture that was turned as it came from the sensor, and a tag that says so.
    """
    try:
        with PillowImage.open(path) as image:
            width, height = image.size
            return (width, height) if image.getexif().get(ORIENTATION, 1) >= TURNED else (height, width)
    except Exception:  # told when the picture is read, with the reason
        return None
