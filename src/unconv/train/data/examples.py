"""Training examples: inputs with their targets, fetched a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from unconv.data.images import ImageFile, Skipped, list_images
from unconv.data.read.items import Entry
from unconv.data.read.pictures import Pictures, whole_dataset
from unconv.data.read.read_item import read_item
from unconv.data.read.source import pictures_of
from unconv.errors import ImageError, UnconvError, printable
from unconv.jobs import fingerprint_arrays
from unconv.models.load.preprocess import Preprocess
from unconv.results import Shown

WHITE = 255


@dataclass(frozen=True, eq=False, repr=False)
class Batch(Shown):
    """Some examples that are computed together.

    Attributes:
        inputs: as the network takes them, one along the first axis for each example.
        targets: what is wanted of each.
        skipped: what could not be read, and why.
    """

    inputs: Tensor
    targets: Tensor
    skipped: tuple[str, ...] = ()


class Examples(Protocol):
    """Numbered examples."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def fetch(self, numbers: Sequence[int]) -> Batch:
        """The examples of these numbers, the same whenever they are asked for."""
        ...

    def fingerprint(self) -> Any:
        """What tells them from others."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class TensorExamples(Shown):
    """Examples in memory.

    Attributes:
        inputs: one along the first axis for each example; bytes stand for [0, 1].
        targets: what is wanted of each.
        prepare: what is done to a batch of inputs before the network gets it.

    >>> examples = TensorExamples(torch.full((9, 1, 4, 4), 255, dtype=torch.uint8), torch.arange(9))
    >>> batch = examples.fetch([3, 1])
    >>> batch.inputs.shape, batch.inputs.max(), batch.targets
    (torch.Size([2, 1, 4, 4]), tensor(1.), tensor([3, 1]))
    """

    inputs: Tensor
    targets: Tensor
    prepare: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise UnconvError(f"examples: {len(self.inputs)} inputs, {len(self.targets)} targets; give one for each")

    def __len__(self) -> int:
        return len(self.inputs)

    def fetch(self, numbers: Sequence[int]) -> Batch:
        """The examples of these numbers."""
        chosen = torch.as_tensor(numbers, dtype=torch.int64)
        inputs = self.inputs[chosen]
        if inputs.dtype == torch.uint8:
            inputs = inputs.to(torch.float32) / WHITE
        return Batch(inputs if self.prepare is None else self.prepare(inputs), self.targets[chosen])

    def fingerprint(self) -> Any:
        """Type, shape and SHA-256 of inputs and targets."""
        return fingerprint_arrays(inputs=self.inputs, targets=self.targets)


@dataclass(frozen=True, eq=False, repr=False)
class PictureExamples(Shown):
    """Pictures that are read when they are fetched; those that cannot be are left out of their batch, and named.

    Attributes:
        items: the picture of each example: a file, a member of an archive, an entry of a dataset, …
        targets: the number of its class.
        prepare: the picture transform of the network.
    """

    items: tuple[Any, ...]
    targets: Tensor
    prepare: Preprocess = field(default_factory=Preprocess)

    def __len__(self) -> int:
        return len(self.items)

    def fetch(self, numbers: Sequence[int]) -> Batch:
        """The pictures of these numbers that can be read."""
        inputs, kept, skipped = [], [], []
        for number in numbers:
            picture = read_item(self.items[number])
            try:
                if not isinstance(picture, Skipped):
                    inputs.append(self.prepare(picture.tensor))
                    kept.append(number)
                    continue
            except ImageError as error:
                picture = Skipped(picture.name, str(error), picture.path)
            skipped.append(str(picture))
        empty = torch.empty(0, *self.prepare.input_size)
        return Batch(
            torch.cat(inputs) if inputs else empty, self.targets[torch.tensor(kept, dtype=torch.int64)], tuple(skipped)
        )

    def fingerprint(self) -> Any:
        """Names, sizes and times of the files, values of what is in memory."""
        return Pictures(self.items).fingerprint()


def classified_examples(data: Any) -> tuple[PictureExamples, tuple[str, ...]]:
    """The pictures of an archive, a dataset or a list, and the names of their classes in their order.

    The class of a picture is its folder, what a dataset has in ``classes`` and ``targets``, or what its samples name
    behind the picture.

    Raises ImageError where there are not two classes.

    >>> examples, classes = classified_examples([(torch.rand(3, 8, 8), 1), (torch.rand(3, 8, 8), 0)])
    >>> classes, examples.targets
    (('0', '1'), tensor([1, 0]))
    """
    pictures = pictures_of(data)
    labels = [_label(pictures, number) for number in range(len(pictures))]
    found = {label for label in labels if label is not None}
    if len(found) < 2 or None in labels:
        raise ImageError(
            f"data: {len(labels)} pictures of {len(found)} classes, {labels.count(None)} of no class; put them into "
            "folders of their classes, or give a dataset with (picture, class)"
        )
    # Words by the alphabet, numbers by their size.
    classes = tuple(sorted(found, key=lambda label: (len(label) if label.isdecimal() else 0, label)))
    named = tuple(map(str, getattr(whole_dataset(data), "classes", ())))
    classes = named if found <= set(named) else classes
    return PictureExamples(tuple(pictures), torch.tensor([classes.index(label or "") for label in labels])), classes


def _label(pictures: Pictures, number: int) -> str | None:
    """The class of a picture; a dataset that does not list its classes is asked for the sample."""
    label = pictures.label(number)
    if label is None and isinstance(pictures.item(number), Entry):
        label = getattr(pictures[number], "label", None)
    return label


def folder_examples(folder: Path) -> tuple[PictureExamples, tuple[str, ...]]:
    """The pictures below a folder of folders, one for each class, and the names of the classes in their order.

    Raises ImageError where there are not two folders with files in them, or one is empty.

    >>> import tempfile
    >>> folder_examples(Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    unconv.errors.ImageError: data ...: 0 folders with files in them; make one for each class, two at least
    """
    found = [item for item in list_images(folder) if isinstance(item, ImageFile) and "/" in item.name]
    classes = tuple(sorted({item.name.partition("/")[0] for item in found}))
    if len(classes) < 2:
        raise ImageError(
            f"data {printable(folder)}: {len(classes)} folders with files in them; make one for each class, "
            "two at least"
        )
    empty = sorted({path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."} - set(classes))
    if empty:
        raise ImageError(
            f"data {printable(folder)}: no files for class {', '.join(map(printable, empty[:3]))}; add pictures, or "
            "remove the folder"
        )
    place = {name: number for number, name in enumerate(classes)}
    targets = torch.tensor([place[item.name.partition("/")[0]] for item in found])
    return PictureExamples(tuple(found), targets), classes


def split_off(
    examples: PictureExamples, part: float, seed: int, classes: Sequence[str]
) -> tuple[PictureExamples, PictureExamples]:
    """Two sets out of one: the rest, and a part of each class, at least one picture of it, chosen at random.

    Raises UnconvError where nothing would be left of a class.

    >>> files = tuple(ImageFile(Path(f"{n}.png"), f"{n}.png") for n in range(20))
    >>> examples = PictureExamples(files, torch.arange(20) % 2)
    >>> [len(half) for half in split_off(examples, 0.2, seed=0, classes=("cat", "dog"))]
    [16, 4]
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(len(examples), dtype=torch.bool)
    for target in sorted(set(examples.targets.tolist())):
        members = (examples.targets == target).nonzero().flatten()
        count = max(1, round(part * len(members)))
        if count >= len(members):
            raise UnconvError(
                f"data: class {target} ({printable(classes[target])}) has {len(members)} pictures, {count} of them "
                "held out; give more of them"
            )
        chosen[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return _some(examples, ~chosen), _some(examples, chosen)


def _some(examples: PictureExamples, chosen: Tensor) -> PictureExamples:
    items = tuple(examples.items[number] for number in chosen.nonzero().flatten().tolist())
    return PictureExamples(items, examples.targets[chosen], examples.prepare)


def check_readable(examples: PictureExamples, classes: tuple[str, ...], what: str) -> None:
    """Refuse, before anything is trained, a class of which no picture can be read; each is read up to the first.

    Raises ImageError that names the class and what its first file says.
    """
    for target, name in enumerate(classes):
        members = (examples.targets == target).nonzero().flatten().tolist()
        pictures = (read_item(examples.items[number]) for number in members)
        skipped = []
        for picture in pictures:
            if not isinstance(picture, Skipped):
                break
            skipped.append(picture)
        else:
            first = f" ({skipped[0]})" if skipped else ""
            raise ImageError(
                f"{what}: class {printable(name)} has no picture that can be read, of {len(members)}{first}; "
                "every class needs some"
            )
