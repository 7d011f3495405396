"""A network to experiment on, its layers and its images, from however they are held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.models.load.open_model import OpenedModel, open_model
from unconv.network.run.forward import check_images, check_open
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayers
from unconv.visualize.layers import list_feature_maps
from unconv.visualize.map_layers import name_map_layers
from unconv.visualize.reverse.projections.image_batches import holds_tensors, image_batches


def open_network(model: Any, operation: str = "model", inputs: Inputs = None, kwargs: Keywords = None) -> OpenedModel:
    """The network behind a MODEL string, a loaded model or a module, its other inputs held.

    >>> open_network(nn.ReLU()).label(3)
    'class 3'
    """
    opened = open_model(model, operation, inputs=inputs, kwargs=kwargs)
    check_open(opened.module)
    return opened


def layers_or_some(
    module: nn.Module, layers: AnyLayers | None, image: Tensor, otherwise: Callable[[], tuple[str, ...]]
) -> tuple[str, ...]:
    """The names of the layers that were given, or some others where none were; an empty list stays one.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    >>> layers_or_some(model, model[1], torch.rand(1, 1, 8, 8), lambda: ("0",))
    ('1',)
    """
    return otherwise() if layers is None else name_map_layers(module, layers, image[:1])


def as_batch(network: OpenedModel, images: Any, operation: str) -> Tensor:
    """Images (batch, channel, height, width) on the device and in the precision of a network's weights.

    Tensors of floats are taken as they are; a single one (channel, height, width) is a batch of one. Pictures (files,
    folders, Pillow's, arrays, tensors of bytes, datasets, lists of these) go through the network's transform; a bare
    module has none. Raises UnconvError for other shapes, for what cannot be read, and for pictures where no transform
    is known.

    >>> as_batch(OpenedModel("net", nn.Conv2d(3, 1, 1).double()), torch.rand(3, 8, 8), "occlusion").shape
    torch.Size([1, 3, 8, 8])
    """
    module = network.module
    if not holds_tensors(images):
        images = _read(network, images, operation)
    if isinstance(images, list | tuple):
        if len({one.shape for one in images}) > 1:
            raise UnconvError(f"{operation}: tensors of several sizes; bring them to one first")
        images = torch.stack(list(images))
    if isinstance(images, Tensor) and images.ndim == 3:
        images = images[None]
    check_images(images)
    if images.ndim != 4:
        raise UnconvError(f"{operation}: images of shape {tuple(images.shape)}; give (batch, channel, height, width)")
    weight = next((p for p in module.parameters() if p.is_floating_point()), None)
    batch: Tensor = images if weight is None else images.to(weight)
    return batch


def _read(network: OpenedModel, images: Any, operation: str) -> Tensor:
    """Pictures as one batch, as the network wants them."""
    if network.preprocess is None:
        raise UnconvError(
            f"{operation}: {network.name} is a bare module, which does not say what it wants done to pictures; give "
            "images as it wants them, (batch, channel, height, width), or load_model's network"
        )
    batches = []
    for batch in image_batches(network.module, images, network.preprocess, operation):
        if batch.skipped:
            raise UnconvError(f"{operation}: {batch.skipped[0]}; leave it out")
        batches.append(batch.images)
    return torch.cat(batches)


def last_feature_maps(module: nn.Module, image: Tensor) -> str:
    """The last layer that still has a grid: what is nearest to "layer 5" of Zeiler & Fergus.

    >>> last_feature_maps(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten()), torch.rand(1, 1, 8, 8))
    '1'
    """
    maps = list_feature_maps(module, image[:1])
    if not maps:
        raise UnconvError("layer: the model has no layer that returns feature maps; name one")
    return maps[-1].layer


def spread_layers(module: nn.Module, image: Tensor, count: int = 6) -> tuple[str, ...]:
    """Layers over the depth, first and last included.

    >>> model = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(9)))
    >>> spread_layers(model, torch.rand(1, 1, 8, 8), count=3)
    ('0', '4', '8')
    """
    names = [maps.layer for maps in list_feature_maps(module, image[:1])]
    if not names:
        raise UnconvError("layers: the model has no layer that returns feature maps; name the layers")
    if len(names) <= count:
        return tuple(names)
    return tuple(names[round(number * (len(names) - 1) / (count - 1))] for number in range(count))


def check_count(operation: str, **numbers: int) -> None:
    """Refuse numbers below 1.

    >>> check_count("occlusion", size=0)
    Traceback (most recent call last):
    unconv.errors.UnconvError: occlusion: size 0; give 1 or more
    """
    for name, number in numbers.items():
        if number < 1:
            raise UnconvError(f"{operation}: {name} {number}; give 1 or more")


def generator(seed: int) -> torch.Generator:
    """Random numbers that are the same every time."""
    return torch.Generator().manual_seed(seed)
