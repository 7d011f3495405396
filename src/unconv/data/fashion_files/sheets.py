"""Small grey pictures packed into one PNG: cells in rows, and the class of each in the text of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin
from torch import Tensor

from unconv.errors import ImageError, one_line, printable

COLUMNS = 100
LABELS = "labels"


def write_sheet(path: Path, images: UInt8[Tensor, "count side side"], labels: UInt8[Tensor, " count"]) -> None:
    """Pack square pictures, row by row, and their labels from 0 to 9, a digit each.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "sheet.png")
    >>> write_sheet(path, torch.zeros(101, 4, 4, dtype=torch.uint8), torch.zeros(101, dtype=torch.uint8))
    >>> with Image.open(path) as sheet:
    ...     print(sheet.size)
    (400, 8)
    """
    count, side = images.shape[:2]
    rows = -(-count // COLUMNS)
    cells = torch.zeros(rows * COLUMNS, side, side, dtype=torch.uint8)
    cells[:count] = images
    sheet = cells.reshape(rows, COLUMNS, side, side).transpose(1, 2).reshape(rows * side, COLUMNS * side)
    text = PngImagePlugin.PngInfo()
    text.add_text(LABELS, "".join(map(str, labels.tolist())), zip=True)
    Image.fromarray(sheet.numpy()).save(path, pnginfo=text, optimize=True)


def read_sheet(path: Path, side: int) -> tuple[UInt8[Tensor, "count side side"], UInt8[Tensor, " count"]]:
    """The pictures of a sheet and their labels.

    Raises ImageError where the file is missing, damaged, or no such sheet.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "sheet.png")
    >>> write_sheet(path, torch.full((3, 4, 4), 7, dtype=torch.uint8), torch.tensor([4, 0, 9], dtype=torch.uint8))
    >>> images, labels = read_sheet(path, side=4)
    >>> images.shape, labels
    (torch.Size([3, 4, 4]), tensor([4, 0, 9], dtype=torch.uint8))
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            sheet = np.array(picture)
            digits = str(picture.text.get(LABELS, ""))  # type: ignore[attr-defined]
    except Exception as error:
        # A damaged file fails in any way its decoder can.
        raise ImageError(f"{printable(path)}: cannot be read: {one_line(error)}; install unconv again") from error
    rows = -(-len(digits) // COLUMNS)
    if sheet.dtype != np.uint8 or sheet.shape != (rows * side, COLUMNS * side) or not digits.isdecimal():
        raise ImageError(
            f"{printable(path)}: {'x'.join(map(str, sheet.shape))} {sheet.dtype} and {len(digits)} labels are no sheet "
            f"of {side}x{side} cells; install unconv again"
        )
    cells = sheet.reshape(rows, side, COLUMNS, side).swapaxes(1, 2).reshape(-1, side, side)[: len(digits)]
    labels = np.frombuffer(digits.encode(), np.uint8) - ord("0")
    return torch.from_numpy(np.ascontiguousarray(cells)), torch.from_numpy(labels)
