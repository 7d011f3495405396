"""Fashion-MNIST: 70,000 grey pictures of clothes, 28×28, ten classes.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
arXiv:1708.07747 (2017). The files are in the idx format of MNIST: a magic number that names type and number of axes,
the sizes as big-endian 32-bit numbers, then bytes.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from os import PathLike
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from unconv.data.arrays import one_line, printable
from unconv.errors import ImageError

Split: TypeAlias = Literal["train", "test"]

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIZE = (28, 28)
# Of the 60,000 training pictures in [0, 1].
MEAN, STD = 0.2860, 0.3530

PLACE = Path("/usr/share/datasets/fashion-mnist")
# torchvision's datasets.FashionMNIST(root) keeps its files below the root.
BELOW = ("", "FashionMNIST/raw", "raw")
PREFIXES = {"train": "train", "test": "t10k"}
UNSIGNED_BYTES = 0x08


class Fashion(NamedTuple):
    """The pictures of one split and the number of the class of each."""

    images: UInt8[Tensor, "count 1 28 28"]
    labels: Int64[Tensor, " count"]


def fashion(split: Split = "train", folder: str | PathLike[str] | None = None) -> Fashion:
    """Read one split of Fashion-MNIST.

    Args:
        split: ``"train"`` (60,000 pictures) or ``"test"`` (10,000).
        folder: where the four idx files are, gzipped or not, or the root given to torchvision's ``FashionMNIST``;
            unless given, where Debian's package ``dataset-fashion-mnist`` puts them.

    Raises ImageError where the files are missing, saying how to get them, and where one of them is damaged.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> write_idx(Path(folder, "t10k-images-idx3-ubyte.gz"), np.zeros((5, 28, 28), np.uint8))
    >>> write_idx(Path(folder, "t10k-labels-idx1-ubyte.gz"), np.arange(5, dtype=np.uint8))
    >>> images, labels = fashion("test", folder)
    >>> images.shape, images.dtype, [CLASSES[label] for label in labels[:2]]
    (torch.Size([5, 1, 28, 28]), torch.uint8, ['T-shirt/top', 'Trouser'])
    """
    if split not in PREFIXES:
        raise ImageError(f"fashion: split {split!r} is unknown; it is 'train' or 'test'")
    images_path, labels_path = find_fashion(split, folder)
    images, labels = read_idx(images_path, axes=3), read_idx(labels_path, axes=1)
    if tuple(images.shape[1:]) != SIZE:
        raise ImageError(f"{printable(images_path)}: pictures of {images.shape[1]}x{images.shape[2]}, not 28x28")
    if len(images) != len(labels):
        raise ImageError(
            f"{printable(images_path)}: {len(images)} pictures, and {len(labels)} labels in {labels_path.name}; "
            "take both files from one source"
        )
    if len(labels) and int(labels.max()) >= len(CLASSES):
        raise ImageError(f"{printable(labels_path)}: label {int(labels.max())}, where {len(CLASSES) - 1} is the last")
    return Fashion(images[:, None], labels.to(torch.int64))


def holds_fashion(folder: str | PathLike[str]) -> bool:
    """Whether any file of Fashion-MNIST is in a folder, or where torchvision puts it below.

    >>> holds_fashion("nowhere")
    False
    """
    return any(_there(Path(folder, below), split) for below in BELOW for split in PREFIXES)


def find_fashion(split: Split, folder: str | PathLike[str] | None = None) -> tuple[Path, Path]:
    """The files of pictures and labels of one split; arguments and errors as for fashion."""
    roots = [PLACE] if folder is None else [Path(folder, below) for below in BELOW]
    for root in roots:
        found = _there(root, split)
        if len(found) == 2:
            return found[0], found[1]
    names = " and ".join(f"{name}.gz" for name in _names(split))
    raise ImageError(
        f"fashion: no {names} in {printable(PLACE if folder is None else Path(folder))}; "
        "apt install dataset-fashion-mnist, or name their folder with --data DIR, "
        "or let torchvision.datasets.FashionMNIST(DIR, download=True) fetch them"
    )


def _names(split: str) -> tuple[str, str]:
    return f"{PREFIXES[split]}-images-idx3-ubyte", f"{PREFIXES[split]}-labels-idx1-ubyte"


def _there(root: Path, split: str) -> list[Path]:
    """Those of the two files that are in a folder, the gzipped one where both forms are."""
    pairs = [(root / f"{name}.gz", root / name) for name in _names(split)]
    return [path for pair in pairs for path in [next(filter(Path.is_file, pair), None)] if path is not None]


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

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> write_idx(path, np.array([3, 1], np.uint8))
    >>> path.read_bytes().hex(" ", 4)
    '0000 08010000 00020301'
    """
    head = struct.pack(f">{1 + values.ndim}I", UNSIGNED_BYTES << 8 | values.ndim, *values.shape)
    content = head + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
