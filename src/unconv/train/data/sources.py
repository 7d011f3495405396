"""Data sets by name: scikit-learn's digits, and what torchvision has downloaded; nothing is ever fetched from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unconv.data.fashion import CLASSES, FashionSource, find_fashion
from unconv.errors import ImageError, MissingExtraError, one_line, printable
from unconv.train.data.examples import TensorExamples

DIGITS_HELD_OUT = 0.25

# By the name in front of the colon: torchvision's class, and what it lays out in the folder it is given.
TORCHVISION = {
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
    "mnist": ("MNIST", "MNIST/raw"),
}
NAMES = ("digits", "fashion-mnist", *TORCHVISION)


class Named(NamedTuple):
    """A data set.

    Attributes:
        name: what it is called.
        classes: the names of its classes.
        train: the part to train on.
        held_out: the part to measure on.
        mirror: whether pictures may be mirrored.
        garments: where they were read from, if they are Fashion-MNIST.
    """

    name: str
    classes: tuple[str, ...]
    train: TensorExamples
    held_out: TensorExamples
    mirror: bool
    garments: FashionSource | None = None


def named_source(data: str) -> tuple[str, str] | None:
    """Name and folder where ``data`` is ``NAME`` or ``NAME:DIR``; None where it is the path of a folder.

    >>> named_source("cifar10:/data"), named_source("digits"), named_source("photos/digits")
    (('cifar10', '/data'), ('digits', ''), None)
    """
    name, _, folder = data.partition(":")
    return (name, folder) if name in NAMES else None


def read_source(name: str, folder: str, seed: int) -> Named:
    """Read a data set that is there.

    Args:
        name: one of NAMES.
        folder: where it is; for torchvision's the folder that its class was given. Empty for ``digits``, and for
            Fashion-MNIST from where :func:`~unconv.data.fashion.find_fashion` finds it.
        seed: of what is held out of the digits.

    Raises ImageError where it is not there, MissingExtraError where scikit-learn or torchvision is not.
    """
    if name == "digits":
        return _digits(folder, seed)
    if name == "fashion-mnist":
        source = find_fashion(folder or None)
        train, held_out = TensorExamples(*source.read("train")), TensorExamples(*source.read("test"))
        return Named(source.name, CLASSES, train, held_out, mirror=True, garments=source)
    return _from_torchvision(name, folder)


def _digits(folder: str, seed: int) -> Named:
    """1,797 digits of 8×8 with 17 grey levels (E. Alpaydin and C. Kaynak 1998), a quarter of each class held out."""
    if folder:
        raise ImageError(f"data digits:{printable(folder)}: the digits come with scikit-learn; say digits alone")
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise MissingExtraError("data digits", "scikit-learn", "train") from error
    digits = load_digits()
    parts = train_test_split(
        digits.images, digits.target, test_size=DIGITS_HELD_OUT, stratify=digits.target, random_state=seed
    )
    images, held_images, targets, held_targets = map(torch.as_tensor, parts)
    names = tuple(map(str, digits.target_names))
    return Named("digits", names, _grey(images, targets), _grey(held_images, held_targets), mirror=False)


def _grey(images: Tensor, targets: Tensor) -> TensorExamples:
    """Of levels from 0 to 16."""
    return TensorExamples((images / 16).to(torch.float32)[:, None], targets.to(torch.int64))


def _from_torchvision(name: str, folder: str) -> Named:
    kind, laid_out = TORCHVISION[name]
    fetch = f"torchvision.datasets.{kind}(DIR, download=True) fetches it, and data={name}:DIR reads it"
    if not folder:
        raise ImageError(f"data {name}: in which folder? {fetch}")
    try:
        from torchvision import datasets
    except ImportError as error:
        raise MissingExtraError(f"data {name}", "torchvision", "demo") from error
    if not Path(folder, laid_out).is_dir():
        raise ImageError(f"data {name}:{printable(folder)}: no {laid_out} in it; {fetch}")
    try:
        train, held_out = (getattr(datasets, kind)(folder, train=part, download=False) for part in (True, False))
    except Exception as error:
        # A damaged file fails in any way its reader can.
        raise ImageError(f"data {name}:{printable(folder)}: cannot be read: {one_line(error)}; {fetch}") from error
    return Named(kind, tuple(train.classes), _bytes(train), _bytes(held_out), mirror=name != "mnist")


def _bytes(part: Any) -> TensorExamples:
    images = torch.as_tensor(part.data)
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return TensorExamples(images, torch.as_tensor(part.targets).to(torch.int64))
