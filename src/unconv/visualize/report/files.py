"""Files of a report: pictures encoded as PNG or JPEG, beside the page or inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image as PillowImage
from torch import Tensor

from unconv.data.images import to_pil
from unconv.errors import UnconvError
from unconv.files import write_whole

Store = Callable[..., str]

# Files and folders of a report.
NAMES = ("index.html", "report.json", "report.pdf", "images", "sheets")
# Below this side a picture is stored without loss: JPEG would show more of itself than of the picture.
LOSSLESS_SIDE = 64
# Of a hundred: artefacts are below what the eye sees in a tile, and a report's sheets stay small.
JPEG_QUALITY = 90


def encode(
    picture: Float[Tensor, "channel height width"] | UInt8[Tensor, "channel height width"], lossless: bool | None = None
) -> tuple[bytes, str]:
    """A picture in [0, 1], or in bytes, as a file, and the file's type: PNG when small, JPEG when not, unless told.

    >>> encode(torch.rand(3, 8, 8))[1], encode(torch.rand(3, 80, 80))[1]
    ('png', 'jpeg')
    """
    buffer = io.BytesIO()
    if picture.dtype == torch.uint8:
        image = PillowImage.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    else:
        image = to_pil(picture)
    if lossless or (lossless is None and max(image.size) < LOSSLESS_SIDE):
        image.save(buffer, "PNG", optimize=lossless is None)
        return buffer.getvalue(), "png"
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue(), "jpeg"


def store_for(folder: Path, single_file: bool) -> Store:
    """Where a page's pictures go, files or the page itself: called with a name and a picture, tells an address."""
    return _embed if single_file else _file_store(folder)


def prefixed(store: Store, prefix: str) -> Store:
    """The same place, where every name begins with a prefix."""

    def keep(name: str, picture: Tensor, lossless: bool | None = None) -> str:
        return store(prefix + name, picture, lossless)

    return keep


def _embed(_name: str, picture: Tensor, lossless: bool | None = None) -> str:
    data, kind = encode(picture.cpu(), lossless)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _file_store(folder: Path) -> Store:
    def store(name: str, picture: Tensor, lossless: bool | None = None) -> str:
        data, kind = encode(picture.cpu(), lossless)
        path = f"images/{name}.{'jpg' if kind == 'jpeg' else kind}"
        write_file(folder / path, data)
        return path

    return store


def write_file(path: Path, content: str | bytes) -> Path:
    """Write a file and the folders above it; a refusal of the system becomes one line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnconvError(f"report: cannot write {path}: {error.strerror or error}; choose another folder") from None
    # Names of files that are no UTF-8 appear with their bytes escaped.
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    return write_whole(path, data, "report")
