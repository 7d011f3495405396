"""Items of a source of pictures: a file, a member of an archive, an array in memory, an entry of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.describe import by_size, counted, listed, spread
from unconv.errors import ImageError, printable
from unconv.results import Plotted, Shown, Tabled, draw_with

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


@dataclass(frozen=True)
class Clip:
    """A video or a volume: a file of several frames, or the files of its frames in their order.

    Attributes:
        name: that of the file or of the folder.
        files: the file of all frames, or one of each.
        path: the file, or the folder.
    """

    name: str
    files: tuple[Path, ...]
    path: Path


@dataclass(frozen=True, eq=False, repr=False)
class InMemory(Shown):
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


@dataclass(frozen=True, eq=False, repr=False)
class Image(Plotted):
    """A picture that was read.

    Attributes:
        name: as given or found, verbatim.
        tensor: the picture, values in [0, 1]; of a clip or a volume (channels, frames, height, width), those of
            an array in a file as they are.
        path: the file, None for ready arrays.
        notes: what was done on the way and a reader should know, one phrase each.

    >>> Image("noise", torch.rand(3, 48, 64)).size
    (48, 64)
    """

    name: str
    tensor: Float[Tensor, channels * size]
    path: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return (self.tensor.shape[-2], self.tensor.shape[-1])

    def plot(self) -> Figure:
        """Draw it. Raises MissingExtraError where matplotlib is not installed."""
        figure: Figure = draw_with("unconv.data.thumbnails:plot_pictures", [self.tensor], [self.name])
        return figure

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture as it is, whole or not at all, and return where; the ending chooses the format."""
        return Path(draw_with("unconv.data.arrays:save_image", self.tensor, path))

    def _heading(self) -> str:
        return f"Image {self.name}: {by_size(self.tensor.shape)}, {_range(self.tensor)}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        if self.path is not None:
            yield "file", str(self.path)
        if self.notes:
            yield "notes", "; ".join(self.notes)


Item: TypeAlias = ImageFile | Clip | Member | InMemory | Entry | Image | Skipped


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet(Plotted, Tabled):
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

    def plot(self) -> Figure:
        """Draw the first pictures, small. Raises MissingExtraError where matplotlib is not installed."""
        pictures, names = [image.tensor for image in self.images], [image.name for image in self.images]
        figure: Figure = draw_with("unconv.data.thumbnails:plot_pictures", pictures, names)
        return figure

    def _heading(self) -> str:
        return f"ImageSet of {counted(len(self), 'picture')}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        shapes = dict.fromkeys(by_size(image.tensor.shape) for image in self.images)
        yield "sizes", listed(shapes)
        yield "names", listed((image.name for image in self.images), most=8)
        noted = [f"{image.name}: {note}" for image in self.images for note in image.notes]
        if noted:
            yield "notes", listed(noted, most=3)
        if self.skipped:
            yield "skipped", f"{len(self.skipped)}: {listed(map(str, self.skipped), most=3)}"

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for image in self.images:
            yield {
                "name": image.name,
                "channels": image.tensor.shape[0],
                "height": image.size[0],
                "width": image.size[1],
                "path": None if image.path is None else str(image.path),
                "notes": "; ".join(image.notes),
            }


def _range(values: Tensor) -> str:
    return f"values {spread((values.min(), values.max()))}" if values.numel() else "no values"
