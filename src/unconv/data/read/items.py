"""Items of a source of pictures: a file, a member of an archive, an array in memory, an entry of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.errors import ImageError, printable


@dataclass(frozen=True)
class ImageFile:
    """A file that may hold a picture, and the name to show: the file's own, or its place below the folder given."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a tar archive that may hold a picture, and where its bytes are."""

    archive: Path
    name: str
    offset: int
    size: int


@dataclass(frozen=True, eq=False)
class InMemory:
    """A tensor, an array or a Pillow picture.

    Attributes:
        name: what it is called, ``image 0`` for the first.
        value: the thing itself, unchanged; also what turns out to be no picture.
        prepared: whether it comes from a dataset or a stream, which prepare their tensors for a network themselves.
        label: the class that its sample names; None where it names none.
    """

    name: str
    value: Any
    prepared: bool = False
    label: str | None = None

    @property
    def ready(self) -> bool:
        """Whether a network takes the value as it is: a prepared tensor, but not one of bytes."""
        return self.prepared and isinstance(self.value, Tensor) and self.value.is_floating_point()


@dataclass(frozen=True, eq=False)
class Entry:
    """An item of a dataset that is not fetched yet."""

    dataset: Any
    number: int
    name: str


@dataclass(frozen=True)
class Skipped:
    """An input that gave no picture, and why.

    >>> str(Skipped("holiday.jpg", "empty file (0 bytes)"))
    'holiday.jpg: empty file (0 bytes)'
    """

    name: str
    reason: str
    path: Path | None = None

    def __str__(self) -> str:
        return f"{printable(self.path or self.name)}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Image:
    """A picture that was read.

    Attributes:
        name: as given or found, verbatim.
        tensor: the picture, values in [0, 1].
        path: the file, None for ready arrays.
        notes: what was done on the way and a reader should know, one phrase each.

    >>> Image("noise", torch.rand(3, 48, 64)).size
    (48, 64)
    """

    name: str
    tensor: Float[Tensor, "channels height width"]
    path: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        return (self.tensor.shape[1], self.tensor.shape[2])


Item: TypeAlias = ImageFile | Member | InMemory | Entry | Image | Skipped


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The pictures that could be read, and what was skipped.

    >>> pictures = ImageSet((Image("a", torch.zeros(3, 48, 64)), Image("b", torch.ones(3, 48, 64))))
    >>> len(pictures), pictures[0].name, pictures.batch().shape
    (2, 'a', torch.Size([2, 3, 48, 64]))
    """

    images: tuple[Image, ...]
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images)

    def __getitem__(self, index: int) -> Image:
        return self.images[index]

    def batch(self) -> Float[Tensor, "batch channels height width"]:
        """All pictures as one tensor; raises ImageError where their shapes differ."""
        shapes = {tuple(image.tensor.shape): image.name for image in self.images}
        if len(shapes) > 1:
            (first, name), (other, other_name) = list(shapes.items())[:2]
            raise ImageError(
                f"batch: {printable(name)} is {first} and {printable(other_name)} is {other}; resize to one shape first"
            )
        return torch.stack([image.tensor for image in self.images])
