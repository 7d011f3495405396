"""Fashion-MNIST: 70,000 grey pictures of clothes, 28×28, ten classes; a tenth of them comes with unconv.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
arXiv:1708.07747 (2017).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from unconv.choices import Split as Split
from unconv.data.fashion_files.idx import read_idx
from unconv.data.fashion_files.sheets import read_sheet
from unconv.errors import ImageError, printable
from unconv.results import Shown

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

PUBLISHED = {"train": 60_000, "test": 10_000}
# The same number of each class, see shipped/README.md.
EMBEDDED = {"train": 6_000, "test": 1_000}
SHIPPED = Path(__file__).parent / "shipped"

# Set to anything but 0, it turns off every look outside the package that was not asked for by a folder's name.
EMBEDDED_ONLY = "UNCONV_EMBEDDED_ONLY"
PLACE = Path("/usr/share/datasets/fashion-mnist")
# torchvision's datasets.FashionMNIST(root) keeps its files below the root.
BELOW = ("", "FashionMNIST/raw", "raw")
PREFIXES = {"train": "train", "test": "t10k"}
WAYS = (
    "apt install dataset-fashion-mnist, or name their folder with data=DIR, "
    "or let torchvision.datasets.FashionMNIST(DIR, download=True) fetch them"
)


@dataclass(frozen=True, eq=False, repr=False)
class Fashion(Shown):
    """The pictures of one split and the number of the class of each, which is also what it unpacks to.

    Attributes:
        images: grey, bright on black.
        labels: numbers in CLASSES.
        source: where they were read from.
    """

    images: UInt8[Tensor, "count 1 28 28"]
    labels: Int64[Tensor, " count"]
    source: FashionSource | None = None

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.images, self.labels))


@dataclass(frozen=True)
class FashionSource:
    """Where Fashion-MNIST is read from.

    Attributes:
        folder: of its idx files, or the root given to torchvision's ``FashionMNIST``; None: the part that comes with
            unconv.
        named: whether the user named it; else it was found by looking.

    >>> FashionSource(None).name
    'Fashion-MNIST, 6,000 of 60,000 garments'
    """

    folder: Path | None
    named: bool = False

    @property
    def name(self) -> str:
        """What it is, as a phrase."""
        some = f", {EMBEDDED['train']:,} of {PUBLISHED['train']:,} garments"
        return "Fashion-MNIST" + (some if self.folder is None else "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told who has not named it: a line, or none."""
        if self.named:
            return ()
        if self.folder is not None:
            return (f"Fashion-MNIST: the files in {printable(self.folder)}",)
        train, test = (f"{EMBEDDED[split]:,} of {PUBLISHED[split]:,}" for split in PUBLISHED)
        return (
            f"Fashion-MNIST: the part that comes with unconv, {train} garments to train on and {test} to test on; "
            "the whole set: data=DIR, or apt install dataset-fashion-mnist",
        )

    def read(self, split: Split) -> Fashion:
        """The garments of one split; what is raised as for fashion."""
        if split not in PREFIXES:
            raise ImageError(f"fashion: split {split!r} is unknown; it is 'train' or 'test'")
        if self.folder is None:
            images, labels = read_sheet(SHIPPED / f"fashion-{split}.png", SIZE[0])
        else:
            images, labels = _read_published(split, self.folder)
        return Fashion(images[:, None], labels.to(torch.int64), self)


Place: TypeAlias = str | PathLike[str] | FashionSource | None


def fashion(split: Split = "train", folder: Place = None) -> Fashion:
    """Read one split of Fashion-MNIST.

    Args:
        split: ``"train"`` or ``"test"``.
        folder: where to find it, see :func:`find_fashion`.

    Raises ImageError where the folder has not the files, saying how to get them, and where one of them is damaged.

    >>> images, labels = fashion("test")
    >>> images.dtype, CLASSES[labels[0]]
    (torch.uint8, 'Ankle boot')
    """
    return find_fashion(folder).read(split)


def find_fashion(folder: Place = None) -> FashionSource:
    """Where Fashion-MNIST is.

    Args:
        folder: of the four idx files, gzipped or not, or the root given to torchvision's ``FashionMNIST``. Unless
            given, the whole set is taken from where Debian's package ``dataset-fashion-mnist`` puts it, or from
            ``datasets/vision`` in torch's cache, torchvision's own home of data sets; where neither has it, and
            wherever the environment's ``UNCONV_EMBEDDED_ONLY`` is set and not 0, it is the part that comes with unconv.

    >>> find_fashion("clothes").name, find_fashion("clothes").notes
    ('Fashion-MNIST', ())
    """
    if isinstance(folder, FashionSource):
        return folder
    if folder is not None:
        return FashionSource(Path(folder), named=True)
    places = () if _embedded_only() else (PLACE, torchvision_home())
    return FashionSource(next(filter(holds_fashion, places), None))


def whole_fashion(folder: Place = None) -> FashionSource:
    """Where the whole of Fashion-MNIST is: for figures that are published.

    Raises ImageError where the folder has more or less, or none is given and only the embedded part is there.

    >>> whole_fashion(FashionSource(None))
    Traceback (most recent call last):
    unconv.errors.ImageError: fashion: the whole of Fashion-MNIST is needed, 6,000 of 60,000 garments are here...
    """
    source = find_fashion(folder)
    for split, count in PUBLISHED.items():
        if source.folder is None:
            have = EMBEDDED[split]
        else:
            have = len(read_idx(_split_files(split, source.folder)[1], axes=1))
        if have != count:
            where = "are here" if source.folder is None else f"are in {printable(source.folder)}"
            off = f" ({EMBEDDED_ONLY} is set)" if source.folder is None and _embedded_only() else ""
            raise ImageError(
                f"fashion: the whole of Fashion-MNIST is needed, {have:,} of {count:,} garments {where}{off}; {WAYS}"
            )
    return source


def torchvision_home() -> Path:
    """Where torchvision keeps data sets unless told otherwise: ``datasets/vision`` in torch's cache."""
    cache = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    return Path(cache).expanduser() / "datasets" / "vision"


def holds_fashion(folder: str | PathLike[str]) -> bool:
    """Whether any file of Fashion-MNIST is in a folder, or where torchvision puts it below.

    >>> holds_fashion("nowhere")
    False
    """
    return any(_there(Path(folder, below), split) for below in BELOW for split in PREFIXES)


def _embedded_only() -> bool:
    return os.environ.get(EMBEDDED_ONLY, "0") not in ("", "0")


def _read_published(split: str, folder: Path) -> tuple[Tensor, Tensor]:
    """Pictures and labels of one split, from idx files."""
    images_path, labels_path = _split_files(split, folder)
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
    return images, labels


def _split_files(split: str, folder: Path) -> tuple[Path, Path]:
    """The files of pictures and labels of one split."""
    for root in (folder / below for below in BELOW):
        found = _there(root, split)
        if len(found) == 2:
            return found[0], found[1]
    names = " and ".join(f"{name}.gz" for name in _names(split))
    raise ImageError(f"fashion: no {names} in {printable(folder)}; {WAYS}")


def _names(split: str) -> tuple[str, str]:
    return f"{PREFIXES[split]}-images-idx3-ubyte", f"{PREFIXES[split]}-labels-idx1-ubyte"


def _there(root: Path, split: str) -> list[Path]:
    """Those of the two files that are in a folder, the gzipped one where both forms are."""
    pairs = [(root / f"{name}.gz", root / name) for name in _names(split)]
    return [path for pair in pairs for path in [next(filter(Path.is_file, pair), None)] if path is not None]
