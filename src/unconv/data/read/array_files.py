"""Arrays in files of numpy, ``.npy`` and ``.npz``, read without running anything that they hold."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from unconv.data.arrays import CHANNELS, Array, check_pixels
from unconv.data.convert import as_image_tensor
from unconv.data.read.reading import Reading
from unconv.describe import by_size, listed
from unconv.errors import ImageError, one_line

SUFFIXES = (".npy", ".npz")


def is_array_file(path: Path) -> bool:
    """Whether a file's name is that of an array.

    >>> is_array_file(Path("scan.NPY")), is_array_file(Path("scan.png"))
    (True, False)
    """
    return path.suffix.lower() in SUFFIXES


def read_array(path: Path, reading: Reading) -> tuple[Float[Tensor, "channels height width"], tuple[str, ...]]:
    """The picture of a file, as :func:`~unconv.data.convert.as_image_tensor` reads arrays, and how it was read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "bands.npy"
    >>> np.save(path, np.zeros((48, 64, 5), dtype=np.uint16))
    >>> picture, notes = read_array(path, Reading(channels=5))
    >>> picture.shape, notes
    (torch.Size([5, 48, 64]), ('array 48×64×5 of uint16, channels last',))
    """
    array = load_array(path)
    last = array.ndim == 3 and array.shape[2] in ((reading.channels,) if reading.every_channel else CHANNELS)
    check_pixels(array.shape[:2] if last else array.shape[-2:], reading.max_pixels)
    picture = as_image_tensor(
        np.asarray(array), mode=reading.mode, background=reading.background, channels=reading.channels
    )
    order = f", channels {'last' if last else 'first'}" if array.ndim == 3 else ""
    return picture, (f"array {by_size(array.shape)} of {array.dtype}{order}",)


def load_array(path: Path) -> Array:
    """The array of a file; of several in an ``.npz`` there is none to choose.

    Raises ImageError for files that are no arrays, and for Python objects in them, which are not loaded.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "two.npz"
    >>> np.savez(path, a=np.zeros(2), b=np.zeros(3))
    >>> load_array(path)
    Traceback (most recent call last):
    unconv.errors.ImageError: 2 arrays (a, b); save one picture or clip a file
    """
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return np.asarray(loaded)
        with loaded:
            if len(loaded.files) != 1:
                raise ImageError(
                    f"{len(loaded.files)} arrays ({listed(loaded.files)}); save one picture or clip a file"
                )
            return np.asarray(loaded[loaded.files[0]])
    except ImageError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        objects = "allow_pickle" in str(error) or "Python objects" in str(error)
        reason = "it holds Python objects, which are not loaded; save numbers" if objects else one_line(error)
        raise ImageError(f"no array of numpy that can be read: {reason}") from error
