"""Layers that were asked for, and of those that a pattern or container leads to the ones that return feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.network.feature_maps import find_axis_roles
from unconv.network.run.forward import find_layer, run_to_layers, takes_hooks
from unconv.network.run.model_state import at_rest
from unconv.network.run.name_layers import AnyLayers, name_layers
from unconv.network.run.outputs import main_output


def name_map_layers(model: nn.Module, layers: AnyLayers, image: Float[Tensor, "1 channel *size"]) -> tuple[str, ...]:
    """The names of layers that are given as :func:`~unconv.network.run.name_layers.name_layers` takes them.

    What is named, or is a module, is taken as it is. Of what a pattern or a container leads to, the layers are left
    that the model calls and that return feature maps; the model runs once for it, with the image.

    Raises :class:`~unconv.errors.ModelError` for layers that are not there, and patterns and containers without any
    that return feature maps.

    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> image = torch.rand(1, 1, 8, 8)
    >>> name_map_layers(model, "[0-9]", image), name_map_layers(model, model[3], image)
    (('0', '1'), ('3',))
    """
    return name_layers(model, layers, lambda names: _returning_maps(model, names, image)).names


def _returning_maps(model: nn.Module, names: Sequence[str], image: Tensor) -> list[str]:
    shapes: dict[str, tuple[int, ...]] = {}

    def see(layer: str, value: Any) -> None:
        value = main_output(value).tensor
        if value is not None and value.ndim > 2:
            shapes[layer] = tuple(value.shape)

    watched = [name for name in names if takes_hooks(find_layer(model, name))]
    with at_rest(model), torch.no_grad():
        run_to_layers(model, image.clone(), watched, see, stop=False)
    return [name for name in names if name in shapes and _has_maps(model, name, shapes[name], image)]


def _has_maps(model: nn.Module, name: str, shape: tuple[int, ...], image: Tensor) -> bool:
    try:
        roles = find_axis_roles(model, name, shape, image.shape)
    except ModelError:
        return False
    return max(roles.grid if roles is not None else shape[2:]) > 1
