"""A network to experiment on: its module, and labels of its outputs where they are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.models.load.resolve import LoadedModel, load_model
from unconv.network.run.forward import check_images, check_open
from unconv.network.run.unwrap_compiled import unwrap_compiled
from unconv.visualize.layers import list_feature_maps


@dataclass(frozen=True, eq=False)
class LabelledNetwork:
    """A network to experiment on.

    Attributes:
        module: takes images as its one argument.
        label: the name of an output.
    """

    module: nn.Module
    label: Callable[[int], str]


def open_network(model: str | nn.Module | LoadedModel) -> LabelledNetwork:
    """The network behind a MODEL string, a loaded model or a module.

    >>> open_network(nn.ReLU()).label(3)
    'class 3'
    """
    loaded = load_model(model) if isinstance(model, str) else model
    if isinstance(loaded, LoadedModel):
        check_open(loaded.module)
        return LabelledNetwork(loaded.module, loaded.label)
    module = unwrap_compiled(loaded)
    check_open(module)
    return LabelledNetwork(module, lambda index: f"class {index}")


def as_batch(module: nn.Module, images: Tensor, operation: str) -> Tensor:
    """Images (batch, channel, height, width) on the device and in the precision of a module's weights.

    A single image (channel, height, width) is a batch of one. Raises UnconvError for other shapes.

    >>> as_batch(nn.Conv2d(3, 1, 1).double(), torch.rand(3, 8, 8), "occlusion").shape
    torch.Size([1, 3, 8, 8])
    """
    if isinstance(images, Tensor) and images.ndim == 3:
        images = images[None]
    check_images(images)
    if images.ndim != 4:
        raise UnconvError(f"{operation}: images of shape {tuple(images.shape)}; give (batch, channel, height, width)")
    weight = next((p for p in module.parameters() if p.is_floating_point()), None)
    return images if weight is None else images.to(weight)


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
