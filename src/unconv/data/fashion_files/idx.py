"""The idx format of MNIST: a magic number that names type and number of axes, the sizes, then the values.

Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": sizes are big-endian 32-bit numbers. Here
values are unsigned bytes.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from unconv.errors import ImageError, one_line, printable
from unconv.files import write_whole

UNSIGNED_BYTES = 0x08


def read_idx(path: Path, axes: int) -> UInt8[Tensor, "*sizes"]:
    """Read an idx file of unsigned bytes, gzipped if its name ends in .gz, to a tensor of so many axes.

    Raises ImageError for a file that cannot be read, another magic number, and too few or too many bytes.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> write_idx(path, np.array([3, 1, 4], np.uint8))
    >>> read_idx(path, axes=1)
    tensor([3, 1, 4], dtype=torch.uint8)
    """
    name = printable(path)
    again = "the file is damaged; fetch it again"
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            head = stream.read(4 + 4 * axes)
            if len(head) < 4 + 4 * axes:
                raise ImageError(f"{name}: {len(head)} bytes are no idx file of {axes} axes; {again}")
            magic, *sizes = struct.unpack(f">{1 + axes}I", head)
            if magic != UNSIGNED_BYTES << 8 | axes:
                raise ImageError(
                    f"{name}: magic number 0x{magic:08x}, 0x{UNSIGNED_BYTES << 8 | axes:08x} for bytes along {axes} "
                    f"axes expected; {again}"
                )
            size = path.stat().st_size
            # Deflate makes a byte of 1032 at best: what claims more is not read for.
            if prod(sizes) > 1032 * size:
                raise ImageError(f"{name}: says it holds {prod(sizes)} values in {size} bytes; {again}")
            content = stream.read(prod(sizes) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageError(f"{name}: cannot be read: {one_line(error)}; {again}") from error
    if len(content) != prod(sizes):
        have = f"more than {prod(sizes)}" if len(content) > prod(sizes) else str(len(content))
        raise ImageError(f"{name}: {have} values, its head says {'x'.join(map(str, sizes))}; {again}")
    return torch.from_numpy(np.frombuffer(bytearray(content), np.uint8).reshape(sizes))


def write_idx(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Write bytes as an idx file, gzipped if its name ends in .gz.

    Raises UnconvError where the file cannot be written; one that was there stays.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> write_idx(path, np.array([3, 1], np.uint8))
    >>> path.read_bytes().hex(" ", 4)
    '0000 08010000 00020301'
    """
    head = struct.pack(f">{1 + values.ndim}I", UNSIGNED_BYTES << 8 | values.ndim, *values.shape)
    content = head + values.tobytes()
    write_whole(path, gzip.compress(content) if path.suffix == ".gz" else content, "write_idx")
