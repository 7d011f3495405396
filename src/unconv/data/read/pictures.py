"""Pictures in a sequence that can be read again by their numbers, and pictures that come one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from torch import Tensor
from torch.utils.data import Subset

from unconv.data.read.items import Clip, Entry, Image, ImageFile, InMemory, Item, Member, Skipped
from unconv.data.read.read_item import open_item
from unconv.jobs.fingerprint import fingerprint_arrays, fingerprint_files


class Entries(Sequence[Entry]):
    """The items of a dataset, none of them fetched.

    >>> entries = Entries(["a", "b"], start=7)
    >>> len(entries), entries[1].name
    (2, 'image 8')
    """

    def __init__(self, dataset: Any, start: int = 0) -> None:
        self.dataset, self.start, self.length = dataset, start, len(dataset)

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self.length))]
        number = range(self.length)[index]
        return Entry(self.dataset, number, f"image {self.start + number}")


def whole_dataset(dataset: Any) -> Any:
    """The dataset that another is a subset of, which knows the names of the classes; else itself.

    >>> whole_dataset(Subset([3, 4, 5], [0]))
    [3, 4, 5]
    """
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


@dataclass(frozen=True, eq=False)
class Pictures:
    """A sequence of pictures, each read when it is asked for; those left out come back as skipped.

    Attributes:
        items: what holds them, in their order.
        left_out: numbers of some that are not wanted, and why.

    >>> import torch
    >>> pictures = Pictures((InMemory("image 0", torch.rand(3, 40, 60)), Skipped("b.png", "empty file (0 bytes)")))
    >>> len(pictures), pictures.name(1), pictures[1].reason
    (2, 'b.png', 'empty file (0 bytes)')
    """

    # Of Item; not said here, as checking would make every entry of a dataset.
    items: Any
    left_out: tuple[tuple[int, Skipped], ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return (self.item(number) for number in range(len(self)))

    def __getitem__(self, number: int) -> ImageFile | Clip | Member | InMemory | Image | Skipped:
        """An item that can be read; that of a dataset is fetched for it."""
        return open_item(self.item(number))

    @property
    def listed(self) -> bool:
        """Whether each item is known; those of a dataset are not before they are fetched."""
        return not isinstance(self.items, Entries)

    def item(self, number: int) -> Item:
        """An item as it is."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        item: Item = self._left_out.get(number) or self.items[number]
        return item

    def name(self, number: int) -> str:
        """The name of a picture, which is not read for it."""
        return str(self.items[number].name)

    def label(self, number: int) -> str | None:
        """The class of a picture: its sub-folder, where all pictures lie in one, or what the dataset says."""
        item = self.items[number]
        if isinstance(item, InMemory):
            return item.label
        if not isinstance(item, Entry):
            return self.name(number).split("/")[0] if self._in_folders else None
        dataset: Any = item.dataset
        place = item.number
        while isinstance(dataset, Subset):
            dataset, place = dataset.dataset, dataset.indices[place]
        classes, targets = getattr(dataset, "classes", None), getattr(dataset, "targets", None)
        if classes is None or targets is None:
            return None
        return str(classes[int(targets[place])])

    @property
    def labelled(self) -> bool:
        """Whether pictures have classes of their own."""
        return len(self) > 0 and self.label(0) is not None

    @cached_property
    def _left_out(self) -> dict[int, Skipped]:
        return dict(self.left_out)

    @cached_property
    def _in_folders(self) -> bool:
        named = [item.name for item in self.items if not isinstance(item, Skipped)]
        return bool(named) and all("/" in name for name in named)

    def without(self, skipped: Iterable[tuple[int, Skipped]]) -> Pictures:
        """The same with some left out; numbers stay as they are."""
        return replace(self, left_out=(*self.left_out, *skipped))

    def chosen(self, numbers: Sequence[int]) -> Pictures:
        """Some of them, in the order of these numbers."""
        return Pictures(tuple(self.item(number) for number in numbers))

    def fingerprint(self) -> dict[str, Any]:
        """What tells them from others: files by size and time, arrays by their values, datasets by kind and length."""
        if not self.listed:
            return {"dataset": type(self.items.dataset).__name__, "length": len(self)}
        files = dict.fromkeys(
            place for item in self.items if isinstance(item, ImageFile | Clip | Member) for place in _places(item)
        )
        arrays = [_numbers(item) for item in self.items if isinstance(item, InMemory | Image)]
        entries = [(type(item.dataset).__name__, item.number) for item in self.items if isinstance(item, Entry)]
        return {
            **(fingerprint_files(files) if files else {}),
            **(fingerprint_arrays(images=arrays) if arrays else {}),
            **({"datasets": entries} if entries else {}),
        }


def _places(item: ImageFile | Clip | Member) -> tuple[Path, ...]:
    if isinstance(item, Clip):
        return item.files
    return (item.path if isinstance(item, ImageFile) else item.archive,)


def _numbers(item: InMemory | Image) -> Any:
    value = item.tensor if isinstance(item, Image) else item.value
    return value if isinstance(value, Tensor) else np.asarray(value)


@dataclass(frozen=True, eq=False)
class ImageStream:
    """Pictures that come one after the other.

    Attributes:
        items: makes an iterator over what holds them.
        again: whether there is more than one pass; a generator is gone through once.
        kind: what gives them, as far as that can be said.
    """

    items: Callable[[], Iterator[Item]]
    again: bool
    kind: str

    def __iter__(self) -> Iterator[Item]:
        return self.items()

    def fingerprint(self) -> dict[str, Any]:
        """What gives the pictures; what they are is not known before they come."""
        return {"stream": self.kind}
