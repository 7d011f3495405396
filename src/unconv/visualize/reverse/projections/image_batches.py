"""Images for a projection: batches as the network takes them, from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from torch import Tensor, nn

from unconv.data.arrays import WHITE
from unconv.data.convert import from_numpy, unit_range
from unconv.data.read.batches import Batch, Prepare, collection_of
from unconv.data.read.items import InMemory, Skipped
from unconv.data.read.pictures import Pictures
from unconv.data.read.read_item import read_item
from unconv.data.read.reading import Reading
from unconv.data.read.source import pictures_of, stack_pictures
from unconv.describe import by_size
from unconv.errors import ImageError, UnconvError
from unconv.models.load.open_model import OpenedModel, open_model
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.transforms import Transform, first_channels
from unconv.network.run.forward import check_images
from unconv.network.run.held_inputs import Inputs, Keywords

# Images by their numbers: Sequence[Tensor] | Tensor; not said here, as checking the type of one would read it.
Tensors: TypeAlias = Any
# Images read and computed before the next are read.
BATCH = 32


def image_batches(
    module: nn.Module,
    images: Any,
    prepare: Prepare | None,
    operation: str = "project",
    max_pixels: int | None = None,
) -> Iterator[Batch]:
    """Images in batches on the device of a network, and in its precision where they are pictures.

    Args:
        module: the network.
        images: a tensor, with or without the batch, or a list of tensors, which are taken as they are where there is
            nothing to prepare; else whatever :func:`~unconv.data.read.batches.collection_of` takes.
        prepare: what the network wants done to a picture, see :func:`prepare_for`.
        operation: who asks; messages begin with it.
        max_pixels: of pictures that are read.

    Raises :class:`~unconv.errors.ImageError` where nothing could be read, UnconvError for tensors of several sizes.

    >>> [batch.images.shape for batch in image_batches(nn.Conv2d(3, 4, 3), torch.rand(3, 8, 8), None)]
    [torch.Size([1, 3, 8, 8])]
    """
    axes = axes_of(module)
    given = _as_tensors(images, axes) if prepare is None else None
    if given is not None:
        given = like_weights(module, given) if isinstance(images, np.ndarray) else given
        check_images(given)
        numbers = tuple(range(len(given)))
        yield Batch(given, numbers, tuple(f"image {number}" for number in numbers), len(given))
        return
    empty, skipped = True, []
    reading = reading_for(module, prepare if isinstance(prepare, Preprocess) else None, max_pixels)
    for batch in collection_of(images, prepare, BATCH, axes, reading).batches:
        skipped += batch.skipped
        if batch.numbers:
            empty = False
            yield Batch(like_weights(module, batch.images), batch.numbers, batch.names, batch.count, batch.skipped)
        else:
            yield batch
    if empty:
        raise nothing_used(operation, skipped)


def nothing_used(operation: str, skipped: Sequence[Skipped]) -> ImageError:
    """What to raise where no image could be used, with the first reasons.

    >>> nothing_used("scan", [])
    ImageError('scan: no image could be used: there are none')
    """
    told = "; ".join(map(str, skipped[:3])) or "there are none"
    return ImageError(f"{operation}: no image could be used: {told}")


def prepare_for(opened: OpenedModel, images: Any, transform: Transform | None = None) -> Preprocess | None:
    """What images go through before the network: the one rule for all that look into networks.

    Tensors of floats are what the network takes: they go in as they are, unless a transform is given, which they go
    through then. Everything else is a picture and goes through the network's transform: files, Pillow pictures, arrays,
    and tensors of bytes. (Float tensors that a dataset or a loader makes have been prepared by it.)

    >>> opened = OpenedModel("net", nn.Conv2d(3, 4, 3)).for_pictures()
    >>> prepare_for(opened, torch.rand(2, 3, 8, 8)) is None, prepare_for(opened, "photos") is None
    (True, False)
    """
    return None if transform is None and holds_tensors(images) else opened.preprocess


def open_for_images(
    model: Any,
    operation: str,
    images: Any,
    transform: Transform | None = None,
    inputs: Inputs = None,
    kwargs: Keywords = None,
) -> OpenedModel:
    """The network, with the transform that pictures go through; tensors go into a bare module as they are.

    >>> open_for_images(nn.Conv2d(3, 4, 3), "scan", torch.rand(2, 3, 8, 8)).preprocess is None
    True
    >>> open_for_images(nn.Conv2d(3, 4, 3), "scan", "photos").preprocess.size
    (224, 224)
    """
    opened = open_model(model, operation, transform=transform, inputs=inputs, kwargs=kwargs)
    axes = axes_of(opened.module)
    # An array of three axes is no picture for a network of volumes: it goes in as a tensor does.
    pictures = axes in (None, 2) or (axes == 3 and not isinstance(images, np.ndarray))
    return opened.for_pictures() if pictures and not holds_tensors(images) else opened


class NumberedImages(Sequence[Tensor]):
    """Pictures as a network takes them, each read when it is asked for; the last few are kept.

    >>> pictures = NumberedImages(nn.Conv2d(3, 4, 3), pictures_of(torch.rand(5, 3, 8, 8)), None)
    >>> len(pictures), pictures[4].shape
    (5, torch.Size([3, 8, 8]))
    """

    def __init__(self, module: nn.Module, pictures: Pictures, prepare: Prepare | None) -> None:
        self._module, self._pictures, self._prepare = module, pictures, prepare
        self._axes = axes_of(module)
        self._reading = reading_for(module, prepare if isinstance(prepare, Preprocess) else None)
        self._read = lru_cache(BATCH)(self._image)

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Tensor]: ...

    def __getitem__(self, index: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return self._read(range(len(self))[index])

    def _image(self, number: int) -> Tensor:
        chosen = self._pictures.chosen([number])
        (batch,) = collection_of(chosen, self._prepare, 1, self._axes, self._reading).batches
        if not batch.numbers:
            raise ImageError(f"image {number}: {batch.skipped[0]}")
        return like_weights(self._module, batch.images)[0]


def pictures_for(images: Any, transformed: bool, axes: int | None = 2) -> Pictures:
    """Images as pictures that can be read again; tensors of floats are prepared already unless they are transformed.

    Args:
        images: whatever holds them.
        transformed: whether a transform is given, which tensors go through too.
        axes: of the network's images; with three, clips and volumes are read.

    >>> pictures_for(torch.rand(2, 3, 8, 8), transformed=False)[1].ready
    True
    """
    axes = 3 if axes == 3 else 2
    volumes = axes == 3 and isinstance(images, np.ndarray | Tensor)
    tensors = _as_tensors(images, axes) if volumes or (not transformed and holds_tensors(images)) else None
    if tensors is None:
        return pictures_of(images, stacks=axes != 3)
    if transformed:
        return stack_pictures(tensors)
    return Pictures(tuple(InMemory(f"image {number}", one, prepared=True) for number, one in enumerate(tensors)))


def tensor_shape(pictures: Pictures) -> tuple[int, ...] | None:
    """The shape of prepared tensors, by the first of some pictures; None for pictures that are still to be prepared.

    >>> tensor_shape(pictures_for(torch.rand(2, 3, 8, 8), transformed=False))
    (3, 8, 8)
    """
    first = pictures[0] if len(pictures) else None
    return tuple(first.value.shape) if isinstance(first, InMemory) and first.ready else None


def reading_for(module: nn.Module, preprocess: Preprocess | None, max_pixels: int | None = None) -> Reading:
    """How pictures are read for a network: with its channels, and as clips where its images have three axes.

    Args:
        module: the network.
        preprocess: its picture transform.
        max_pixels: larger pictures are skipped; None: the limit that holds for all.

    >>> reading_for(nn.Conv3d(1, 4, 3), None).clips, reading_for(nn.Conv2d(4, 4, 3), None).channels
    (True, 4)
    """
    reading = preprocess.reading if preprocess is not None else Reading(channels=first_channels(module))
    return replace(reading, clips=axes_of(module) == 3, max_pixels=max_pixels or reading.max_pixels)


def clip_shape(pictures: Pictures, reading: Reading) -> tuple[int, ...]:
    """The shape (channel, depth, height, width) of the first clip that can be read.

    Raises :class:`~unconv.errors.ImageError` where there is none.

    >>> clip_shape(pictures_for(torch.rand(2, 1, 16, 8, 8), transformed=False, axes=3), Reading(clips=True))
    (1, 16, 8, 8)
    """
    skipped: list[Skipped] = []
    for number in range(len(pictures)):
        item = pictures[number]
        if isinstance(item, InMemory) and item.ready:
            return tuple(item.value.shape)
        found = read_item(item, reading)
        if isinstance(found, Skipped):
            skipped.append(found)
        elif found.tensor.ndim == 4:
            return tuple(found.tensor.shape)
        else:
            skipped.append(Skipped(found.name, f"a picture of {by_size(found.tensor.shape)}, and no clip", found.path))
    raise nothing_used("see", skipped)


def images_by_number(opened: OpenedModel, images: Any, transform: Transform | None = None) -> Tensors:
    """Images ``(channel, *size)`` by their numbers: as they are where :func:`prepare_for` says so, else as pictures.

    >>> len(images_by_number(OpenedModel("net", nn.Conv2d(3, 4, 3)), torch.rand(2, 3, 8, 8)))
    2
    """
    if isinstance(images, NumberedImages):
        return images
    axes = axes_of(opened.module)
    if prepare_for(opened, images, transform) is None and holds_tensors(images):
        single = isinstance(images, Tensor) and axes is not None and images.ndim == axes + 1
        return images[None] if single else images
    if isinstance(images, Tensor) and axes is not None:
        images = stack_pictures(images[None] if images.ndim == axes + 1 else images)
    opened = opened.for_pictures() if axes in (None, 2) else opened
    return NumberedImages(opened.module, pictures_of(images, stacks=axes != 3), opened.preprocess)


def holds_tensors(images: Any) -> bool:
    """Whether images are tensors alone, as a network takes them; those of bytes are pictures.

    >>> holds_tensors(torch.rand(3, 8, 8)), holds_tensors([torch.rand(3, 8, 8)]), holds_tensors("cat.png")
    (True, True, False)
    >>> holds_tensors(torch.zeros(3, 8, 8, dtype=torch.uint8))
    False
    """
    if isinstance(images, list | tuple):
        return bool(images) and all(map(holds_tensors, images))
    return isinstance(images, Tensor) and images.dtype not in WHITE


def _as_tensors(images: Any, axes: int | None) -> Tensor | None:
    """Tensors as one batch; None for everything else."""
    if isinstance(images, np.ndarray) and axes not in (None, 2):
        # No picture: a signal or a volume.
        images = from_numpy(images)
    if isinstance(images, Tensor) and images.dtype in WHITE:
        if axes in (None, 2):
            return None
        images = unit_range(images)
    if isinstance(images, list | tuple) and holds_tensors(images):
        shapes = {tuple(one.shape) for one in images}
        if len(shapes) > 1:
            sizes = " and ".join(by_size(shape) for shape in sorted(shapes)[:2])
            raise UnconvError(
                f"images: tensors of {sizes}; bring them to one size, give them one after the other, or say transform= "
                "for pictures in [0, 1]"
            )
        joined = torch.cat if axes is not None and images[0].ndim == axes + 2 else torch.stack
        images = joined(list(images))
    if not isinstance(images, Tensor):
        return None
    # A volume of one channel has none in front.
    batch: Tensor = images[None] if axes == images.ndim == 3 else images
    return batch[None] if axes is not None and batch.ndim == axes + 1 else batch


def axes_of(module: nn.Module) -> int | None:
    """How many axes a network's images have, by its first convolution; None where it has none.

    >>> axes_of(nn.Sequential(nn.Conv1d(2, 4, 3))), axes_of(nn.Linear(3, 4))
    (1, None)
    """
    kinds = nn.modules.conv._ConvNd
    return next((len(layer.kernel_size) for layer in module.modules() if isinstance(layer, kinds)), None)


def like_weights(module: nn.Module, images: Tensor) -> Tensor:
    """Images on the device and in the precision of a network's weights.

    >>> like_weights(nn.Conv2d(3, 4, 3).double(), torch.rand(1, 3, 8, 8)).dtype
    torch.float64
    """
    weight = next((p for p in module.parameters() if p.is_floating_point()), None)
    return images if weight is None else images.to(weight)
