"""Projection of one unit of a network to pixel space."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unconv.choices import ReverseRule
from unconv.errors import UnconvError
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.passage import run_forward

Position = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Projection:
    """What a unit sends back to the pixels.

    Args:
        image: the projection of each image, ``(batch, channel, *size)``, in the units of the model's input.
        layer: name of the layer.
        unit: index of the unit (feature map) in the layer.
        position: where in the feature map the unit was, for each image.
        activation: value of the unit there, ``(batch,)``.
        coverage: what the rule met on the way back.
    """

    image: Tensor
    layer: str
    unit: int
    position: tuple[Position, ...]
    activation: Tensor
    coverage: Coverage


def project(
    model: nn.Module,
    images: Tensor,
    layer: str,
    unit: int,
    position: Sequence[int] | Sequence[Sequence[int]] | None = None,
    rule: ReverseRule = "deconvnet",
) -> Projection:
    """Send one unit back to pixel space: all other activations zero, then unpool with switches, rectify, Cᵀ.

    A projection is ∂y/∂x with the rule in place of every rectifier's derivative: g ↦ max(g, 0) for the deconvnet
    (Zeiler & Fergus 2013, section 2.1). The forward pass ends at the layer. The model runs in evaluation mode and is
    given back as it was.

    Args:
        model: any module that takes the images as its one argument.
        images: ``(batch, channel, *size)``, floating point, as the model wants them (normalised).
        layer: name of a module as in ``model.named_modules()``. Its value is what the module returns at that moment:
            later in-place operations do not count. A module called several times counts with its first call.
        unit: index along the second axis of that value.
        position: index along its other axes, ``(y, x)`` for a feature map, ``()`` after a linear layer; one for all
            images or one for each. None: the unit's peak in each image.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`.

    Raises:
        ModelError: unknown layers, layers that are never called or return no tensor, NaN weights, a model that fails.
        UnconvError: a unit or position outside the layer, an unknown rule, images that are no floating-point batch.

    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.ReLU())
    >>> projection = project(model, torch.rand(2, 1, 12, 12), layer="4", unit=3, position=(1, 1))
    >>> projection.image.shape, projection.position
    (torch.Size([2, 1, 12, 12]), ((1, 1), (1, 1)))
    >>> projection.coverage.sentence
    '2 of 2 rectifiers reversed (relu ×2); 1 max-pooling unpooled with its switches; passed as they are:
    convolution ×2'
    """
    passage = run_forward(model, images, [layer], rule)
    value = passage.values[layer]
    unit = check_unit(value, layer, unit)
    maps = value.detach()[:, unit]
    positions = peaks(maps) if position is None else check_positions(maps, layer, position)
    units = torch.full((len(maps),), unit)
    return Projection(
        image=passage.back_from_units(layer, units, positions),
        layer=layer,
        unit=unit,
        position=positions,
        activation=torch.stack([feature_map[at] for feature_map, at in zip(maps, positions, strict=True)]),
        coverage=passage.coverage(layer),
    )


def peaks(maps: Tensor) -> tuple[Position, ...]:
    """Where each feature map of ``(batch, *position)`` is largest; the first place wins a tie.

    >>> peaks(torch.tensor([[[0, 1], [5, 5]], [[9, 1], [5, 5]]]))
    ((1, 0), (0, 0))
    """
    size = maps.shape[1:]
    places = maps.reshape(len(maps), -1).argmax(dim=1)
    return tuple(tuple(int(axis) for axis in torch.unravel_index(place, size)) for place in places)


def check_unit(value: Tensor, layer: str, unit: Any) -> int:
    """The index of a unit of a layer's value ``(batch, unit, *position)``."""
    try:
        index = operator.index(unit)
    except TypeError:
        raise UnconvError(f"unit: {unit!r} is not an integer; give its index in layer {layer!r}") from None
    if not 0 <= index < value.shape[1]:
        raise UnconvError(f"unit: {index} is not in layer {layer!r}, which has units 0 to {value.shape[1] - 1}")
    return index


def check_positions(maps: Tensor, layer: str, position: Any) -> tuple[Position, ...]:
    """One position for each image of the feature maps ``(batch, *position)``."""
    try:
        one_for_all = all(isinstance(axis, int) or hasattr(axis, "__index__") for axis in position)
        given = [position] * len(maps) if one_for_all else list(position)
        positions = tuple(tuple(operator.index(axis) for axis in place) for place in given)
    except TypeError:
        raise UnconvError(
            f"position: {position!r} is not a tuple of integers, nor one such tuple for each image"
        ) from None
    if len(positions) != len(maps):
        raise UnconvError(f"position: {len(positions)} positions for {len(maps)} images; give one, or one for each")
    size = tuple(maps.shape[1:])
    for place in positions:
        if len(place) != len(size) or not all(0 <= axis < bound for axis, bound in zip(place, size, strict=True)):
            raise UnconvError(f"position: {place} is not in a feature map of layer {layer!r}, whose size is {size}")
    return positions
