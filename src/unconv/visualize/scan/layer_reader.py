"""Layers read as they come by: each value, its axes in order, reduced at once to the places that matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import local
from typing import Any

from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.network.axis_roles import AxisRoles
from unconv.network.feature_maps import find_axis_roles
from unconv.network.run.forward import Arrived, Hook, check_tensor
from unconv.network.run.outputs import main_output
from unconv.visualize.scan.peaks import Found, peaks_in


@dataclass(frozen=True, eq=False)
class Layers:
    """Feature maps of a batch as they come by, each reduced at once to the places that matter.

    Attributes:
        top: places kept for each unit.
        per_image: how many of them one image may hold.
        bars: what a place must reach, by layer; what is left out below a bar would not have been kept anyway.
        roles: by the shape of an image the roles of the axes of layers whose values are not (batch, unit, *place).
    """

    top: int
    per_image: int
    bars: dict[str, Tensor] = field(default_factory=dict)
    roles: dict[tuple[int, ...], dict[str, AxisRoles]] = field(default_factory=dict)

    def look(
        self, layer: str, value: Any, numbers: Sequence[int], size: tuple[int, ...] = ()
    ) -> tuple[Found, tuple[int, ...], int]:
        """The places of one layer's value that may be among the strongest, its grid and how many units it has."""
        value = check_tensor(layer, value)
        if value.is_quantized:
            value = value.dequantize()
        roles = self.roles.get(size, {}).get(layer)
        if roles is not None:
            value = roles.arrange(value, len(numbers))
        if value.ndim < 2 or len(value) != len(numbers):
            raise ModelError(
                f"layer {layer!r}: returns shape {tuple(value.shape)} for {len(numbers)} images, not "
                "(batch, unit, ...); choose another layer"
            )
        found = peaks_in(value, numbers, self.top, self.per_image, self.bars.get(layer))
        if not found.finite:
            raise ModelError(f"layer {layer!r}: contains NaN or infinite values; check the weights and the images")
        return found, tuple(value.shape[2:]), value.shape[1]

    @property
    def sentences(self) -> list[str]:
        """What is not as usual with the axes of layers, one line for each of these."""
        lines = (f"{layer}: {one.sentence}" for roles in self.roles.values() for layer, one in roles.items())
        return list(dict.fromkeys(lines))


class Watcher(local):
    """Hands each layer's value on at the moment at which the module returns it; to each thread those of its own."""

    def __init__(self, layers: tuple[str, ...]) -> None:
        self.layers = layers
        self.see: Callable[[str, Any], None] = lambda _layer, _value: None
        self.seen: set[str] = set()

    def hook(self, layer: str) -> Hook:
        def seen(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if layer in self.seen:
                return
            self.seen.add(layer)
            self.see(layer, output)
            if len(self.seen) == len(self.layers):
                raise Arrived

        return seen


def shape_of_maps(value: Any) -> tuple[int, ...]:
    """The shape of what a layer returns, the batch included; () where it is no tensor."""
    tensor = main_output(value).tensor
    return () if tensor is None else tuple(tensor.shape)


def find_roles(
    module: nn.Module, shapes: Mapping[str, tuple[int, ...]], images: tuple[int, ...]
) -> dict[str, AxisRoles]:
    """The roles of the axes of layers, by the shapes of their values, where these are not (batch, unit, *place)."""
    found = {layer: find_axis_roles(module, layer, shape, images) for layer, shape in shapes.items()}
    return {layer: roles for layer, roles in found.items() if roles is not None}
